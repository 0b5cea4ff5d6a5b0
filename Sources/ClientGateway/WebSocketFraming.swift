import NIOCore
import NIOHTTP1
import NIOWebSocket

/// NIO's frame decoder, plus the knowledge whether it stands between two frames: a half frame followed by
/// silence has a deadline, an idle connection has not.
final class BoundaryFrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = WebSocketFrame

    private let decoder: WebSocketFrameDecoder
    private(set) var isInsideFrame = false

    init(frameBytesMax: Int) { decoder = WebSocketFrameDecoder(maxFrameSize: frameBytesMax) }

    func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        let hadBytes = buffer.readableBytes > 0
        let state = try decoder.decode(context: context, buffer: &buffer)
        isInsideFrame = state == .needMoreData && (isInsideFrame || hadBytes)
        return state
    }

    func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        // What is left at the end of the connection is half a frame at most, and nobody waits for it.
        .needMoreData
    }
}

/// Writes and reads the parts of frames that need no state.
enum WebSocketBytes {
    /// Appends a server's frame (whole, unmasked) to `buffer`.
    static func append(opcode: UInt8, _ payload: [UInt8], to buffer: inout ByteBuffer) {
        buffer.writeInteger(0x80 | opcode)
        switch payload.count {
        case 0..<126: buffer.writeInteger(UInt8(payload.count))
        case 126...Int(UInt16.max):
            buffer.writeInteger(126 as UInt8)
            buffer.writeInteger(UInt16(payload.count))
        default:
            buffer.writeInteger(127 as UInt8)
            buffer.writeInteger(UInt64(payload.count))
        }
        buffer.writeBytes(payload)
    }

    /// Appends the unmasked payload of a client's frame to `bytes` (RFC 6455 section 5.3).
    static func appendPayload(of frame: WebSocketFrame, to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(contentsOf: frame.data.readableBytesView)
        guard let mask = frame.maskKey else { return }
        let key = (mask[0], mask[1], mask[2], mask[3])
        var index = start
        while index + 4 <= bytes.count {
            bytes[index] ^= key.0
            bytes[index + 1] ^= key.1
            bytes[index + 2] ^= key.2
            bytes[index + 3] ^= key.3
            index += 4
        }
        for (offset, place) in (index..<bytes.count).enumerated() { bytes[place] ^= mask[offset] }
    }
}

/// Accepts WebSocket upgrades and hands the connection over. The handshake itself is NIO's.
final class WebSocketUpgrader: HTTPServerProtocolUpgrader, Sendable {
    let supportedProtocol = "websocket"
    let requiredUpgradeHeaders: [String] = []
    private let handshake: NIOWebSocketServerUpgrader
    private let start: @Sendable (any Channel, _ subprotocol: String) throws -> Void
    private let subprotocols: [String]

    /// - Parameters:
    ///   - subprotocols: the ones that are spoken, the preferred one first.
    ///   - start: adds the handlers of an upgraded connection; called on its event loop.
    init(
        path: String, subprotocols: [String],
        start: @escaping @Sendable (any Channel, _ subprotocol: String) throws -> Void
    ) {
        self.start = start
        self.subprotocols = subprotocols
        handshake = NIOWebSocketServerUpgrader(
            shouldUpgrade: { channel, head in
                let isPath = head.uri == path || head.uri.hasPrefix(path + "?")
                guard head.method == .GET, isPath, let spoken = Self.choice(head.headers, subprotocols) else {
                    return channel.eventLoop.makeSucceededFuture(nil)
                }
                var headers = HTTPHeaders()
                if head.headers.contains(name: "sec-websocket-protocol") {
                    headers.add(name: "sec-websocket-protocol", value: spoken)
                }
                return channel.eventLoop.makeSucceededFuture(headers)
            },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededFuture(()) })
    }

    /// A client that names no subprotocol gets the preferred one; one that names only others is refused.
    private static func choice(_ headers: HTTPHeaders, _ spoken: [String]) -> String? {
        let offered = headers[canonicalForm: "sec-websocket-protocol"]
        return offered.isEmpty ? spoken.first : spoken.first { offered.contains($0[...]) }
    }

    func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        handshake.buildUpgradeResponse(
            channel: channel, upgradeRequest: upgradeRequest, initialResponseHeaders: initialResponseHeaders)
    }

    func upgrade(context: ChannelHandlerContext, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<Void> {
        let channel = context.channel
        let spoken = Self.choice(upgradeRequest.headers, subprotocols) ?? ""
        return context.eventLoop.makeCompletedFuture { try start(channel, spoken) }
    }
}
