import ByteCoding
import Identifiers
import PartitionStore

/// The storage of a node alone: it owns every partition from its start on, what is on its disk is committed,
/// and nobody else can have changed what it reads.
package final class SingleNodeStore: HostStore {
    private let base: PartitionStore

    /// - Parameter base: opened and not started.
    package init(_ base: PartitionStore) { self.base = base }

    package var identity: StoreIdentity { base.identity }
    package var backlogBytes: Int { base.backlogBytes }
    package var startsEmptyLogs: Bool { false }

    package func start(
        onEvents: @escaping @Sendable ([PartitionEvent]) -> Void,
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) {
        var events: [PartitionEvent] = []
        for number in 0..<identity.ring.partitionCount {
            let partition = PartitionID(number)
            let end = base.logEnd(of: partition)
            let epoch = Epoch(rawValue: end.epoch.rawValue + 1)
            events += [.lead(partition, epoch, after: end), .serve(partition, epoch)]
        }
        onEvents(events)
        base.start(
            onDurable: { [base] marks in
                // One node is all replicas there are: durable here is committed.
                base.commit(marks)
                onEvents(marks.map { .committed($0.partition, $0.position) })
            }, onFailure: onFailure)
    }

    package func append(_ records: [SealedRecord]) { base.append(records) }
    package func confirmRead(_ partition: PartitionID, _ reply: @escaping @Sendable (Bool) -> Void) {
        reply(true)
    }

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
    package func close() throws(StoreError) { try base.close() }
}
