import Dispatch

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// SIGTERM and SIGINT as values. The second signal ends the process at once, for whoever does not want to
/// wait.
///
/// Sound to share: the sources are made once and only kept alive here.
final class StopSignals: @unchecked Sendable {
    private let stream: AsyncStream<String>
    private let sources: [any DispatchSourceSignal]

    init() {
        let (stream, continuation) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(2))
        self.stream = stream
        sources = [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")].map { number, name in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number)
            // Sound: the handler is called on one queue, one at a time, and nobody else counts.
            nonisolated(unsafe) var count = 0
            source.setEventHandler {
                count += 1
                if count > 1 { _exit(130) }
                continuation.yield(name)
            }
            source.resume()
            return source
        }
    }

    func next() async -> String {
        for await name in stream { return name }
        return "stop"
    }
}
