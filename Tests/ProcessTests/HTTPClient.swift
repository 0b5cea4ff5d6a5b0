import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// An answer over HTTP.
struct Answer: Sendable {
    var status: Int
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
    /// The body as JSON object; empty if it is none.
    var json: [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any] ?? [:]
    }
}

/// One request after the other over one connection, which is made anew after any error. For one task at a
/// time.
final class HTTPClient: Sendable {
    private let connection = Mutex<(port: Int, channel: any Channel)?>(nil)

    deinit { connection.withLock { $0?.channel.close(promise: nil) } }

    /// - Parameter key: the `Idempotency-Key`.
    func send(
        _ method: HTTPMethod, _ path: String, _ body: String = "", key: String? = nil, port: Int,
        within limit: TimeAmount = .seconds(10)
    ) async throws -> Answer {
        let channel = try await channel(to: port, limit)
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: path)
        head.headers.add(name: "Host", value: "127.0.0.1:\(port)")
        head.headers.add(name: "Content-Length", value: "\(body.utf8.count)")
        if let key { head.headers.add(name: "Idempotency-Key", value: key) }
        let promise = channel.eventLoop.makePromise(of: Answer.self)
        let exchange = Exchange(head: head, body: body, promise: promise)
        let timer = channel.eventLoop.scheduleTask(in: limit) {
            let duration = Duration.nanoseconds(limit.nanoseconds)
            promise.fail(DeadlineExceeded(what: "\(method) \(path)", limit: duration))
        }
        channel.writeAndFlush(exchange).whenFailure { promise.fail($0) }
        defer { timer.cancel() }
        do { return try await promise.futureResult.get() } catch {
            connection.withLock { $0 = nil }
            channel.close(promise: nil)
            throw error
        }
    }

    private func channel(to port: Int, _ limit: TimeAmount) async throws -> any Channel {
        if let open = connection.withLock({ $0 }), open.port == port, open.channel.isActive {
            return open.channel
        }
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(limit)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(ExchangeHandler())
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        let old = connection.withLock { connection in
            defer { connection = (port, channel) }
            return connection?.channel
        }
        old?.close(promise: nil)
        return channel
    }
}

private struct Exchange: Sendable {
    var head: HTTPRequestHead
    var body: String
    var promise: EventLoopPromise<Answer>
}

private struct ConnectionLost: Error {}

private final class ExchangeHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = Exchange
    typealias OutboundOut = HTTPClientRequestPart

    private var promise: EventLoopPromise<Answer>?
    private var answer = Answer(status: 0, body: [])

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let exchange = unwrapOutboundIn(data)
        self.promise = exchange.promise
        context.write(wrapOutboundOut(.head(exchange.head)), promise: nil)
        if !exchange.body.isEmpty {
            context.write(
                wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: exchange.body)))), promise: nil)
        }
        context.write(wrapOutboundOut(.end(nil)), promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            answer = Answer(status: Int(head.status.code), body: [])
        case .body(let part):
            answer.body += part.readableBytesView
        case .end:
            // Only now is the answer whole; half an answer of a dying node proves nothing.
            promise?.succeed(answer)
            promise = nil
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise?.fail(error)
        promise = nil
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise?.fail(ConnectionLost())
        promise = nil
    }
}
