import ByteCoding

/// A message that waits in a queue of an actor.
public struct QueuedMessage: Hashable, Sendable {
    /// Version 1 has neither time, priority nor delivery; a message that needs none of them is still written
    /// so.
    public static let version: UInt8 = 2

    /// Its place in the order of arrival over all queues of the actor; its identifier in storage.
    public var number: UInt64
    public var queue: String
    public var body: [UInt8]
    /// Microseconds since 1970.
    public var enqueuedAt: UInt64
    /// The deduplication identity under which the sender waits for the completion, if it does.
    public var requester: [UInt8]?
    /// When it may be taken, microseconds since 1970; 0: at once.
    public var visibleAt: UInt64
    /// 0 to 9; higher ones are taken first.
    public var priority: UInt8
    /// 1 for the first time that it is taken.
    public var delivery: UInt64

    public init(
        number: UInt64, queue: String, body: [UInt8], enqueuedAt: UInt64, requester: [UInt8]?,
        visibleAt: UInt64 = 0, priority: UInt8 = 0, delivery: UInt64 = 1
    ) {
        self.number = number
        self.queue = queue
        self.body = body
        self.enqueuedAt = enqueuedAt
        self.requester = requester
        self.visibleAt = visibleAt
        self.priority = priority
        self.delivery = delivery
    }

    /// Whether it is taken before the other one, if both may be.
    func isBefore(_ other: QueuedMessage) -> Bool {
        priority == other.priority ? number < other.number : priority > other.priority
    }

    private var isPlain: Bool { visibleAt == 0 && priority == 0 && delivery == 1 }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: body.count + 48)
        writer.byte(isPlain ? 1 : Self.version)
        writer.varint(number)
        writer.string(queue)
        writer.blob(body)
        writer.varint(enqueuedAt)
        writer.optional(requester) { $0.blob($1) }
        if !isPlain {
            writer.varint(visibleAt)
            writer.byte(priority)
            writer.varint(delivery)
        }
        return writer.bytes
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> QueuedMessage {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard 1...Self.version ~= version else {
            throw .version(what: "queued message", found: UInt64(version), newest: UInt64(Self.version))
        }
        let number = try reader.varint().countable("a message's number")
        let queue = try reader.string()
        let body = try reader.blob()
        let enqueuedAt = try reader.varint()
        let requester = try reader.optional { reader throws(WireError) in try reader.blob() }
        var message = QueuedMessage(
            number: number, queue: queue, body: body, enqueuedAt: enqueuedAt, requester: requester)
        if version > 1 {
            message.visibleAt = try reader.varint()
            message.priority = try reader.byte()
            message.delivery = try reader.varint()
        }
        try reader.finish()
        return message
    }
}
