import ByteCoding

/// A message that waits in a queue of an actor.
public struct QueuedMessage: Hashable, Sendable {
    public static let version: UInt8 = 1

    /// Its place in the order of arrival over all queues of the actor; its identifier in storage.
    public var number: UInt64
    public var queue: String
    public var body: [UInt8]
    /// Microseconds since 1970.
    public var enqueuedAt: UInt64
    /// The deduplication identity under which the sender waits for the completion, if it does.
    public var requester: [UInt8]?

    public init(number: UInt64, queue: String, body: [UInt8], enqueuedAt: UInt64, requester: [UInt8]?) {
        self.number = number
        self.queue = queue
        self.body = body
        self.enqueuedAt = enqueuedAt
        self.requester = requester
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: body.count + 48)
        writer.byte(Self.version)
        writer.varint(number)
        writer.string(queue)
        writer.blob(body)
        writer.varint(enqueuedAt)
        writer.optional(requester) { $0.blob($1) }
        return writer.bytes
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> QueuedMessage {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "queued message", found: UInt64(version), newest: UInt64(Self.version))
        }
        let number = try reader.varint().countable("a message's number")
        let queue = try reader.string()
        let body = try reader.blob()
        let enqueuedAt = try reader.varint()
        let requester = try reader.optional { reader throws(WireError) in try reader.blob() }
        try reader.finish()
        return QueuedMessage(
            number: number, queue: queue, body: body, enqueuedAt: enqueuedAt, requester: requester)
    }
}
