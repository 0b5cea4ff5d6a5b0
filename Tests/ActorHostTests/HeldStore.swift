import ActorHost
import ByteCoding
import Identifiers
import PartitionStore
import Synchronization
import WorkflowTrials

/// A store that says of nothing that it is durable, or applied, until it is told to.
final class HeldStore: HostStore {
    private struct Held {
        var committed: [PartitionEvent] = []
        var holdsDurable = false
        var holdsApplied = false
        var onEvents: (@Sendable ([PartitionEvent]) -> Void)?
        var onApplied: (@Sendable ([DurableMark]) -> Void)?
    }

    let base: MemoryStore
    private let held = Mutex(Held())

    init(_ base: MemoryStore = MemoryStore()) { self.base = base }

    func holdDurable() { held.withLock { $0.holdsDurable = true } }
    func holdApplied() { held.withLock { $0.holdsApplied = true } }

    /// Marks that wait to be told.
    var waiting: Int { held.withLock { $0.committed.count } }

    /// Tells the first marks that were held back, or all of them, and from then on holds no more.
    func releaseDurable(_ count: Int? = nil) {
        let (marks, tell) = held.withLock { held in
            let marks = Array(held.committed.prefix(count ?? .max))
            held.committed.removeFirst(marks.count)
            if count == nil { held.holdsDurable = false }
            return (marks, held.onEvents)
        }
        for mark in marks { tell?([mark]) }
    }

    func releaseApplied() {
        let tell = held.withLock { held in
            held.holdsApplied = false
            return held.onApplied
        }
        for partition in 0..<identity.ring.partitionCount {
            let id = PartitionID(partition)
            tell?([DurableMark(partition: id, position: base.appliedPosition(of: id))])
        }
    }

    // MARK: HostStore

    var identity: StoreIdentity { base.identity }
    var backlogBytes: Int { base.backlogBytes }
    var startsEmptyLogs: Bool { base.startsEmptyLogs }

    func start(
        onEvents: @escaping @Sendable ([PartitionEvent]) -> Void,
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) {
        held.withLock { $0.onEvents = onEvents }
        base.start(
            onEvents: { [weak self] events in
                let isHeld = self?.held.withLock { held in
                    if held.holdsDurable { held.committed += events }
                    return held.holdsDurable
                }
                if isHeld == false { onEvents(events) }
            }, onFailure: onFailure)
    }

    func confirmRead(_ partition: PartitionID, _ reply: @escaping @Sendable (Bool) -> Void) {
        base.confirmRead(partition, reply)
    }

    func setOnApplied(_ handler: @escaping @Sendable ([DurableMark]) -> Void) {
        held.withLock { $0.onApplied = handler }
        base.setOnApplied { [weak self] marks in
            let isHeld = self?.held.withLock { $0.holdsApplied }
            if isHeld == false { handler(marks) }
        }
    }

    func appliedPosition(of partition: PartitionID) -> LogPosition {
        held.withLock { held in
            guard held.holdsApplied else { return nil }
            return LogPosition.zero
        } ?? base.appliedPosition(of: partition)
    }

    func append(_ records: [SealedRecord]) { base.append(records) }
    func requestApply(_ partitions: [PartitionID]) { base.requestApply(partitions) }
    func actor(at address: ActorAddress, in partition: PartitionID) -> StoredActor? {
        base.actor(at: address, in: partition)
    }
    func actor(_ id: ActorID, in partition: PartitionID) -> StoredActor? { base.actor(id, in: partition) }
    func items(of actor: ActorID, in partition: PartitionID, space: ItemSpace) -> [StoredItem] {
        base.items(of: actor, in: partition, space: space)
    }
    func dueActors(
        in partition: PartitionID, through time: UInt64, limit: Int
    ) -> [(id: ActorID, address: ActorAddress, wakeAt: UInt64)] {
        base.dueActors(in: partition, through: time, limit: limit)
    }
    func actors(in partition: PartitionID, kind: String?, limit: Int, after: ActorAddress?) -> [StoredActor] {
        base.actors(in: partition, kind: kind, limit: limit, after: after)
    }
    func close() {}
}
