import NIOCore
import NIOHTTP1
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// What a server answered.
package struct HTTPReply: Sendable {
    package var status: Int
    package var body: [UInt8]

    package var isSuccess: Bool { 200..<300 ~= status }
}

/// Why there is no answer.
package enum HTTPFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// No connection: the request was certainly not performed.
    case unreachable(String)
    /// The connection ended before the answer: whether the request was performed is unknown.
    case brokenOff(String)
    /// As `brokenOff`, by the caller's own patience.
    case timedOut

    package var description: String {
        switch self {
        case .unreachable(let reason): "no connection: \(reason)"
        case .brokenOff(let reason): "the connection ended before the answer: \(reason)"
        case .timedOut: "no answer in time"
        }
    }
}

/// Sends single requests to one server, each over a connection of its own.
///
/// Neither proxies nor redirects: what is called is a node on this machine or a known address.
package struct HTTPCaller: Sendable {
    package let host: String
    package let port: Int
    private let group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton

    /// An answer may be this large.
    private let bodyBytesMax: Int

    package init(host: String, port: Int, bodyBytesMax: Int = 256 << 20) {
        self.host = host
        self.port = port
        self.bodyBytesMax = bodyBytesMax
    }

    package func send(
        _ method: HTTPMethod, _ path: String, headers: [(String, String)] = [], body: [UInt8] = [],
        timeout: Duration = .seconds(10)
    ) async throws(HTTPFailure) -> HTTPReply {
        let exchange: (channel: any Channel, reply: EventLoopFuture<HTTPReply>)
        do {
            exchange = try await connect(timeout)
        } catch { throw .unreachable(Self.reason(error)) }
        let (channel, reply) = exchange
        let patience = channel.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
            channel.pipeline.fireErrorCaught(HTTPFailure.timedOut)
        }
        defer {
            patience.cancel()
            channel.close(promise: nil)
        }
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: path)
        head.headers.add(name: "Host", value: "\(host):\(port)")
        head.headers.add(name: "Connection", value: "close")
        if !body.isEmpty || method == .POST || method == .PUT {
            head.headers.add(name: "Content-Length", value: String(body.count))
            head.headers.add(name: "Content-Type", value: "application/json")
        }
        for (name, value) in headers { head.headers.add(name: name, value: value) }
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if !body.isEmpty {
            channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil)
        }
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        do {
            return try await reply.get()
        } catch let failure as HTTPFailure {
            throw failure
        } catch { throw .brokenOff(Self.reason(error)) }
    }

    private func connect(
        _ timeout: Duration
    ) async throws -> (channel: any Channel, reply: EventLoopFuture<HTTPReply>) {
        let loop = group.next()
        let promise = loop.makePromise(of: HTTPReply.self)
        do {
            let channel = try await ClientBootstrap(group: loop)
                .connectTimeout(TimeAmount(min(timeout, .seconds(5))))
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { [bodyBytesMax] channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        try channel.pipeline.syncOperations.addHandler(
                            ReplyHandler(promise, bodyBytesMax: bodyBytesMax))
                    }
                }
                .connect(host: host, port: port).get()
            return (channel, promise.futureResult)
        } catch {
            // Nobody waits for it, and a promise must not be dropped.
            promise.fail(error)
            throw error
        }
    }

    /// The shortest true sentence about a failed connection.
    private static func reason(_ error: any Error) -> String {
        let error = (error as? NIOConnectionError)?.connectionErrors.first?.error ?? error
        switch (error as? IOError)?.errnoCode {
        case ECONNREFUSED: return "nothing listens there"
        case ECONNRESET, EPIPE: return "closed by the other side"
        case EHOSTUNREACH, ENETUNREACH: return "there is no way to that host"
        default: break
        }
        if let error = error as? ChannelError, case .connectTimeout = error { return "no answer in time" }
        if let error = error as? NIOConnectionError, error.dnsAError != nil || error.dnsAAAAError != nil {
            return "the host \(error.host) is not known"
        }
        return "\(error)"
    }
}

/// Gathers one response.
private final class ReplyHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let promise: EventLoopPromise<HTTPReply>
    private var reply = HTTPReply(status: 0, body: [])
    private let bodyBytesMax: Int
    private var isDone = false

    init(_ promise: EventLoopPromise<HTTPReply>, bodyBytesMax: Int) {
        self.promise = promise
        self.bodyBytesMax = bodyBytesMax
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): reply.status = Int(head.status.code)
        case .body(let part):
            reply.body.append(contentsOf: part.readableBytesView)
            if reply.body.count > bodyBytesMax {
                finish(.failure(HTTPFailure.brokenOff("the answer is too large")))
                context.close(promise: nil)
            }
        case .end: if reply.status >= 200 { finish(.success(reply)) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(.failure(HTTPFailure.brokenOff("closed by the other side")))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        finish(.failure(error))
        context.close(promise: nil)
    }

    private func finish(_ result: Result<HTTPReply, any Error>) {
        guard !isDone else { return }
        isDone = true
        promise.completeWith(result)
    }
}
