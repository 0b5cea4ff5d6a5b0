import ByteCoding
import Identifiers
import Synchronization

/// One node's data directory: a journal that makes records durable, and tables for each partition that
/// committed records are applied to.
///
/// A record goes through `append`, is durable when `onDurable` names its position, counts as committed when
/// the caller says so with `commit`, and is then applied. After the first error of the journal or the tables,
/// nothing is acknowledged any more (R14).
public final class PartitionStore: Sendable {
    let directory: String
    let currentIdentity: Mutex<StoreIdentity>
    private let ends: [LogEnd]
    let lane: Lane
    let applier: Applier
    let snapshots: SnapshotWork
    let stopping: Stopping
    let lock: DirectoryLock
    let isStepped: Bool
    let life: Mutex<Life>

    struct Life {
        /// What the replicas begin with; let go of when the store is started.
        var logs: [RecoveredLog]
        var isStarted = false
        var isClosed = false
    }

    init(
        directory: String, identity: StoreIdentity, ends: [LogEnd], logs: [RecoveredLog], lane: Lane,
        applier: Applier, snapshots: SnapshotWork, stopping: Stopping, lock: DirectoryLock,
        isStepped: Bool
    ) {
        self.directory = directory
        currentIdentity = Mutex(identity)
        self.ends = ends
        life = Mutex(Life(logs: logs))
        self.lane = lane
        self.applier = applier
        self.snapshots = snapshots
        self.stopping = stopping
        self.lock = lock
        self.isStepped = isStepped
    }

    /// Ends the threads of a store that nobody closed; they finish what was appended, but nobody waits for
    /// them.
    deinit {
        guard !isStepped, life.withLock({ $0.isStarted && !$0.isClosed }) else { return }
        lane.requestStop()
        applier.requestStop()
    }

    /// Who the directory belongs to; of a member, with the incarnation that was recorded last.
    public var identity: StoreIdentity { currentIdentity.withLock { $0 } }

    /// Locks the directory, proves the journal and applies what the tables lack. For a node alone it also
    /// counts up the incarnation, and makes the directory if it does not exist.
    /// - Parameter lock: that of the directory, if the caller has it; the store takes it over, and releases
    ///   it when it is closed or let go of.
    /// - Throws: `.locked`, `.readOnly`, `.full`, `.newerFormat`, `.configuration`, `.io`, and `.damaged` if
    ///   any acknowledged record cannot be shown.
    public static func open(
        _ configuration: StoreConfiguration, holding lock: DirectoryLock? = nil
    ) throws(StoreError) -> PartitionStore {
        try Opening(configuration).open(holding: lock)
    }

    /// The end of a partition's log when the store was opened; all zero for an untouched partition.
    public func logEnd(of partition: PartitionID) -> LogEnd { ends[Int(partition.rawValue)] }

    /// Starts the journal's and the apply thread.
    /// - Parameters:
    ///   - onDurable: called by the journal's thread once for each group commit, after its sync, with the
    ///     highest position of each partition in it. It should only pass the news on: the next commit waits
    ///     for it.
    ///   - onFailure: called once, by either thread, with the error that stopped the store. The process
    ///     should end: records in flight may or may not be found at the next start.
    /// - Precondition: called once.
    public func start(
        onDurable: @escaping @Sendable ([DurableMark]) -> Void,
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) {
        start(onCommit: { onDurable($0.marks) }, onFailure: onFailure)
    }

    /// What both forms of `start` do.
    func begin(
        onCommit: @escaping @Sendable (GroupCommit) -> Void,
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) {
        let isFirst = life.withLock { life in
            defer {
                life.isStarted = true
                life.logs = []
            }
            return !life.isStarted && !life.isClosed
        }
        // A second pair of threads would commit the same records twice.
        precondition(isFirst, "the store was started twice or after it was closed")
        stopping.listen(onFailure)
        lane.listen(onCommit)
        if isStepped { return }
        lane.start()
        applier.start()
    }

    /// Queues records for the next group commit; callable from any thread, never waits for the disk.
    /// - Precondition: each partition's records come in the order of their positions, without gaps, beginning
    ///   after `logEnd(of:)`.
    public func append(_ records: [SealedRecord]) {
        guard stopping.error == nil else { return }
        lane.append(records)
    }

    /// Says that everything of a partition up to a position is committed, on all replicas. Only then, and
    /// once it is durable here, is it applied.
    public func commit(_ marks: [DurableMark]) { applier.commit(marks) }

    /// Bytes of records that were appended and are not yet applied; refuse work when it grows too large.
    public var backlogBytes: Int { applier.backlogBytes }

    /// Group commits of the journal since the start; each is one fsync.
    public var commitCount: UInt64 { lane.commits.load(ordering: .relaxed) }

    /// How many partitions' tables are open now.
    public var openTablesCount: Int { applier.tables.openCount }

    /// How far a partition's tables have come.
    public func appliedPosition(of partition: PartitionID) -> LogPosition { applier.applied(partition) }

    /// Sets what the apply thread calls after it has applied records, with the partitions' new positions.
    public func setOnApplied(_ tell: @escaping @Sendable ([DurableMark]) -> Void) { applier.listen(tell) }

    /// Applies what is committed of the partitions now instead of at the next interval.
    public func requestApply(_ partitions: [PartitionID]) { applier.request(partitions) }

    /// Commits what was appended, applies what is committed, syncs the witness and lets go of the directory.
    /// Must not be called from the store's callbacks.
    /// - Throws: `.closed` the second time, or the error that stopped the store.
    public func close() throws(StoreError) {
        let (isFirst, hasThreads) = life.withLock { life in
            defer { life.isClosed = true }
            return (!life.isClosed, life.isStarted && !isStepped)
        }
        guard isFirst else { throw .closed }
        lane.requestStop()
        if !hasThreads { lane.run() }
        lane.waitForEnd()
        applier.requestStop()
        if !hasThreads { applier.run() }
        applier.waitForEnd()
        applier.tables.end()
        snapshots.end()
        defer { lock.release() }
        try lane.close()
        if let error = stopping.error { throw error }
    }

    // MARK: Reading what is applied (from any thread; `.closed` after closing)

    /// The actor at an address.
    public func actor(
        at address: ActorAddress, in partition: PartitionID
    ) throws(StoreError) -> StoredActor? {
        try read(partition) { (file) throws(StoreError) in try file.actor(at: address) }
    }

    /// The actor with an identifier.
    public func actor(_ id: ActorID, in partition: PartitionID) throws(StoreError) -> StoredActor? {
        try read(partition) { (file) throws(StoreError) in try file.actor(id) }
    }

    /// An actor's items of one space, in the byte order of their identifiers.
    public func items(
        of actor: ActorID, in partition: PartitionID, space: ItemSpace
    ) throws(StoreError) -> [StoredItem] {
        try read(partition) { (file) throws(StoreError) in
            try file.items(of: actor, space: space)
        } ?? []
    }

    /// At most `limit` actors that must be woken at or before `time` (microseconds since 1970), earliest
    /// first.
    public func dueActors(
        in partition: PartitionID, through time: UInt64, limit: Int
    ) throws(StoreError) -> [(id: ActorID, address: ActorAddress, wakeAt: UInt64)] {
        try read(partition) { (file) throws(StoreError) in
            try file.dueActors(through: time, limit: limit)
        } ?? []
    }

    /// When the first actor of the partition must be woken (microseconds since 1970); nil if none must.
    public func nextWake(in partition: PartitionID) throws(StoreError) -> UInt64? {
        try read(partition) { (file) throws(StoreError) in try file.nextWake() }
    }

    /// At most `limit` actors in the order of kind and key.
    /// - Parameters:
    ///   - kind: only actors of this kind, or nil for all.
    ///   - after: the last address of the page before.
    public func actors(
        in partition: PartitionID, kind: String?, limit: Int, after: ActorAddress?
    ) throws(StoreError) -> [StoredActor] {
        try read(partition) { (file) throws(StoreError) in
            try file.actors(kind: kind, limit: limit, after: after)
        } ?? []
    }

    private func read<Result: Sendable>(
        _ partition: PartitionID, _ body: (StateFile) throws(StoreError) -> Result?
    ) throws(StoreError) -> Result? {
        defer { applier.tables.closeIdle() }
        return try applier.tables[Int(partition.rawValue)].read(body)
    }
}
