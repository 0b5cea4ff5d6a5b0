import ByteCoding
import Identifiers

/// The direction of a stream of messages. Answers have a stream of their own, because they can always be
/// taken: they must not wait behind a message for a queue that is full until the answer comes.
public enum MessageFlow: UInt8, CaseIterable, Comparable, Sendable {
    /// What actors send and call.
    case request = 1
    /// What comes back.
    case answer = 2

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// Neighbouring messages of the stream from one partition to another (`cluster.md` 2.11). They are numbered
/// from 1 without a gap, for ever: the count is part of the partition's log.
public struct MessageBatch: Hashable, Sendable {
    public static let version: UInt8 = 1
    public static let messagesMax = 256
    /// A batch ends with the message that goes beyond.
    public static let bytesWanted = 1 << 20

    public var source: PartitionID
    public var destination: PartitionID
    public var flow: MessageFlow
    /// The destination has said that it has everything up to this number.
    public var acknowledged: UInt64
    /// The number of the first message.
    public var first: UInt64
    public var messages: [ActorMessage]

    public init(
        source: PartitionID, destination: PartitionID, flow: MessageFlow, acknowledged: UInt64, first: UInt64,
        messages: [ActorMessage]
    ) {
        self.source = source
        self.destination = destination
        self.flow = flow
        self.acknowledged = acknowledged
        self.first = first
        self.messages = messages
    }

    /// The number of the last message.
    public var last: UInt64 { first + UInt64(messages.count) - 1 }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: messages.reduce(64) { $0 + $1.byteCount })
        writer.byte(Self.version)
        writer.fixed(source.rawValue)
        writer.fixed(destination.rawValue)
        writer.byte(flow.rawValue)
        writer.varint(acknowledged)
        writer.varint(first)
        writer.varint(messages.count)
        for message in messages { writer.blob(message.encoded()) }
        return writer.bytes
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> MessageBatch {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "batch of messages", found: UInt64(version), newest: UInt64(Self.version))
        }
        let source = PartitionID(rawValue: try reader.fixed())
        let destination = PartitionID(rawValue: try reader.fixed())
        let flow = try MessageFlow.read(&reader)
        let acknowledged = try reader.varint().countable("a message's number")
        let first = try reader.varint().countable("a message's number")
        let count = try reader.count("messages of a batch", limit: messagesMax)
        guard count > 0, first > acknowledged else {
            throw .invalid("a batch of \(count) messages from \(first), with \(acknowledged) acknowledged")
        }
        var messages: [ActorMessage] = []
        for _ in 0..<count {
            let message = try ActorMessage.decode(try reader.blob())
            guard message.isAnswer == (flow == .answer) else {
                throw .invalid("a message in the stream of the other direction")
            }
            messages.append(message)
        }
        try reader.finish()
        return MessageBatch(
            source: source, destination: destination, flow: flow, acknowledged: acknowledged, first: first,
            messages: messages)
    }
}

extension MessageFlow {
    static func read(_ reader: inout ByteReader) throws(WireError) -> MessageFlow {
        let raw = try reader.byte()
        guard let flow = MessageFlow(rawValue: raw) else {
            throw .unknown(what: "direction of messages", value: UInt64(raw))
        }
        return flow
    }
}

/// What became of a batch.
public enum BatchResult: Hashable, Sendable {
    public static let version: UInt8 = 1

    /// The destination has performed the stream up to that number, and that is committed. If it `isHeld`,
    /// the next message must wait: its queue is full.
    case received(through: UInt64, isHeld: Bool)
    /// Not taken, or nobody knows: to be sent again.
    case unavailable

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 12)
        writer.byte(Self.version)
        switch self {
        case .received(let number, let isHeld):
            writer.byte(1)
            writer.varint(number)
            writer.bool(isHeld)
        case .unavailable: writer.byte(2)
        }
        return writer.bytes
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> BatchResult {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "result of a batch", found: UInt64(version), newest: UInt64(Self.version))
        }
        let result: BatchResult
        switch try reader.byte() {
        case 1:
            let number = try reader.varint().countable("a message's number")
            result = .received(through: number, isHeld: try reader.bool())
        case 2: result = .unavailable
        case let tag: throw .unknown(what: "result of a batch", value: UInt64(tag))
        }
        try reader.finish()
        return result
    }
}
