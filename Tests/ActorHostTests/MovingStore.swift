import ActorHost
import ByteCoding
import Identifiers
import PartitionStore
import Synchronization
import WorkflowTrials

/// A store whose partitions come and go as the test says, and that commits, applies and confirms when it is
/// told to. Its tables are those of a `MemoryStore`, which proves the chain of the records.
final class MovingStore: HostStore {
    enum Confirmation { case yes, no, held }

    private struct Partition {
        var epoch: Epoch?
        /// The last epoch that there was.
        var last = Epoch(rawValue: 0)
        /// Appended, in the log, and not committed.
        var tail: [SealedRecord] = []
        /// Committed and not applied.
        var unapplied: [SealedRecord] = []
        /// The epoch's first record is not committed yet.
        var isServing = false
    }

    private struct Live {
        var partitions: [PartitionID: Partition] = [:]
        var holdsCommits = false
        var holdsApplying = false
        var holdsServing = false
        var confirmation = Confirmation.yes
        var confirming: [@Sendable (Bool) -> Void] = []
        /// Records that came for an epoch that was over.
        var late = 0
        var applyRequests: [PartitionID] = []
        var onEvents: (@Sendable ([PartitionEvent]) -> Void)?
        var onApplied: (@Sendable ([DurableMark]) -> Void)?
    }

    let base = MemoryStore()
    private let live = Mutex(Live())

    // MARK: What the test does

    func holdCommits() { live.withLock { $0.holdsCommits = true } }

    /// Commits what has come meanwhile, and from now on everything at once.
    func resumeCommits() {
        let partitions = live.withLock { live in
            live.holdsCommits = false
            return live.partitions.keys.sorted()
        }
        for partition in partitions { commit(partition) }
    }

    func holdApplying() { live.withLock { $0.holdsApplying = true } }
    func holdServing() { live.withLock { $0.holdsServing = true } }
    func confirm(_ confirmation: Confirmation) { live.withLock { $0.confirmation = confirmation } }
    var late: Int { live.withLock { $0.late } }
    var confirming: Int { live.withLock { $0.confirming.count } }
    var applyRequests: [PartitionID] { live.withLock { $0.applyRequests } }

    /// Records of a partition that are in the log and not committed.
    func uncommitted(_ partition: PartitionID) -> Int {
        live.withLock { $0.partitions[partition]?.tail.count ?? 0 }
    }

    /// Makes this node the owner, in a new epoch.
    /// - Parameter time: in place of the last record's.
    func lead(_ partition: PartitionID, time: UInt64? = nil) {
        let (epoch, end, tell) = live.withLock { live in
            var own = live.partitions[partition] ?? Partition()
            own.last = Epoch(rawValue: own.last.rawValue + 1)
            own.epoch = own.last
            own.isServing = false
            live.partitions[partition] = own
            var end = base.logEnd(of: partition)
            if let last = (own.unapplied + own.tail).last { end = LogEnd(last) }
            end.time = max(end.time, time ?? 0)
            return (own.last, end, live.onEvents)
        }
        tell?([.lead(partition, epoch, after: end)])
    }

    /// Ends the epoch.
    /// - Parameter kept: records that are not committed and are in the log of the next epoch; the others are
    ///   cut off.
    func standDown(_ partition: PartitionID, keeping kept: Int = 0) {
        let (epoch, tell) = live.withLock { live in
            var own = live.partitions[partition] ?? Partition()
            own.epoch = nil
            own.tail = Array(own.tail.prefix(kept))
            live.partitions[partition] = own
            return (own.last, live.onEvents)
        }
        tell?([.standDown(partition, epoch)])
    }

    /// Commits what is in the log, or the first records of it.
    func commit(_ partition: PartitionID, _ count: Int? = nil) {
        var events: [PartitionEvent] = []
        let (tell, applies) = live.withLock { live in
            guard var own = live.partitions[partition], let epoch = own.epoch else {
                return (live.onEvents, false)
            }
            let records = own.tail.prefix(count ?? .max)
            own.tail.removeFirst(records.count)
            own.unapplied += records
            if let last = records.last {
                events.append(.committed(partition, last.position))
                if !own.isServing, !live.holdsServing, last.epoch == epoch {
                    own.isServing = true
                    events.append(.serve(partition, epoch))
                }
            }
            live.partitions[partition] = own
            return (live.onEvents, !live.holdsApplying)
        }
        if applies { apply(partition) }
        if !events.isEmpty { tell?(events) }
    }

    /// What a replica says once the epoch's first record is committed.
    func serve(_ partition: PartitionID) {
        let (epoch, tell) = live.withLock { live in
            live.partitions[partition]?.isServing = true
            return (live.partitions[partition]?.last ?? Epoch(rawValue: 0), live.onEvents)
        }
        tell?([.serve(partition, epoch)])
    }

    /// Applies what is committed.
    func apply(_ partition: PartitionID) {
        let (records, tell) = live.withLock { live in
            let records = live.partitions[partition]?.unapplied ?? []
            live.partitions[partition]?.unapplied = []
            return (records, live.onApplied)
        }
        guard let last = records.last else { return }
        base.append(records)
        tell?([DurableMark(partition: partition, position: last.position)])
    }

    /// Answers the reads that wait to be confirmed.
    func answerConfirmations(_ isConfirmed: Bool) {
        let waiting = live.withLock { live in
            defer { live.confirming = [] }
            return live.confirming
        }
        for reply in waiting { reply(isConfirmed) }
    }

    // MARK: HostStore

    var identity: StoreIdentity { base.identity }
    var backlogBytes: Int { 0 }
    var startsEmptyLogs: Bool { true }

    func start(
        onEvents: @escaping @Sendable ([PartitionEvent]) -> Void,
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) { live.withLock { $0.onEvents = onEvents } }

    func append(_ records: [SealedRecord]) {
        let commits = live.withLock { live in
            var commits: [PartitionID] = []
            for record in records {
                guard live.partitions[record.partition]?.epoch == record.epoch else {
                    live.late += 1
                    continue
                }
                live.partitions[record.partition]?.tail.append(record)
                if !commits.contains(record.partition) { commits.append(record.partition) }
            }
            return live.holdsCommits ? [] : commits
        }
        for partition in commits { commit(partition) }
    }

    func confirmRead(_ partition: PartitionID, _ reply: @escaping @Sendable (Bool) -> Void) {
        let answer: Bool? = live.withLock { live in
            switch live.confirmation {
            case .yes: return true
            case .no: return false
            case .held:
                live.confirming.append(reply)
                return nil
            }
        }
        if let answer { reply(answer) }
    }

    func appliedPosition(of partition: PartitionID) -> LogPosition { base.appliedPosition(of: partition) }
    func setOnApplied(_ handler: @escaping @Sendable ([DurableMark]) -> Void) {
        live.withLock { $0.onApplied = handler }
    }
    func requestApply(_ partitions: [PartitionID]) { live.withLock { $0.applyRequests += partitions } }
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

extension LogEnd {
    fileprivate init(_ record: SealedRecord) {
        guard let (header, hash) = try? JournalRecord.verify(record.bytes) else {
            preconditionFailure("a record that was just sealed is whole")
        }
        self.init(epoch: header.epoch, position: header.position, hash: hash, time: header.time)
    }
}
