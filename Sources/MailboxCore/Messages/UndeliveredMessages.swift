import ByteCoding
import Identifiers

/// A message to another actor that could not be delivered, kept for people with the actor that sent it.
public struct UndeliveredMessage: Hashable, Sendable {
    public static let version: UInt8 = 1

    /// When that was known, microseconds since 1970.
    public var time: UInt64
    public var target: ActorAddress
    public var queue: String
    public var body: [UInt8]
    /// Why, as the host records errors.
    public var error: [UInt8]

    public init(time: UInt64, target: ActorAddress, queue: String, body: [UInt8], error: [UInt8]) {
        self.time = time
        self.target = target
        self.queue = queue
        self.body = body
        self.error = error
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: body.count + error.count + 128)
        writer.byte(Self.version)
        writer.varint(time)
        writer.address(target)
        writer.string(queue)
        writer.blob(body)
        writer.blob(error)
        return writer.bytes
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> UndeliveredMessage {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "undelivered message", found: UInt64(version), newest: UInt64(Self.version))
        }
        let time = try reader.varint()
        let target = try reader.address()
        let queue = try reader.string()
        let body = try reader.blob()
        let error = try reader.blob()
        try reader.finish()
        return UndeliveredMessage(time: time, target: target, queue: queue, body: body, error: error)
    }
}

/// An actor's messages that could not be delivered: how many there were, and the last ones of them.
public struct UndeliveredMessages: Sendable {
    /// The most that are kept.
    public static let keptMax = 100
    /// The most bytes of bodies that are kept; one larger message is kept alone.
    public static let bytesMax = 4 << 20

    /// All there ever were.
    public private(set) var count: UInt64 = 0
    /// Oldest first.
    public private(set) var kept: [UndeliveredMessage] = []

    public init() {}

    /// Keeps a message, and forgets the oldest ones beyond the limits.
    /// - Returns: what to store, and to delete.
    public mutating func add(_ message: UndeliveredMessage) -> [TurnOperation] {
        count += 1
        kept.append(message)
        var bytes = kept.reduce(0) { $0 + $1.body.count }
        var operations = [
            TurnOperation.put(.undelivered, id: TurnOperation.itemID(count), message.encoded())
        ]
        while kept.count > Self.keptMax || (kept.count > 1 && bytes > Self.bytesMax) {
            let number = count - UInt64(kept.count) + 1
            bytes -= kept.removeFirst().body.count
            operations.append(.delete(.undelivered, id: TurnOperation.itemID(number)))
        }
        return operations
    }

    /// Takes up a stored item; called in the order of their identifiers.
    public mutating func restore(id: [UInt8], value: [UInt8]) throws(WireError) {
        count = try TurnOperation.itemNumber(id).countable("the count of undelivered messages")
        kept.append(try UndeliveredMessage.decode(value))
    }
}
