import ByteCoding
import DurableFiles
import Identifiers

/// The journal as it was found and proven when the directory was opened.
struct RecoveredJournal {
    let database: JournalDatabase
    let sequence: UInt64
    let hash: UInt64
    let oldest: UInt64
    let retention: Retention
    /// The end of each partition's log.
    let ends: [LogEnd]
    /// Records that are not in the tables yet, by partition.
    let unapplied: [[SealedRecord]]
    let index: LogIndex
    /// What each partition's replica begins with; empty unless the log is replicated.
    let logs: [RecoveredLog]

    /// Opens the journal in `directory`, unless SQLite would drop something of it or its structure is broken.
    static func open(
        directory: String, configuration: StoreConfiguration
    ) throws(StoreError) -> JournalDatabase {
        let path = directory + "/journal.db"
        guard DurableFile.exists(path) else { throw damage("the file \(path) is missing") }
        let scan = LogScan(try DurableFile.read(path + "-wal") ?? [])
        guard !scan.losesCommits else {
            throw damage(
                scan.isHeaderBroken
                    ? "the header of \(path)-wal is broken"
                    : "\(path)-wal breaks after frame \(scan.soundFrames), "
                        + "before \(scan.commitsAfter) commits")
        }
        let database = try JournalDatabase(
            path: path, pagesMax: configuration.journalPagesMax, logStep: configuration.journalLogStep)
        try database.check()
        return database
    }

    /// Proves every byte of the journal in `directory` against itself, the witness and the tables.
    /// - Parameter applied: the end of what each partition's tables have.
    static func read(
        directory: String, configuration: StoreConfiguration, applied: [LogEnd]
    ) throws(StoreError) -> RecoveredJournal {
        let witness = try readWitness(directory + "/witness")
        let database = try open(directory: directory, configuration: configuration)
        var reading = Reading(
            applied: applied, runBytesMax: min(512 << 10, configuration.journalBytesMax / 32),
            keepsSpans: configuration.isReplicated)
        try database.forEachRow { (key, row) throws(StoreError) in
            do {
                try reading.add(row, key: key)
            } catch let error as StoreError {
                throw error
            } catch {
                throw damage("row \(key): \(error)")
            }
        }
        let verifier = reading.verifier
        try verifier.finish(witness: witness)
        for partition in applied.indices {
            reading.index.settle(
                partition, end: verifier.end(of: partition).position, applied: applied[partition].epoch)
        }
        return RecoveredJournal(
            database: database, sequence: verifier.lastSequence, hash: verifier.lastHash,
            oldest: verifier.oldestSequence, retention: reading.retention,
            ends: applied.indices.map { verifier.end(of: $0) }, unapplied: reading.unapplied,
            index: reading.index, logs: configuration.isReplicated ? reading.logs(applied: applied) : [])
    }

    /// What the rows add up to, one after the other.
    private struct Reading {
        var verifier: ChainVerifier
        var retention: Retention
        var unapplied: [[SealedRecord]]
        var index: LogIndex

        init(applied: [LogEnd], runBytesMax: Int, keepsSpans: Bool) {
            verifier = ChainVerifier(applied: applied)
            retention = Retention(runBytesMax: runBytesMax)
            unapplied = [[SealedRecord]](repeating: [], count: applied.count)
            index = LogIndex(partitionCount: applied.count, keepsSpans: keepsSpans)
        }

        mutating func add(_ row: [UInt8], key: UInt64) throws {
            let header = try BatchHeader.decode(row)
            try verifier.row(header, key: key)
            var ends: [PartitionID: LogPosition] = [:]
            var cuts: [DurableMark] = []
            var others: [PartitionID] = []
            try RowEntries.forEach(row, header) { entry in
                switch entry {
                case .record(let record, let hash, let bytes):
                    let isUnapplied = try verifier.record(record, hash: hash)
                    ends[record.partition] = record.position
                    index.add(record.partition, record.position, record.epoch, sequence: key)
                    guard isUnapplied else { return }
                    unapplied[Int(record.partition.rawValue)].append(
                        SealedRecord(
                            partition: record.partition, position: record.position, hash: hash,
                            bytes: Array(row[bytes])))
                case .control(let control):
                    try add(control, key: key)
                    if let position = control.end {
                        ends[control.partition] = position
                        cuts.append(DurableMark(partition: control.partition, position: position))
                    } else {
                        others.append(control.partition)
                    }
                }
            }
            let marks = ends.map { DurableMark(partition: $0.key, position: $0.value) }
            retention.add(sequence: key, bytes: row.count, marks: marks, cuts: cuts, others: others)
        }

        private mutating func add(_ control: ControlEntry, key: UInt64) throws(StoreError) {
            let number = Int(control.partition.rawValue)
            guard number < unapplied.count else {
                throw damage("an entry of the unknown partition \(number)")
            }
            switch control.kind {
            case .truncate(let position):
                try verifier.truncate(control.partition, after: position)
                while let last = unapplied[number].last, last.position > position {
                    unapplied[number].removeLast()
                }
            case .reset(let reset):
                try verifier.reset(control.partition, to: reset.mark)
                unapplied[number] = []
            case .adopt, .epochStart: break
            }
            index.add(control, sequence: key)
        }

        func logs(applied: [LogEnd]) -> [RecoveredLog] {
            applied.indices.map { number in
                let partition = PartitionID(number)
                let (records, previousHash) = verifier.records(of: number)
                return RecoveredLog(
                    applied: applied[number], records: records, previousHash: previousHash,
                    epochs: index.epochs(partition),
                    promised: index.promised(partition))
            }
        }
    }

    private static func readWitness(_ path: String) throws(StoreError) -> Witness {
        guard let bytes = try DurableFile.read(path) else { throw damage("its witness \(path) is missing") }
        guard let witness = Witness(bytes) else { throw damage("its witness \(path) cannot be read") }
        return witness
    }

    private static func damage(_ detail: String) -> StoreError {
        .damaged(what: "the journal", detail: detail)
    }
}
