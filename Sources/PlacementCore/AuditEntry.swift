import ByteCoding
import Identifiers
import TimeAndChance

/// Something an operator wants to know about later.
public struct AuditEntry: Hashable, Sendable {
    /// How many the state remembers.
    public static let tailMax = 256

    /// The index of the log entry that did it.
    public var index: UInt64
    public var time: Timestamp
    public var event: Event

    public enum Event: Hashable, Sendable {
        case initialized
        case registered(NodeLife)
        case diskReplaced(NodeLife, former: StoreID)
        case down(NodeLife, DownEvidence)
        case draining(NodeID, Bool)
        case left(NodeLife)
        case dataLossAccepted(PartitionID, NodeLife, generation: UInt32)
        case settings(ClusterSettings)
        case voters(VoterChange)
    }
}

extension AuditEntry: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        index = try reader.varint()
        time = try Timestamp(from: &reader)
        event = try Event(from: &reader)
    }

    func encode(into writer: inout ByteWriter) {
        writer.varint(index)
        time.encode(into: &writer)
        event.encode(into: &writer)
    }
}

extension AuditEntry.Event: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        switch try reader.byte() {
        case 1: self = .initialized
        case 2: self = .registered(try NodeLife(from: &reader))
        case 3: self = .diskReplaced(try NodeLife(from: &reader), former: try StoreID(from: &reader))
        case 4: self = .down(try NodeLife(from: &reader), try DownEvidence(from: &reader))
        case 5: self = .draining(try NodeID(from: &reader), try reader.bool())
        case 6: self = .left(try NodeLife(from: &reader))
        case 7:
            let partition = try PartitionID(from: &reader)
            let life = try NodeLife(from: &reader)
            guard let generation = UInt32(exactly: try reader.varint()) else { throw .integerOverflow }
            self = .dataLossAccepted(partition, life, generation: generation)
        case 8: self = .settings(try ClusterSettings(from: &reader))
        case 9: self = .voters(try VoterChange(from: &reader))
        case let tag: throw .unknown(what: "audit event", value: UInt64(tag))
        }
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .initialized: writer.byte(1)
        case .registered(let life):
            writer.byte(2)
            life.encode(into: &writer)
        case .diskReplaced(let life, let former):
            writer.byte(3)
            life.encode(into: &writer)
            former.encode(into: &writer)
        case .down(let life, let evidence):
            writer.byte(4)
            life.encode(into: &writer)
            evidence.encode(into: &writer)
        case .draining(let node, let isDraining):
            writer.byte(5)
            node.encode(into: &writer)
            writer.bool(isDraining)
        case .left(let life):
            writer.byte(6)
            life.encode(into: &writer)
        case .dataLossAccepted(let partition, let life, let generation):
            writer.byte(7)
            partition.encode(into: &writer)
            life.encode(into: &writer)
            writer.varint(UInt64(generation))
        case .settings(let settings):
            writer.byte(8)
            settings.encode(into: &writer)
        case .voters(let change):
            writer.byte(9)
            change.encode(into: &writer)
        }
    }
}
