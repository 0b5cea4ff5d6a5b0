import Identifiers

/// What only the lane's thread touches: the journal, its witness, and the row that is being gathered.
struct LaneWriter {
    let journal: JournalDatabase
    private let witness: WitnessFile
    private let applier: Applier
    private let pins: JournalPins
    private let configuration: StoreConfiguration
    private var builder: BatchBuilder
    private var retention: Retention
    private(set) var index: LogIndex
    private var sequence: UInt64
    private var hash: UInt64
    private var oldest: UInt64
    private var isTrimming = false
    private var nextWitnessSync: Duration
    private var nextSyncRequest = Duration.zero

    init(
        recovered: RecoveredJournal, witness: WitnessFile, applier: Applier, pins: JournalPins,
        configuration: StoreConfiguration
    ) {
        journal = recovered.database
        retention = recovered.retention
        index = recovered.index
        sequence = recovered.sequence
        hash = recovered.hash
        oldest = recovered.oldest
        self.witness = witness
        self.applier = applier
        self.pins = pins
        self.configuration = configuration
        builder = BatchBuilder(
            partitionCount: applier.tables.count, bytesMax: configuration.batchBytesMax,
            entriesMax: configuration.batchRecordsMax)
        nextWitnessSync = configuration.clock() + configuration.witnessInterval
    }

    /// Commits entries from `start` on, as many as one row takes.
    /// - Returns: the index after the last committed one, and how far each partition is durable now.
    mutating func commit(
        _ entries: [JournalEntry], from start: Int
    ) throws(StoreError) -> (end: Int, marks: [DurableMark]) {
        builder.removeAll()
        var end = start
        while end < entries.count, builder.add(entries[end]) {
            index.add(entries[end], sequence: sequence + 1)
            end += 1
        }
        let old = trim()
        if let old { oldest = old + 1 }
        let header = builder.seal(sequence: sequence + 1, oldest: oldest, previousHash: hash)
        try journal.append(builder.row, sequence: header.sequence, deletingThrough: old)
        sequence = header.sequence
        hash = header.hash
        try witness.write(Witness(sequence: sequence, hash: hash))
        retention.add(
            sequence: sequence, bytes: builder.row.count, marks: builder.marks, cuts: builder.cuts,
            others: builder.others)
        return (end, builder.marks)
    }

    /// What may wait until after the acknowledgement.
    /// - Returns: whether something was done.
    @discardableResult
    mutating func tidy() throws(StoreError) -> Bool {
        let mustCheckpoint = journal.logBytes > configuration.journalLogBytesMax
        if mustCheckpoint { try journal.checkpoint() }
        let mustPrepare = journal.isLogShort
        if mustPrepare { try journal.prepareLog() }
        let mustSync = witness.isUnsynced && configuration.clock() >= nextWitnessSync
        if mustSync { try syncWitness() }
        // A log that could not be copied as a whole is tried again after the next commit, not at once.
        let isCopied = mustCheckpoint && journal.logBytes <= configuration.journalLogBytesMax
        return isCopied || mustPrepare || mustSync
    }

    /// Whether the thread should call `tidy()` although nothing is appended.
    var hasUnsyncedWitness: Bool { witness.isUnsynced }

    mutating func syncWitness() throws(StoreError) {
        try witness.sync()
        nextWitnessSync = configuration.clock() + configuration.witnessInterval
    }

    /// Chooses rows to delete with the row that is about to be written: once the journal is above its limit,
    /// about twice as much as comes in until half is left, so that no commit waits long for it.
    private mutating func trim() -> UInt64? {
        let target = configuration.journalBytesMax / 2
        if retention.bytes > configuration.journalBytesMax { isTrimming = true }
        guard isTrimming else { return nil }
        let floor = max(target, retention.bytes - 2 * builder.row.count - 1)
        breakPins()
        let floors = pins.floors
        let gone = applier.withSynced { synced in
            Self.trim(&retention, to: floor) { min(synced($0), floors[$0] ?? synced($0)) }
        }
        if retention.bytes <= target { isTrimming = false }
        guard let last = gone.last?.last else {
            let now = configuration.clock()
            if now >= nextSyncRequest {
                nextSyncRequest = now + .milliseconds(100)
                applier.sync(applier.withSynced { retention.pinning(target: target, synced: $0) })
            }
            return nil
        }
        let partitions = Set(gone.flatMap { $0.ends.keys }).sorted()
        for control in index.trim(through: last, of: partitions, carryingTo: sequence + 1) {
            builder.carry(control)
        }
        return last
    }

    /// Above the limit, replicas that would need the oldest rows are not waited for any more.
    private func breakPins() {
        let limit = configuration.journalBytesMax + configuration.pinnedJournalBytesMax
        guard retention.bytes > limit, let oldest = retention.runs.first else { return }
        pins.breakPins(keeping: oldest.ends)
    }

    private static func trim(
        _ retention: inout Retention, to floor: Int, _ synced: (PartitionID) -> LogPosition
    ) -> [Retention.Run] {
        var gone: [Retention.Run] = []
        while retention.bytes > floor, let run = retention.trim(synced: synced) { gone.append(run) }
        return gone
    }
}
