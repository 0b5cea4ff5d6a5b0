/// What one client connection may take. Every queue of a connection has its bound here (A71).
public struct SessionLimits: Hashable, Sendable {
    /// Requests submitted and not yet answered. At this number the connection is not read any further.
    public var inFlightMax = 1024
    /// Subscriptions of one connection. One more is answered with `session.too_many_subscriptions`.
    public var subscriptionsMax = 4096
    /// Questions for the map that are not answered yet. One more gets `node.overloaded`.
    public var mapQuestionsMax = 4
    /// Bytes that wait for a slow reader. Beyond it requests are not read, and an event closes the
    /// connection (A42).
    public var pendingBytesMax = 1 << 20
    /// Frames that wait for a slow reader, with the same consequence.
    public var pendingFramesMax = 1024
    /// A WebSocket message with its fragments joined.
    public var messageBytesMax = 1 << 20

    public init() {}
}

/// Why a connection ends, with the WebSocket close code (RFC 6455 section 7.4.1) and the reason sent with it.
public struct CloseReason: Hashable, Sendable, CustomStringConvertible {
    public var code: UInt16
    /// At most 123 bytes, what a close frame can carry.
    public var text: String

    public init(code: UInt16, text: String) {
        self.code = code
        // Cut by characters, so that the reason stays UTF-8.
        var text = text
        while text.utf8.count > 123 { text.removeLast() }
        self.text = text
    }

    public var description: String { "\(code) \(text)" }

    public static let normal = CloseReason(code: 1000, text: "")
    public static let stopping = CloseReason(code: 1001, text: "the node is shutting down")
    public static let handshakeTimedOut = CloseReason(code: 1002, text: "no request within the deadline")
    public static let helloTimedOut = CloseReason(code: 1002, text: "no hello within the deadline")
    public static let halfMessage = CloseReason(code: 1002, text: "a message was begun and not finished")
    public static let idle = CloseReason(code: 1001, text: "the connection was idle")
    public static let noPong = CloseReason(code: 1001, text: "the peer did not answer a ping")
    public static let binary = CloseReason(code: 1003, text: "messages of this subprotocol are text")
    public static let text = CloseReason(code: 1003, text: "messages of this subprotocol are binary")
    public static let slowReader = CloseReason(code: 1008, text: "the client reads its events too slowly")
    public static let notReading = CloseReason(code: 1008, text: "the client does not read its replies")
    public static func tooLarge(limit: Int) -> CloseReason {
        CloseReason(code: 1009, text: "a message is larger than \(limit) bytes")
    }
    public static func violation(_ text: String) -> CloseReason { CloseReason(code: 1002, text: text) }
}
