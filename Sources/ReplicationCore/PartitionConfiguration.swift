import Identifiers

/// What the control plane has decided about one partition, as far as its replicas must know it.
public struct PartitionConfiguration: Hashable, Sendable {
    public var epoch: Epoch
    /// Counts the decisions about this partition; changes of the in-sync set name the one they expect.
    public var revision: UInt64
    /// The process that may append in this epoch; nil while nobody may (R11).
    public var owner: NodeLife?
    /// Replicas that have every committed record on disk, the owner's included, in order (R2, R12).
    public var inSync: [ReplicaID]
    /// Replicas that are catching up.
    public var learners: [ReplicaID]
    /// Of all these, those that the owner is to do without, because they are gone or no longer wanted. May
    /// change without the revision.
    public var leaving: [ReplicaID]
    /// Of these, those whose node has registered with another disk: nobody speaks for them any more.
    public var replaced: [ReplicaID]
    /// Members that the in-sync set must have for anything to be committed. May change without the revision.
    public var inSyncMin: Int

    public init(
        epoch: Epoch, revision: UInt64, owner: NodeLife?, inSync: [ReplicaID], learners: [ReplicaID] = [],
        leaving: [ReplicaID] = [], replaced: [ReplicaID] = [], inSyncMin: Int = 1
    ) {
        self.epoch = epoch
        self.revision = revision
        self.owner = owner
        self.inSync = inSync
        self.learners = learners
        self.leaving = leaving
        self.replaced = replaced
        self.inSyncMin = inSyncMin
    }
}

/// What an owner asks of the control plane; compared and set on epoch and revision when it is applied (R2,
/// R8).
public struct MembershipRequest: Hashable, Sendable {
    public var partition: PartitionID
    public var epoch: Epoch
    public var revision: UInt64
    public var change: InSyncChange

    public init(partition: PartitionID, epoch: Epoch, revision: UInt64, change: InSyncChange) {
        self.partition = partition
        self.epoch = epoch
        self.revision = revision
        self.change = change
    }
}
