import ClientProtocol
import ClientRouting
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

/// What a socket tells the connection that made it. Called on the socket's event loop.
protocol SocketOwner: AnyObject, Sendable {
    func socketOpened(_ channel: any Channel)
    func socketReceived(_ frames: [ServerFrame])
    func socketClosed()
}

/// Sends the upgrade request when the TCP connection is up, and gives up on any other answer than 101.
final class UpgradeRequestHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart
    private let host: String
    private let owner: any SocketOwner
    private var isUpgraded = false

    init(host: String, owner: any SocketOwner) {
        self.host = host
        self.owner = owner
    }

    func channelActive(context: ChannelHandlerContext) {
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: ClientWire.path)
        head.headers.add(name: "host", value: host)
        head.headers.add(name: "sec-websocket-protocol", value: ClientWire.subprotocol)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    // The upgrade handler in front keeps the answer that upgrades; whatever comes this far is a refusal.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.close(promise: nil) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func handlerRemoved(context: ChannelHandlerContext) {
        // Either upgraded, and the WebSocket's handler will tell, or the connection has ended before that.
        if !isUpgraded { owner.socketClosed() }
    }

    func upgraded() { isUpgraded = true }
}

/// The client's side of the upgrade. The handshake is NIO's; the frames' encoder is not used
/// (`ConnectionSocket`).
final class ClientUpgrader: NIOHTTPClientProtocolUpgrader, Sendable {
    let supportedProtocol = "websocket"
    let requiredUpgradeHeaders: [String] = []
    private let handshake: NIOWebSocketClientUpgrader
    private let owner: any SocketOwner
    private let frameBytesMax: Int

    init(owner: any SocketOwner, frameBytesMax: Int) {
        self.owner = owner
        self.frameBytesMax = frameBytesMax
        handshake = NIOWebSocketClientUpgrader(
            requestKey: NIOWebSocketClientUpgrader.randomRequestKey(),
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededFuture(()) })
    }

    func addCustom(upgradeRequestHeaders: inout HTTPHeaders) {
        handshake.addCustom(upgradeRequestHeaders: &upgradeRequestHeaders)
    }

    func shouldAllowUpgrade(upgradeResponse: HTTPResponseHead) -> Bool {
        handshake.shouldAllowUpgrade(upgradeResponse: upgradeResponse)
            && upgradeResponse.headers.first(name: "sec-websocket-protocol") == ClientWire.subprotocol
    }

    func upgrade(context: ChannelHandlerContext, upgradeResponse: HTTPResponseHead) -> EventLoopFuture<Void> {
        let channel = context.channel
        return context.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandlers(
                ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: frameBytesMax)),
                ConnectionSocket(owner: owner, messageBytesMax: frameBytesMax))
        }
    }
}

/// Reads the node's frames and hands them over in bursts; the connection writes whole buffers of frames
/// itself.
final class ConnectionSocket: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = ByteBuffer
    private let owner: any SocketOwner
    private let messageBytesMax: Int
    private var message: [UInt8] = []
    private var burst: [ServerFrame] = []
    private var isClosing = false

    init(owner: any SocketOwner, messageBytesMax: Int) {
        self.owner = owner
        self.messageBytesMax = messageBytesMax
    }

    /// Connects, and upgrades to WebSocket. The owner hears of the socket when that is done, or of its end.
    static func connect(
        _ address: NodeAddress, on loop: any EventLoop, within limit: Duration, owner: any SocketOwner
    ) -> EventLoopFuture<any Channel> {
        let upgrader = ClientUpgrader(owner: owner, frameBytesMax: 16 << 20)
        let request = NIOLoopBoundBox<UpgradeRequestHandler?>.makeEmptyBox(
            valueType: UpgradeRequestHandler.self, eventLoop: loop)
        return ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(limit))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = UpgradeRequestHandler(host: address.host, owner: owner)
                    request.value = handler
                    try channel.pipeline.syncOperations.addHTTPClientHandlers(
                        leftOverBytesStrategy: .forwardBytes,
                        withClientUpgrade: (
                            upgraders: [upgrader],
                            completionHandler: { context in
                                request.value?.upgraded()
                                if let handler = request.value {
                                    context.pipeline.syncOperations.removeHandler(handler, promise: nil)
                                }
                                request.value = nil
                            }
                        ))
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .connect(host: address.host, port: address.port)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { owner.socketOpened(context.channel) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { owner.socketClosed() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        guard !isClosing, frame.maskKey == nil else { return fail(context) }
        switch frame.opcode {
        case .text, .continuation:
            guard message.count + frame.length <= messageBytesMax else { return fail(context) }
            message.append(contentsOf: frame.data.readableBytesView)
            guard frame.fin else { return }
            // A node that says what this version does not know is left; the next connection may understand
            // it.
            guard let decoded = try? ServerFrame.decode(message.span) else { return fail(context) }
            burst.append(decoded)
            message.removeAll(keepingCapacity: message.capacity <= 64 << 10)
        case .ping: write(opcode: 10, Array(frame.data.readableBytesView), context)
        case .pong: break
        case .connectionClose:
            deliver()
            write(opcode: 8, Array(frame.data.readableBytesView.prefix(2)), context)
            fail(context)
        default: fail(context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        deliver()
        context.fireChannelReadComplete()
    }

    private func deliver() {
        guard !burst.isEmpty else { return }
        let frames = burst
        burst.removeAll(keepingCapacity: true)
        owner.socketReceived(frames)
    }

    private func write(opcode: UInt8, _ payload: [UInt8], _ context: ChannelHandlerContext) {
        var buffer = ByteBuffer()
        MaskedFrames.append(opcode: opcode, payload, mask: .random(in: .min ... .max), to: &buffer)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    private func fail(_ context: ChannelHandlerContext) {
        guard !isClosing else { return }
        isClosing = true
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(context) }
}

/// Writes frames as clients must: masked (RFC 6455 section 5.3).
enum MaskedFrames {
    static func append(opcode: UInt8, _ payload: [UInt8], mask: UInt32, to buffer: inout ByteBuffer) {
        buffer.writeInteger(0x80 | opcode)
        switch payload.count {
        case 0..<126: buffer.writeInteger(0x80 | UInt8(payload.count))
        case 126...Int(UInt16.max):
            buffer.writeInteger(0xFE as UInt8)
            buffer.writeInteger(UInt16(payload.count))
        default:
            buffer.writeInteger(0xFF as UInt8)
            buffer.writeInteger(UInt64(payload.count))
        }
        buffer.writeInteger(mask)
        buffer.reserveCapacity(minimumWritableBytes: payload.count)
        var masked = payload
        let key = (UInt8(mask >> 24), UInt8(mask >> 16 & 0xFF), UInt8(mask >> 8 & 0xFF), UInt8(mask & 0xFF))
        var index = 0
        while index + 4 <= masked.count {
            masked[index] ^= key.0
            masked[index + 1] ^= key.1
            masked[index + 2] ^= key.2
            masked[index + 3] ^= key.3
            index += 4
        }
        if index < masked.count { masked[index] ^= key.0 }
        if index + 1 < masked.count { masked[index + 1] ^= key.1 }
        if index + 2 < masked.count { masked[index + 2] ^= key.2 }
        buffer.writeBytes(masked)
    }
}
