import NIOCore
import NIOHTTP1

/// Gathers one request, asks the world for a response, and writes it when it is due.
///
/// The pipeline holds back the next request of a connection until this one is answered, so there is at most
/// one under way.
final class CallHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let world: World
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(world: World) { self.world = world }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
        case .body(let part):
            guard head != nil else { return }
            guard body.count + part.readableBytes <= world.limits.bodyBytesMax else {
                head = nil
                let limit = world.limits.bodyBytesMax
                write(
                    World.refusal(.payloadTooLarge, "the body is larger than \(limit) bytes"),
                    keepAlive: false, context: context)
                return
            }
            body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let head else { return }
            self.head = nil
            let response = world.respond(to: head, body: String(decoding: body, as: UTF8.self))
            guard response.delayMs > 0 else {
                return write(response, keepAlive: head.isKeepAlive, context: context)
            }
            // Runs on this connection's loop; a connection that has gone in the meantime drops the write.
            context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(response.delayMs)) {
                self.write(response, keepAlive: head.isKeepAlive, context: context)
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func write(_ response: World.Response, keepAlive: Bool, context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        var head = HTTPResponseHead(version: .http1_1, status: response.status)
        head.headers.add(name: "Content-Type", value: "application/json")
        // 204 and 304 never have a body (RFC 9110, section 6.4.1).
        let hasBody = response.status.mayHaveResponseBody
        if hasBody { head.headers.add(name: "Content-Length", value: "\(response.json.count)") }
        if !keepAlive { head.headers.add(name: "Connection", value: "close") }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if hasBody {
            context.write(
                wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: response.json)))), promise: nil)
        }
        let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if !keepAlive {
            written.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        }
    }
}
