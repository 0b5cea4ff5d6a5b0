import ByteCoding
import Identifiers

/// Who holds a partition, and who owns it.
public struct PartitionState: Hashable, Sendable {
    /// Copies of one partition, in sync or not.
    public static let replicasMax = 8

    /// The generation of ownership; 0 before the first grant.
    public internal(set) var epoch = Epoch(rawValue: 0)
    /// Counts every change of this entry.
    public internal(set) var revision = Revision(rawValue: 0)
    /// The life that may append in this epoch. None while nobody was granted the partition again after its
    /// owner restarted, lost its disk or went down.
    public internal(set) var owner: NodeLife?
    /// Each holds every acknowledged record; ascending, one per node, never empty.
    public internal(set) var inSync: [ReplicaID]
    /// Copies that catch up; ascending.
    public internal(set) var learners: [ReplicaID] = []
    /// Where the planner wants copies, the wanted owner first; empty before the first plan.
    public internal(set) var targets: [NodeID] = []
    /// How often an operator accepted the loss of records to bring the partition back.
    public internal(set) var dataLossGeneration: UInt32 = 0

    var isFull: Bool { inSync.count + learners.count >= Self.replicasMax }

    package func holds(_ node: NodeID) -> Bool { inSync.holds(node) || learners.holds(node) }

    /// Whether `other` is older: entries of a partition are ordered by epoch and revision.
    public func isNewer(than other: Self) -> Bool {
        (epoch, revision) > (other.epoch, other.revision)
    }
}

extension PartitionState: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        epoch = try Epoch(from: &reader)
        revision = try Revision(from: &reader)
        owner = try reader.optional { reader throws(WireError) in try NodeLife(from: &reader) }
        inSync = try reader.values("in-sync set", limit: Self.replicasMax)
        learners = try reader.values("learners", limit: Self.replicasMax)
        targets = try reader.values("targets", limit: ClusterSettings.replicationFactorMax)
        let generation = try reader.varint()
        guard let short = UInt32(exactly: generation) else { throw .integerOverflow }
        dataLossGeneration = short
    }

    func encode(into writer: inout ByteWriter) {
        epoch.encode(into: &writer)
        revision.encode(into: &writer)
        writer.optional(owner) { $1.encode(into: &$0) }
        writer.values(inSync)
        writer.values(learners)
        writer.values(targets)
        writer.varint(UInt64(dataLossGeneration))
    }
}
