import ActorHost
import ByteCoding
import Identifiers
import PartitionStore
import PlacementCore
import ReplicationCore
import Synchronization

/// The storage of a node in a cluster, as its host sees it: records go to this node's journal and to the
/// other replicas, and come back as committed when all of the in-sync set have them on disk (R1).
///
/// Shards call it on their threads; what they bring gathers in `inbox`, and the loop is woken once for all of
/// it.
public final class ReplicationDriver: HostStore {
    private let base: PartitionStore
    let replicas: ReplicaLoop
    private let inbox: ReplicaInbox

    init(_ replicas: ReplicaLoop) {
        base = replicas.store
        inbox = replicas.inbox
        self.replicas = replicas
    }

    package var identity: StoreIdentity { base.identity }

    /// Records that wait for another replica are not applied, so the store's figure has them.
    package var backlogBytes: Int { base.backlogBytes + inbox.recordBytes }

    package var startsEmptyLogs: Bool { true }

    package func start(
        onEvents: @escaping @Sendable ([PartitionEvent]) -> Void,
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) {
        replicas.begin(onEvents: onEvents)
        base.start(
            onCommit: { [inbox] commit in
                if commit.batch > 0 { inbox.persisted(commit.batch) }
            },
            onFailure: { [replicas] error in
                replicas.failed(error)
                onFailure(error)
            })
    }

    package func append(_ records: [SealedRecord]) { inbox.append(records) }

    package func confirmRead(_ partition: PartitionID, _ reply: @escaping @Sendable (Bool) -> Void) {
        inbox.confirmRead(partition, reply)
    }

    package func close() throws(StoreError) {
        inbox.close()
        try base.close()
    }

    // MARK: Reading what is applied

    package func appliedPosition(of partition: PartitionID) -> LogPosition {
        base.appliedPosition(of: partition)
    }
    package func setOnApplied(_ handler: @escaping @Sendable ([DurableMark]) -> Void) {
        base.setOnApplied(handler)
    }
    package func requestApply(_ partitions: [PartitionID]) { base.requestApply(partitions) }
    package func actor(
        at address: ActorAddress, in partition: PartitionID
    ) throws(StoreError) -> StoredActor? {
        try base.actor(at: address, in: partition)
    }
    package func actor(_ id: ActorID, in partition: PartitionID) throws(StoreError) -> StoredActor? {
        try base.actor(id, in: partition)
    }
    package func items(
        of actor: ActorID, in partition: PartitionID, space: ItemSpace
    ) throws(StoreError) -> [StoredItem] {
        try base.items(of: actor, in: partition, space: space)
    }
    package func dueActors(
        in partition: PartitionID, through time: UInt64, limit: Int
    ) throws(StoreError) -> [(id: ActorID, address: ActorAddress, wakeAt: UInt64)] {
        try base.dueActors(in: partition, through: time, limit: limit)
    }
    package func actors(
        in partition: PartitionID, kind: String?, limit: Int, after: ActorAddress?
    ) throws(StoreError) -> [StoredActor] {
        try base.actors(in: partition, kind: kind, limit: limit, after: after)
    }
}
