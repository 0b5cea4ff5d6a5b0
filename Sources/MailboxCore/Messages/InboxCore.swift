import ByteCoding
import Identifiers

/// How far a partition has performed the messages from others, so that each counts once (W60, `cluster.md`
/// 2.11). Decisions only.
public struct InboxCore: Sendable {
    /// What to do with a batch.
    public enum Verdict: Hashable, Sendable {
        /// To perform from the message at that index on.
        case perform(from: Int)
        /// There is nothing to perform in it: everything was, or something before it is missing.
        case nothing
    }

    public static let version: UInt8 = 1

    private struct Stream: Hashable {
        var source: PartitionID
        var flow: MessageFlow
    }

    private var performed: [Stream: UInt64] = [:]

    public init() {}

    /// Takes up a stored item.
    public mutating func restore(id: [UInt8], value: [UInt8]) throws(WireError) {
        let (flow, source) = try MessageFlow.readID(id)
        var reader = ByteReader(value)
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "line of an inbox", found: UInt64(version), newest: UInt64(Self.version))
        }
        let number = try reader.varint().countable("a message's number")
        try reader.finish()
        performed[Stream(source: source, flow: flow)] = number
    }

    /// The number of the last message of a stream that was performed.
    public func performed(from source: PartitionID, _ flow: MessageFlow) -> UInt64 {
        performed[Stream(source: source, flow: flow)] ?? 0
    }

    public func verdict(on batch: MessageBatch) -> Verdict {
        // What this partition has acknowledged it has performed, unless its log has lost records that were
        // committed (a forced promotion). What the source has no longer cannot be waited for.
        let done = max(performed(from: batch.source, batch.flow), batch.acknowledged)
        guard batch.first <= done + 1, batch.last > done else { return .nothing }
        return .perform(from: Int(done + 1 - batch.first))
    }

    /// How many messages a batch shows to be lost here.
    public func lost(before batch: MessageBatch) -> UInt64 {
        let done = performed(from: batch.source, batch.flow)
        return batch.acknowledged > done ? batch.acknowledged - done : 0
    }

    /// A message was performed.
    /// - Returns: what to store in the record of its effect.
    public mutating func note(
        _ number: UInt64, from source: PartitionID, _ flow: MessageFlow
    ) -> TurnOperation {
        performed[Stream(source: source, flow: flow)] = number
        var writer = ByteWriter(capacity: 12)
        writer.byte(Self.version)
        writer.varint(number)
        return .ofPartition(.put(.inbox, id: MessageFlow.id(flow, source), writer.bytes))
    }
}
