import ByteCoding
import ConsensusCore
import SQLiteDriver

/// The tables of one replica, durable when `commit` returns (R14).
///
/// A record is what `ConsensusCore` encodes, with its checksum. A snapshot is cut into chunks, because SQLite
/// holds a row in memory as a whole.
final class ConsensusDatabase {
    static let format = 1
    static let chunkBytes = 1 << 20

    private let connection: Connection
    private let path: String

    /// Makes the file with everything that a replica begins with. The caller syncs the directory.
    static func create(path: String, _ write: RecordedWrite, seal: Seal) throws(ConsensusStoreError) {
        do {
            let connection = try Connection(path: path, create: true)
            try connection.pragma("page_size=4096")
            try connection.pragma("journal_mode=WAL")
            try connection.pragma("synchronous=FULL")
            try connection.execute(
                """
                CREATE TABLE seal(id INTEGER PRIMARY KEY, record BLOB NOT NULL);
                CREATE TABLE hard_state(id INTEGER PRIMARY KEY, record BLOB NOT NULL);
                CREATE TABLE snapshot(number INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
                CREATE TABLE entries("index" INTEGER PRIMARY KEY, record BLOB NOT NULL);
                PRAGMA user_version=\(format);
                """)
            try store(write, seal: seal, to: connection)
            // Syncs the file; closing removes the log.
            try connection.checkpoint()
        } catch {
            throw ConsensusStoreError(error, path: path)
        }
    }

    init(path: String, pagesMax: Int?) throws(ConsensusStoreError) {
        self.path = path
        let mode: String?
        let version: Int
        do throws(SQLiteError) {
            connection = try Connection(path: path, create: false)
            try connection.pragma("locking_mode=EXCLUSIVE")
            mode = try connection.pragma("journal_mode=WAL")
            try connection.pragma("synchronous=FULL")
            try connection.pragma("secure_delete=OFF")
            try connection.pragma("cache_size=-4096")
            if let pagesMax { try connection.pragma("max_page_count=\(pagesMax)") }
            try connection.keepLogOnClose()
            version = Int(try connection.pragma("user_version") ?? "") ?? 0
        } catch {
            throw ConsensusStoreError(error, path: path)
        }
        guard mode == "wal" else {
            throw .io(
                operation: "turning on the write-ahead log", path: path,
                reason: "the file system does not support it")
        }
        guard version == Self.format else {
            if version > Self.format { throw .newerFormat(path: path, detail: "format \(version)") }
            throw .damaged(path: path, detail: "it has no format version")
        }
    }

    // MARK: Writing

    /// One transaction; it is on disk when this returns.
    func commit(_ write: RecordedWrite, seal: Seal) throws(ConsensusStoreError) {
        do {
            try Self.store(write, seal: seal, to: connection)
        } catch {
            throw ConsensusStoreError(error, path: path)
        }
    }

    /// Copies the write-ahead log into the file and syncs both.
    func checkpoint() throws(ConsensusStoreError) {
        do { try connection.checkpoint() } catch { throw ConsensusStoreError(error, path: path) }
    }

    /// Bytes in the write-ahead log that are not known to be in the file.
    var logBytes: Int { connection.logPages * 4_096 }

    private static func store(
        _ write: RecordedWrite, seal: Seal, to connection: Connection
    ) throws(SQLiteError) {
        try connection.transaction { () throws(SQLiteError) in
            func run(_ sql: String, _ number: UInt64, _ bytes: ArraySlice<UInt8>? = nil) throws(SQLiteError) {
                let statement = try connection.statement(sql)
                try statement.bind(Int64(bitPattern: number), at: 1)
                guard let bytes else { return try statement.run() }
                try bytes.withUnsafeBufferPointer { bytes throws(SQLiteError) in
                    try statement.bind(borrowing: bytes, at: 2)
                    try statement.run()
                }
            }
            if let record = write.hardState {
                try run("INSERT OR REPLACE INTO hard_state VALUES(?1, ?2)", 1, record[...])
            }
            if let record = write.snapshot {
                try run("DELETE FROM snapshot WHERE number >= ?1", 0)
                for start in stride(from: 0, to: record.count, by: chunkBytes) {
                    let chunk = record[start..<min(start + chunkBytes, record.count)]
                    try run("INSERT INTO snapshot VALUES(?1, ?2)", UInt64(start / chunkBytes), chunk)
                }
            }
            if let from = write.removeFrom { try run("DELETE FROM entries WHERE \"index\" >= ?1", from) }
            if let through = write.removeThrough {
                try run("DELETE FROM entries WHERE \"index\" <= ?1", through)
            }
            for (index, record) in write.entries {
                try run("INSERT INTO entries VALUES(?1, ?2)", index, record[...])
            }
            try run("INSERT OR REPLACE INTO seal VALUES(?1, ?2)", 1, seal.encoded()[...])
        }
    }

    // MARK: Reading

    /// Proves the structure of the file, which the checksums of the records do not cover: a broken list of
    /// free pages would let new rows overwrite old ones.
    func check() throws(ConsensusStoreError) {
        let answer: String?
        do {
            answer = try connection.pragma("quick_check(1)")
        } catch {
            throw ConsensusStoreError(error, path: path)
        }
        guard answer == "ok" else { throw damage(answer ?? "SQLite's check gave no answer") }
    }

    func readSeal() throws(ConsensusStoreError) -> Seal {
        let record = try row("SELECT id, record FROM seal", "the seal")
        return try decode("the seal") { () throws(WireError) in try Seal.decode(record) }
    }

    /// Reads everything and proves it against the seal: a row that is lost, or is an older one, does not fit.
    func readState(_ seal: Seal) throws(ConsensusStoreError) -> (Raft.PersistentState, Ledger) {
        var write = RecordedWrite(Raft.PersistentState())
        let hardState = try row("SELECT id, record FROM hard_state", "the hard state")
        var snapshot: [UInt8] = []
        var chunks: UInt64 = 0
        var misplaced = false
        try forEachRow("SELECT number, bytes FROM snapshot ORDER BY number") { number, bytes in
            misplaced = misplaced || number != chunks
            chunks += 1
            snapshot += bytes
        }
        try forEachRow("SELECT \"index\", record FROM entries ORDER BY \"index\"") { index, record in
            write.entries.append((index, record))
        }
        guard XXH64.hash(hardState) == seal.hardStateHash else {
            throw damage("the hard state is not the last one")
        }
        guard !misplaced, XXH64.hash(snapshot) == seal.snapshotHash else {
            throw damage("the snapshot is not the last one")
        }
        var state = Raft.PersistentState()
        state.hardState = try decode("the hard state") { () throws(WireError) in try .decode(hardState) }
        state.snapshot = try decode("the snapshot") { () throws(WireError) in try .decode(snapshot) }
        for (index, record) in write.entries {
            let entry = try decode("entry \(index)") { () throws(WireError) in try Raft.Entry.decode(record) }
            guard entry.index == index else {
                throw damage("the entry \(index) says that it is \(entry.index)")
            }
            state.entries.append(entry)
        }
        do {
            try state.check()
        } catch {
            switch error {
            case .gap(let index): throw damage("an entry before \(index) is missing")
            case .termOutOfOrder(let index): throw damage("the term of entry \(index) is out of order")
            }
        }
        (write.hardState, write.snapshot) = (hardState, snapshot)
        write.snapshotIndex = state.snapshot.position.index
        var ledger = Ledger(replica: seal.replica, sequence: seal.sequence)
        try ledger.apply(write)
        guard ledger.seal == seal else {
            throw damage(
                "\(state.entries.count) entries are there, not the \(seal.entryCount) that were written")
        }
        return (state, ledger)
    }

    private func row(_ sql: String, _ what: String) throws(ConsensusStoreError) -> [UInt8] {
        var found: [[UInt8]] = []
        try forEachRow(sql) { _, bytes in found.append(bytes) }
        guard found.count == 1 else { throw damage("\(what) is missing") }
        return found[0]
    }

    private func forEachRow(
        _ sql: String, _ visit: (UInt64, [UInt8]) -> Void
    ) throws(ConsensusStoreError) {
        do {
            let rows = try connection.statement(sql)
            defer { rows.reset() }
            while try rows.step() { visit(UInt64(bitPattern: rows.integer(at: 0)), rows.blob(at: 1)) }
        } catch {
            throw ConsensusStoreError(error, path: path)
        }
    }

    private func decode<Value>(
        _ what: String, _ read: () throws(WireError) -> Value
    ) throws(ConsensusStoreError) -> Value {
        do {
            return try read()
        } catch {
            if case .version = error { throw .newerFormat(path: path, detail: "\(error)") }
            throw damage("\(what): \(error)")
        }
    }

    private func damage(_ detail: String) -> ConsensusStoreError { .damaged(path: path, detail: detail) }
}
