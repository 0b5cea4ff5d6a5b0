import ByteCoding
import DurableFiles
import Identifiers
import SQLiteDriver

/// The tables of one partition: what its committed records add up to. Not durable at commit
/// (`synchronous=NORMAL`); a power failure takes back the latest transactions as a whole, and the journal
/// still has their records.
final class StateFile {
    let connection: Connection
    let path: String
    let what: String
    /// The end of what was applied.
    private(set) var applied: LogEnd

    static let version = 1
    private static let schema = """
        CREATE TABLE meta(
            id INTEGER PRIMARY KEY CHECK(id = 1), appliedPosition INTEGER NOT NULL,
            appliedHash INTEGER NOT NULL, appliedEpoch INTEGER NOT NULL, appliedTime INTEGER NOT NULL);
        INSERT INTO meta VALUES(1, 0, 0, 0, 0);
        CREATE TABLE actor(
            id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key BLOB NOT NULL, created INTEGER NOT NULL,
            wake INTEGER, run BLOB, state BLOB, input BLOB, UNIQUE(kind, key));
        CREATE INDEX actor_wake ON actor(wake) WHERE wake IS NOT NULL;
        CREATE TABLE item(
            actor INTEGER NOT NULL, space INTEGER NOT NULL, id BLOB NOT NULL, body BLOB NOT NULL,
            PRIMARY KEY(actor, space, id)) WITHOUT ROWID;
        """

    /// The bytes of a file with the schema and no rows. Copying them is much cheaper than running the schema.
    /// - Parameter scratch: a path that may be overwritten and is deleted again.
    static func template(scratch: String) throws(StoreError) -> [UInt8] {
        try DurableFile.remove(scratch)
        do {
            let connection = try Connection(path: scratch, create: true)
            // The copies are synced, not the template.
            try connection.pragma("synchronous=OFF")
            try connection.pragma("page_size=4096")
            try connection.execute(schema)
            try connection.pragma("user_version=\(version)")
            try connection.pragma("journal_mode=WAL")
        } catch {
            throw StoreError(error, what: "the template of the tables", path: scratch)
        }
        defer { for suffix in ["", "-wal", "-shm"] { try? DurableFile.remove(scratch + suffix) } }
        guard let bytes = try DurableFile.read(scratch) else {
            throw .io(operation: "reading", path: scratch, reason: "it vanished")
        }
        return bytes
    }

    /// Opens an existing file.
    init(path: String, what: String) throws(StoreError) {
        self.path = path
        self.what = what
        do {
            connection = try Connection(path: path, create: false)
            // Many are open at once: each gets little memory.
            try connection.setLookaside(slotBytes: 256, slots: 64)
            try connection.pragma("locking_mode=EXCLUSIVE")
            try connection.pragma("synchronous=NORMAL")
            try connection.pragma("cache_size=-48")
            try connection.keepLogOnClose()
            let version = Int(try connection.pragma("user_version") ?? "") ?? 0
            let meta = try connection.statement(
                "SELECT appliedEpoch, appliedPosition, appliedHash, appliedTime FROM meta WHERE id = 1")
            guard version == Self.version, try meta.step() else {
                if version > Self.version {
                    throw StoreError.newerFormat(what: what, found: version, newest: Self.version)
                }
                throw StoreError.damaged(what: what, detail: "it does not say how far it was applied")
            }
            applied = LogEnd(
                epoch: Epoch(rawValue: try UInt64(bitPattern: meta.integer(at: 0)).countable("its epoch")),
                position: LogPosition(
                    rawValue: try UInt64(bitPattern: meta.integer(at: 1)).countable("its position")),
                hash: UInt64(bitPattern: meta.integer(at: 2)), time: UInt64(bitPattern: meta.integer(at: 3)))
            meta.reset()
            connection.releaseMemory()
        } catch let error as SQLiteError {
            throw StoreError(error, what: what, path: path)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .damaged(what: what, detail: "\(error)")
        }
    }

    /// Runs `body` with SQLite's errors told as the store's.
    func attempt<Result>(_ body: () throws(SQLiteError) -> Result) throws(StoreError) -> Result {
        do { return try body() } catch { throw StoreError(error, what: what, path: path) }
    }

    /// Brings everything applied so far onto the disk.
    /// - Returns: whether all of it is in the file itself.
    @discardableResult
    func checkpoint() throws(StoreError) -> Bool {
        try attempt { () throws(SQLiteError) in try connection.checkpoint() }
    }

    /// Proves the structure of the file, which takes about a millisecond for each MiB.
    func check() throws(StoreError) {
        let answer = try attempt { () throws(SQLiteError) in try connection.pragma("quick_check(1)") }
        guard answer == "ok" else {
            throw .damaged(what: what, detail: answer ?? "SQLite's check gave no answer")
        }
    }

    /// Bytes in the write-ahead log that are not known to be in the file.
    var logBytes: Int { connection.logPages * 4_096 }

    /// The length of the file itself.
    func fileBytes() throws(StoreError) -> Int {
        try attempt { () throws(SQLiteError) in try connection.fileBytes() }
    }

    /// Bytes of the file itself.
    func readFile(_ range: Range<Int>) throws(StoreError) -> [UInt8] {
        try attempt { () throws(SQLiteError) in try connection.readFile(range) }
    }

    /// Applies neighbouring records of this partition, the first of which follows `applied`.
    func apply(_ records: [SealedRecord]) throws(StoreError) {
        var coalescer = TurnCoalescer()
        var end = applied
        do {
            for record in records {
                // The bytes were proven when they were sealed or read back; only the parts needed here are
                // parsed.
                var reader = ByteReader(record.bytes)
                _ = try reader.skip(8)
                end = LogEnd(
                    epoch: Epoch(rawValue: try reader.fixed()), position: record.position,
                    hash: record.hash, time: 0)
                _ = try reader.skip(8)
                end.time = try reader.fixed()
                guard record.bytes[1] == JournalRecord.Kind.turn.rawValue else { continue }
                try coalescer.add(
                    position: record.position, body: Array(record.bytes[JournalRecord.headerBytes...]))
            }
        } catch {
            throw .damaged(what: "a record of \(what)", detail: error.description)
        }
        try attempt { () throws(SQLiteError) in
            try connection.transaction { () throws(SQLiteError) in
                try write(coalescer.changes)
                try write(end)
            }
        }
        applied = end
        connection.releaseMemory()
    }

    private func write(_ end: LogEnd) throws(SQLiteError) {
        let update = try connection.statement(
            """
            UPDATE meta SET appliedEpoch = ?1, appliedPosition = ?2, appliedHash = ?3, appliedTime = ?4 \
            WHERE id = 1
            """)
        try update.bind(Int64(bitPattern: end.epoch.rawValue), at: 1)
        try update.bind(Int64(bitPattern: end.position.rawValue), at: 2)
        try update.bind(Int64(bitPattern: end.hash), at: 3)
        try update.bind(Int64(bitPattern: end.time), at: 4)
        try update.run()
    }
}
