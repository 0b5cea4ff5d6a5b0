/// Checks WebSocket frames against RFC 6455 and joins fragments, up to a limit. Holds no bytes itself.
public struct MessageAssembler: Sendable {
    /// One frame as its head describes it.
    public struct Frame: Hashable, Sendable {
        public var opcode: UInt8
        public var isFinal: Bool
        public var isMasked: Bool
        public var hasReservedBits: Bool
        public var byteCount: Int

        public init(opcode: UInt8, isFinal: Bool, isMasked: Bool, hasReservedBits: Bool, byteCount: Int) {
            self.opcode = opcode
            self.isFinal = isFinal
            self.isMasked = isMasked
            self.hasReservedBits = hasReservedBits
            self.byteCount = byteCount
        }
    }

    public enum Decision: Hashable, Sendable {
        /// The frame is a whole message.
        case message
        /// Keep the bytes.
        case fragment
        /// With these bytes the kept ones are a message.
        case lastFragment
        /// Answer with a pong of the same bytes.
        case ping
        case pong
        /// The peer closes.
        case peerCloses
        case close(CloseReason)
    }

    private let bytesMax: Int
    /// Servers demand masked frames, clients unmasked ones (section 5.1).
    private let expectsMask: Bool
    /// The opcode of data: 1 for text, 2 for binary, as the subprotocol says.
    private let dataOpcode: UInt8
    private var joinedBytes: Int?

    public init(bytesMax: Int, expectsMask: Bool, isBinary: Bool = false) {
        self.bytesMax = bytesMax
        dataOpcode = isBinary ? 2 : 1
        self.expectsMask = expectsMask
    }

    public var isInsideMessage: Bool { joinedBytes != nil }

    public mutating func received(_ frame: Frame) -> Decision {
        guard frame.isMasked == expectsMask else {
            return .close(.violation(expectsMask ? "a client's frames must be masked" : "a masked frame"))
        }
        guard !frame.hasReservedBits else { return .close(.violation("a reserved bit is set")) }
        if frame.opcode >= 8, !frame.isFinal || frame.byteCount > 125 {
            return .close(.violation("a control frame must be short and whole"))
        }
        switch frame.opcode {
        case 0: return continuation(frame)
        case dataOpcode:
            guard joinedBytes == nil else { return .close(.violation("a message inside another one")) }
            guard frame.byteCount <= bytesMax else { return .close(.tooLarge(limit: bytesMax)) }
            guard !frame.isFinal else { return .message }
            joinedBytes = frame.byteCount
            return .fragment
        case 1: return .close(.text)
        case 2: return .close(.binary)
        case 8: return .peerCloses
        case 9: return .ping
        case 10: return .pong
        default: return .close(.violation("unknown opcode \(frame.opcode)"))
        }
    }

    private mutating func continuation(_ frame: Frame) -> Decision {
        guard let joined = joinedBytes else { return .close(.violation("a continuation of nothing")) }
        guard frame.byteCount <= bytesMax - joined else { return .close(.tooLarge(limit: bytesMax)) }
        joinedBytes = frame.isFinal ? nil : joined + frame.byteCount
        return frame.isFinal ? .lastFragment : .fragment
    }
}
