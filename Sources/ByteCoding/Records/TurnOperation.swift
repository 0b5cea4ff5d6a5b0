import Identifiers

/// The parts of an actor that are stored as one value each.
public enum ActorField: UInt8, CaseIterable, Sendable {
    /// The user's state, as encoded by the kind.
    case state = 1
    /// The run's status (`RunRecord`).
    case run = 2
    /// The input given at creation.
    case input = 3
}

/// The parts of an actor that are stored as many values with an identifier each.
public enum ItemSpace: UInt8, CaseIterable, Sendable {
    /// Workflow history; identifier: sequence number of the entry.
    case history = 1
    /// Messages that wait in queues; identifier: message number.
    case message = 2
    /// Replies of completed messages; identifier: message number.
    case completion = 3
    /// Recorded replies by client session and sequence, or by idempotency key.
    case deduplication = 4
    /// Turns of asynchronous actions without a reply; identifier: the request, then the turn's name.
    case actionTurn = 5
    /// Events for later subscribers; identifier: the event's name, then its number.
    case event = 6
    /// Messages to other actors that the partition has not got rid of yet; identifier: the stream, then the
    /// message's number.
    case outbox = 7
    /// How far the streams of messages from other partitions were performed; identifier: the stream.
    case inbox = 8
    /// Messages to other actors that could not be delivered; identifier: their count.
    case undelivered = 9
    /// Calls of asynchronous actions that are not answered yet; identifier: the partition that they came
    /// from, then their number.
    case call = 10

    /// Whether its items belong to the partition itself (`TurnOperation.ofPartition`), not to an actor.
    public var isOfPartition: Bool { self == .outbox || self == .inbox || self == .call }
}

extension ActorID {
    /// Owns the items that belong to a partition as a whole. No actor has it: records count from 1.
    public static let partition = ActorID(rawValue: 0)
}

/// What one turn did to its actor, in order. All operations of a record are applied in one transaction.
public enum TurnOperation: Hashable, Sendable {
    /// The actor comes into being; its identifier is this record's position. What follows in the record is
    /// the new actor's; before it may stand the `destroy` of the record's own, which had the same address.
    case create(ActorAddress, time: UInt64)
    case set(ActorField, [UInt8])
    /// When the actor must next be woken, in microseconds since 1970: nil never, 0 at once.
    case wake(at: UInt64?)
    case put(ItemSpace, id: [UInt8], [UInt8])
    case delete(ItemSpace, id: [UInt8])
    /// Deletes all items whose identifier lies between the two, both included, in byte order.
    case deleteRange(ItemSpace, from: [UInt8], through: [UInt8])
    /// The actor ends and everything of it is deleted.
    case destroy
    /// A `put`, `delete` or `deleteRange` of the partition's own items, whosever record this is: a message
    /// leaves, or counts as arrived, with the turn that it belongs to.
    indirect case ofPartition(TurnOperation)
}

extension TurnOperation {
    /// Whether it concerns the partition as a whole.
    public var isOfPartition: Bool { if case .ofPartition = self { true } else { false } }

    /// The identifier of an item that is numbered: eight bytes, big-endian, so that byte order is number
    /// order.
    public static func itemID(_ number: UInt64) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }

    /// Reads back what `itemID` wrote.
    public static func itemNumber(_ id: [UInt8]) throws(WireError) -> UInt64 {
        guard id.count == 8 else { throw .invalid("an item number has 8 bytes, not \(id.count)") }
        return id.reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// Builds the body of a `.turn` record: the actor, then its operations.
public struct TurnBody: Sendable {
    public static let operationsMax = 1 << 20
    private var writer: ByteWriter
    public private(set) var operationCount = 0

    /// - Parameter actor: nil in a record that creates an actor, whose position becomes its identifier, and
    ///   replaces none.
    public init(actor: ActorID?) {
        writer = ByteWriter(capacity: 256)
        // The record's header goes in front, so that the body need not be copied behind it.
        writer.raw(repeatElement(0, count: JournalRecord.headerBytes))
        writer.varint(actor?.rawValue ?? 0)
    }

    public var isEmpty: Bool { operationCount == 0 }
    public var byteCount: Int { writer.count - JournalRecord.headerBytes }
    public var bytes: [UInt8] { Array(writer.bytes[JournalRecord.headerBytes...]) }

    /// The `.turn` record with this body, and its link in the hash chain; the same as
    /// `JournalRecord.encoded()`.
    public consuming func sealed(
        partition: PartitionID, epoch: Epoch, position: LogPosition, time: UInt64, previousHash: UInt64
    ) -> (bytes: [UInt8], hash: UInt64) {
        let hash = JournalRecord.complete(
            &writer, kind: .turn, partition: partition, epoch: epoch, position: position, time: time,
            previousHash: previousHash)
        return (writer.bytes, hash)
    }

    public mutating func append(_ operation: TurnOperation) {
        operationCount += 1
        switch operation {
        case .create(let address, let time):
            writer.byte(1)
            writer.address(address)
            writer.varint(time)
        case .set(let field, let value):
            writer.byte(2)
            writer.byte(field.rawValue)
            writer.blob(value)
        case .wake(let time):
            writer.byte(3)
            writer.optional(time) { $0.varint($1) }
        case .put(let space, let id, let value):
            writer.byte(4)
            writer.byte(space.rawValue)
            writer.blob(id)
            writer.blob(value)
        case .delete(let space, let id):
            writer.byte(5)
            writer.byte(space.rawValue)
            writer.blob(id)
        case .deleteRange(let space, let from, let through):
            writer.byte(6)
            writer.byte(space.rawValue)
            writer.blob(from)
            writer.blob(through)
        case .destroy:
            writer.byte(7)
        case .ofPartition(let own):
            writer.byte(8)
            append(own)
            operationCount -= 1
        }
    }

    /// The same as appending `.put` with `TurnOperation.itemID(number)`, without making the identifier.
    public mutating func appendPut(_ space: ItemSpace, number: UInt64, _ value: [UInt8]) {
        operationCount += 1
        writer.byte(4)
        writer.byte(space.rawValue)
        writer.varint(8)
        writer.fixed(number.byteSwapped)
        writer.blob(value)
    }

    /// Reads a body: the actor (nil for a creation) and its operations.
    public static func decode(
        _ body: [UInt8]
    ) throws(WireError) -> (actor: ActorID?, operations: [TurnOperation]) {
        var reader = ByteReader(body)
        let actor = try reader.varint()
        var operations: [TurnOperation] = []
        while !reader.isAtEnd {
            guard operations.count < operationsMax else {
                throw .tooLong(what: "turn", count: UInt64(operations.count), limit: UInt64(operationsMax))
            }
            operations.append(try decodeOperation(&reader))
        }
        return (actor == 0 ? nil : ActorID(rawValue: actor), operations)
    }

    private static func decodeOperation(_ reader: inout ByteReader) throws(WireError) -> TurnOperation {
        switch try reader.byte() {
        case 1:
            let address = try reader.address()
            return .create(address, time: try reader.varint())
        case 2:
            let raw = try reader.byte()
            guard let field = ActorField(rawValue: raw) else {
                throw .unknown(what: "actor field", value: UInt64(raw))
            }
            return .set(field, try reader.blob())
        case 3:
            return .wake(at: try reader.optional { reader throws(WireError) in try reader.varint() })
        case 4:
            let space = try decodeSpace(&reader)
            let id = try reader.blob()
            return .put(space, id: id, try reader.blob())
        case 5:
            let space = try decodeSpace(&reader)
            return .delete(space, id: try reader.blob())
        case 6:
            let space = try decodeSpace(&reader)
            let from = try reader.blob()
            return .deleteRange(space, from: from, through: try reader.blob())
        case 7:
            return .destroy
        case 8:
            // One level, so that no record leads the reader deep.
            guard let tag = reader.peek(), 4...6 ~= tag else {
                throw .invalid("only items belong to a partition")
            }
            return .ofPartition(try decodeOperation(&reader))
        case let tag:
            throw .unknown(what: "turn operation", value: UInt64(tag))
        }
    }

    private static func decodeSpace(_ reader: inout ByteReader) throws(WireError) -> ItemSpace {
        let raw = try reader.byte()
        guard let space = ItemSpace(rawValue: raw) else {
            throw .unknown(what: "item space", value: UInt64(raw))
        }
        return space
    }
}
