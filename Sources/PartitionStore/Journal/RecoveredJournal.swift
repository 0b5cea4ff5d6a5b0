import ByteCoding
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

    /// Opens the lane's files in `directory` and proves every byte of the journal against itself, the witness
    /// and the tables.
    /// - Parameter applied: the end of what each partition's tables have.
    static func read(
        directory: String, configuration: StoreConfiguration, applied: [LogEnd]
    ) throws(StoreError) -> RecoveredJournal {
        let path = directory + "/journal.db"
        let witness = try readWitness(directory + "/witness")
        guard DurableFile.exists(path) else { throw damage("the file \(path) is missing") }
        let scan = LogScan(try DurableFile.read(path + "-wal") ?? [])
        guard !scan.losesCommits else {
            throw damage(
                scan.isHeaderBroken
                    ? "the header of \(path)-wal is broken"
                    : "\(path)-wal breaks after frame \(scan.soundFrames), "
                        + "before \(scan.commitsAfter) commits")
        }
        let database = try JournalDatabase(path: path, pagesMax: configuration.journalPagesMax)
        try database.check()
        var verifier = ChainVerifier(applied: applied)
        var retention = Retention(runBytesMax: min(512 << 10, configuration.journalBytesMax / 32))
        var unapplied = [[SealedRecord]](repeating: [], count: applied.count)
        try database.forEachRow { (key, row) throws(StoreError) in
            do {
                let header = try BatchHeader.decode(row)
                try verifier.row(header, key: key)
                let marks = try records(of: row, header, &verifier, &unapplied)
                retention.add(sequence: key, bytes: row.count, marks: marks)
            } catch let error as WireError {
                throw damage("row \(key): \(error)")
            } catch let error as StoreError {
                throw error
            } catch {
                throw damage("row \(key): \(error)")
            }
        }
        try verifier.finish(witness: witness)
        return RecoveredJournal(
            database: database, sequence: verifier.lastSequence, hash: verifier.lastHash,
            oldest: verifier.oldestSequence, retention: retention,
            ends: applied.indices.map { verifier.end(of: $0) }, unapplied: unapplied)
    }

    private static func records(
        of row: [UInt8], _ header: BatchHeader, _ verifier: inout ChainVerifier,
        _ unapplied: inout [[SealedRecord]]
    ) throws -> [DurableMark] {
        var reader = try ByteReader(row, in: BatchHeader.byteCount..<row.count)
        var ends: [PartitionID: LogPosition] = [:]
        for _ in 0..<header.recordCount {
            let start = reader.offset
            let (record, hash) = try JournalRecord.decode(&reader, from: row)
            ends[record.partition] = record.position
            guard try verifier.record(record, hash: hash) else { continue }
            unapplied[Int(record.partition.rawValue)].append(
                SealedRecord(
                    partition: record.partition, position: record.position, hash: hash,
                    bytes: Array(row[start..<reader.offset])))
        }
        try reader.finish()
        return ends.map { DurableMark(partition: $0.key, position: $0.value) }
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
