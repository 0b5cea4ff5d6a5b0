import ActorHost
import ByteCoding
import Identifiers
import MailboxCore
import PartitionStore
import TimeAndChance

/// The storage of a simulated process as its host sees it: `ReplicationDriver`, without threads. What the
/// host brings gathers until the simulation takes it; what the tables have is read from the machine's disk.
///
/// Sound to share: a simulation has one thread.
final class SimulatedStore: HostStore, @unchecked Sendable {
    let identity: StoreIdentity
    private unowned let machine: SimulatedMachine
    /// The real store, in plans that have one; then the tables are its.
    private var base: PartitionStore?
    private(set) var records: [SealedRecord] = []
    private(set) var reads: [(partition: PartitionID, reply: @Sendable (Bool) -> Void)] = []
    /// Somebody waits for the tables.
    var wantsApply = false
    /// The process has ended: nothing reaches the disk or the others any more.
    var isDead = false
    private(set) var onEvents: (@Sendable ([PartitionEvent]) -> Void)?
    private(set) var onApplied: (@Sendable ([DurableMark]) -> Void)?

    init(_ identity: StoreIdentity, on machine: SimulatedMachine) {
        self.identity = identity
        self.machine = machine
        base = machine.files?.store
    }

    var hasNews: Bool { !records.isEmpty || !reads.isEmpty }

    func takeRecords() -> [SealedRecord] {
        defer { records = [] }
        return records
    }

    func takeReads() -> [(partition: PartitionID, reply: @Sendable (Bool) -> Void)] {
        defer { reads = [] }
        return reads
    }

    func end() {
        isDead = true
        base = nil
        (records, reads) = ([], [])
        (onEvents, onApplied) = (nil, nil)
    }

    // MARK: HostStore

    var backlogBytes: Int { base?.backlogBytes ?? 0 }
    var startsEmptyLogs: Bool { true }

    func start(
        onEvents: @escaping @Sendable ([PartitionEvent]) -> Void,
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) { self.onEvents = onEvents }

    func append(_ records: [SealedRecord]) { if !isDead { self.records += records } }

    func confirmRead(_ partition: PartitionID, _ reply: @escaping @Sendable (Bool) -> Void) {
        if isDead { reply(false) } else { reads.append((partition, reply)) }
    }

    func setOnApplied(_ handler: @escaping @Sendable ([DurableMark]) -> Void) {
        if let base { base.setOnApplied(handler) } else { onApplied = handler }
    }

    func requestApply(_ partitions: [PartitionID]) {
        base?.requestApply(partitions)
        wantsApply = true
    }

    /// Everything up to there is committed.
    func commit(_ position: LogPosition, of partition: PartitionID) {
        base?.commit([DurableMark(partition: partition, position: position)])
    }
    func close() {}

    private func tables(_ partition: PartitionID) -> PartitionRows {
        isDead ? PartitionRows() : machine.disk.partitions[Int(partition.rawValue)].rows ?? PartitionRows()
    }

    func appliedPosition(of partition: PartitionID) -> LogPosition {
        base?.appliedPosition(of: partition) ?? machine.disk.partitions[Int(partition.rawValue)].applied
    }

    func actor(at address: ActorAddress, in partition: PartitionID) throws(StoreError) -> StoredActor? {
        if let base { return try base.actor(at: address, in: partition) }
        return tables(partition).row(at: address)?.stored
    }

    func actor(_ id: ActorID, in partition: PartitionID) throws(StoreError) -> StoredActor? {
        if let base { return try base.actor(id, in: partition) }
        return tables(partition).rows[id]?.stored
    }

    func items(
        of actor: ActorID, in partition: PartitionID, space: ItemSpace
    ) throws(StoreError) -> [StoredItem] {
        if let base { return try base.items(of: actor, in: partition, space: space) }
        return tables(partition).items(of: actor, space).map { StoredItem(id: $0.key, body: $0.value) }
            .sorted { $0.id.lexicographicallyPrecedes($1.id) }
    }

    func dueActors(
        in partition: PartitionID, through time: UInt64, limit: Int
    ) throws(StoreError) -> [(id: ActorID, address: ActorAddress, wakeAt: UInt64)] {
        if let base { return try base.dueActors(in: partition, through: time, limit: limit) }
        let due = tables(partition).rows.values.compactMap { row in
            row.stored.wakeAt.map { (id: row.stored.id, address: row.stored.address, wakeAt: $0) }
        }
        return Array(
            due.filter { $0.wakeAt <= time }.sorted { ($0.wakeAt, $0.id) < ($1.wakeAt, $1.id) }
                .prefix(limit))
    }

    func actors(
        in partition: PartitionID, kind: String?, limit: Int, after: ActorAddress?
    ) throws(StoreError) -> [StoredActor] {
        if let base { return try base.actors(in: partition, kind: kind, limit: limit, after: after) }
        let all = tables(partition).rows.values.map(\.stored).sorted { $0.address < $1.address }
        let fitting = all.filter { stored in
            (kind.map { stored.address.kind.name == $0 } ?? true)
                && (after.map { stored.address > $0 } ?? true)
        }
        return Array(fitting.prefix(limit))
    }
}

/// Brings messages between partitions of different nodes, as `MeshCarrier` does: what the host gives away
/// gathers until the simulation sends it.
///
/// Sound to share: a simulation has one thread.
final class SimulatedCarrier: PartitionCarrier, @unchecked Sendable {
    private(set) var outgoing: [(batch: MessageBatch, done: @Sendable (BatchResult) -> Void)] = []
    /// On their way: to which machine, and who waits.
    var pending: [UInt64: (machine: Int, done: @Sendable (BatchResult) -> Void)] = [:]
    var nextID: UInt64
    var isDead = false

    init(process: Int) { nextID = UInt64(process) << 32 }

    func carry(_ batch: MessageBatch, _ done: @escaping @Sendable (BatchResult) -> Void) {
        if !isDead { outgoing.append((batch, done)) }
    }

    func take() -> [(batch: MessageBatch, done: @Sendable (BatchResult) -> Void)] {
        defer { outgoing = [] }
        return outgoing
    }

    func end() {
        isDead = true
        (outgoing, pending) = ([], [:])
    }
}

/// A machine's clocks, which the simulation sets.
///
/// Sound to share: a simulation has one thread.
final class SimulatedClock: HostClock, @unchecked Sendable {
    /// What a wall clock that is right shows at the beginning.
    static let start: UInt64 = 1_700_000_000_000_000
    /// What this machine's wall clock shows at the beginning.
    let start: UInt64
    var now: UInt64 = 0
    /// How far somebody has set it forward, or back.
    var jump: Int64 = 0
    var isReal: Bool { false }

    init(start: UInt64) { self.start = start }

    func reading() -> ClockReading {
        ClockReading(
            wall: Timestamp(rawValue: UInt64(Int64(start + now) + jump)), monotonic: now)
    }
}
