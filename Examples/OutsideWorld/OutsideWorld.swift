import ArgumentParser
import Dispatch
import Foundation
import OutsideWorldServer

/// The services around the announced programs, for trying and testing them.
@main
struct OutsideWorld: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outside-world",
        abstract: "Stands in for the outside services: records each call, and fails or delays when told to.",
        discussion: """
            Any method and path is recorded and answered 200 with JSON.
              GET /_calls      all recorded calls, in order        DELETE /_calls   forget them
                               (/_calls?prefix=PATH: those whose path begins so)
              POST /_fail      {"path": prefix, "times": n, "status": 500, "delayMs": 0}
                               (times -1: until cleared)           DELETE /_fail    clear all faults
            """)

    @Option(help: "Address and port to listen on; port 0 takes any free one.")
    var listen = "127.0.0.1:7500"

    func run() async throws {
        let pieces = listen.split(separator: ":", omittingEmptySubsequences: false)
        guard pieces.count >= 2, let last = pieces.last, let port = UInt16(last) else {
            throw ValidationError("--listen takes HOST:PORT, not \"\(listen)\"")
        }
        let host = pieces.dropLast().joined(separator: ":").trimmingCharacters(in: ["[", "]"])
        let (signals, sources) = Self.terminationSignals()
        defer { for source in sources { source.cancel() } }
        let server = try await OutsideWorldServer.start(host: host, port: Int(port))
        // Written at once, whatever stdout is: the reader of a pipe waits for this line.
        let shown = host.contains(":") ? "[\(host)]" : host
        try FileHandle.standardOutput.write(
            contentsOf: Data("outside-world listening on \(shown):\(server.port)\n".utf8))
        for await _ in signals { break }
        try await server.stop()
    }

    /// Yields when the process is asked to end. The default action is switched off before, so no signal is
    /// lost.
    private static func terminationSignals() -> (AsyncStream<Int32>, [any DispatchSourceSignal]) {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        let sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            return source
        }
        return (stream, sources)
    }
}
