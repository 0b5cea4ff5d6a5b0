import ClientGateway
import ClientProtocol
import FakeActors
import Identifiers
import Logging
import NIOCore
import NIOPosix

/// A gateway over a fake service on a free port of the loopback, for the time of one test.
struct RunningGateway {
    let service: FakeActorService
    let gateway: ClientGateway

    static func with<Value>(
        _ configuration: GatewayConfiguration = .init(), _ body: (RunningGateway) async throws -> Value
    ) async throws -> Value {
        let service = FakeActorService()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let gateway = try await ClientGateway.start(
            service: service, host: "127.0.0.1", port: 0, configuration: configuration, logger: logger)
        do {
            let value = try await body(RunningGateway(service: service, gateway: gateway))
            await gateway.stop(within: .milliseconds(200))
            return value
        } catch {
            await gateway.stop(within: .milliseconds(200))
            throw error
        }
    }

    func connect() async throws -> RawConnection { try await RawConnection(port: gateway.port) }
}

struct ConnectionEnded: Error {
    var received: String
}

/// A TCP connection on which a test says exactly which bytes go out.
final class RawConnection {
    private let channel: any Channel
    private var arrivals: AsyncStream<[UInt8]>.Iterator
    private var buffer: [UInt8] = []

    init(port: Int) async throws {
        let (stream, continuation) = AsyncStream<[UInt8]>.makeStream()
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(continuation: continuation))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        arrivals = stream.makeAsyncIterator()
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let continuation: AsyncStream<[UInt8]>.Continuation
        init(continuation: AsyncStream<[UInt8]>.Continuation) { self.continuation = continuation }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            continuation.yield(Array(unwrapInboundIn(data).readableBytesView))
        }
        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }
    func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }
    /// Sends what the other side may refuse to take by closing.
    func sendWithoutWaiting(_ bytes: [UInt8]) {
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }
    func close() async throws { try await channel.close() }
    /// Returns when the connection is gone, whether or not this side reads.
    func ended() async { try? await channel.closeFuture.get() }
    func stopReading() async throws { try await channel.setOption(.autoRead, value: false).get() }
    func resumeReading() async throws {
        try await channel.setOption(.autoRead, value: true).get()
        channel.read()
    }

    private func need(_ count: Int) async throws {
        while buffer.count < count {
            guard let more = await arrivals.next(isolation: #isolation) else {
                throw ConnectionEnded(received: String(decoding: buffer, as: UTF8.self))
            }
            buffer += more
        }
    }

    func take(_ count: Int) async throws -> [UInt8] {
        try await need(count)
        defer { buffer.removeFirst(count) }
        return Array(buffer.prefix(count))
    }

    /// Everything until the other side closes.
    func takeAll() async -> String {
        while let more = await arrivals.next(isolation: #isolation) { buffer += more }
        defer { buffer = [] }
        return String(decoding: buffer, as: UTF8.self)
    }

    func takeLine() async throws -> String {
        var checked = 0
        while true {
            if let end = buffer[checked...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { buffer.removeFirst(end + 1) }
                return String(decoding: buffer[..<(end - 1)], as: UTF8.self)
            }
            checked = buffer.count
            try await need(buffer.count + 1)
        }
    }
}

/// An HTTP answer as it came.
struct RawAnswer {
    var status: Int
    var headers: [String: String]
    var body: String
}

extension RawConnection {
    func takeAnswer(isHead: Bool = false) async throws -> RawAnswer {
        let line = try await takeLine()
        var answer = RawAnswer(status: Int(line.split(separator: " ")[1]) ?? 0, headers: [:], body: "")
        while true {
            let line = try await takeLine()
            guard !line.isEmpty else { break }
            let sides = line.split(separator: ":", maxSplits: 1)
            answer.headers[sides[0].lowercased()] = sides[1].drop { $0 == " " }.description
        }
        if !isHead, let count = answer.headers["content-length"].flatMap({ Int($0) }) {
            answer.body = String(decoding: try await take(count), as: UTF8.self)
        }
        return answer
    }

    /// One request on this connection, as `curl` would send it.
    func ask(
        _ method: String, _ path: String, _ body: String? = nil, headers: [String] = []
    ) async throws -> RawAnswer {
        var text = "\(method) \(path) HTTP/1.1\r\nhost: test\r\n"
        for header in headers { text += header + "\r\n" }
        if let body { text += "content-length: \(body.utf8.count)\r\n" }
        try await send(text + "\r\n" + (body ?? ""))
        return try await takeAnswer(isHead: method == "HEAD")
    }
}
