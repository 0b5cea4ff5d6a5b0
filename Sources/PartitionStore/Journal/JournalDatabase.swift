import Foundation
import SQLiteDriver

/// The lane's SQLite file: one row for each group commit, durable when `append` returns (R6).
final class JournalDatabase {
    private let connection: Connection
    private let path: String
    private let insert: Statement
    private let select: Statement
    private let delete: Statement
    private let begin: Statement
    private let commit: Statement
    private var log: PreparedLog
    private static let what = "the journal"

    /// Makes an empty journal. The caller syncs the directory.
    static func create(path: String) throws(StoreError) {
        do {
            let connection = try Connection(path: path, create: true)
            try connection.pragma("page_size=4096")
            try connection.pragma("journal_mode=WAL")
            try connection.execute("CREATE TABLE log(seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")
            try connection.pragma("user_version=1")
            // Closing the connection copies the log into the file and syncs it.
        } catch {
            throw StoreError(error, what: what, path: path)
        }
    }

    /// - Parameter logStep: see `StoreConfiguration.journalLogStep`.
    init(path: String, pagesMax: Int?, logStep: Int) throws(StoreError) {
        self.path = path
        log = try PreparedLog(path: path + "-wal", step: logStep)
        do {
            connection = try Connection(path: path, create: false)
            try connection.pragma("locking_mode=EXCLUSIVE")
            guard try connection.pragma("journal_mode=WAL") == "wal" else {
                throw StoreError.io(
                    operation: "turning on the write-ahead log", path: path,
                    reason: "the file system does not support it")
            }
            try connection.pragma("synchronous=FULL")
            try connection.pragma("secure_delete=OFF")
            try connection.pragma("cache_size=-4096")
            if let pagesMax { try connection.pragma("max_page_count=\(pagesMax)") }
            try connection.keepLogOnClose()
            let version = Int(try connection.pragma("user_version") ?? "") ?? 0
            guard version == 1 else {
                if version > 1 { throw StoreError.newerFormat(what: Self.what, found: version, newest: 1) }
                throw StoreError.damaged(what: Self.what, detail: "it has no format version")
            }
            insert = try connection.statement("INSERT INTO log(seq, body) VALUES(?1, ?2)")
            select = try connection.statement("SELECT body FROM log WHERE seq = ?1")
            delete = try connection.statement("DELETE FROM log WHERE seq <= ?1")
            begin = try connection.statement("BEGIN IMMEDIATE")
            commit = try connection.statement("COMMIT")
        } catch let error as SQLiteError {
            throw StoreError(error, what: Self.what, path: path)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .damaged(what: Self.what, detail: "\(error)")
        }
    }

    /// Proves the structure of the file, which the checksums of the rows do not cover: a broken list of free
    /// pages would let new rows overwrite old ones. Takes about a millisecond for each MiB.
    func check() throws(StoreError) {
        let answer: String?
        do {
            answer = try connection.pragma("quick_check(1)")
        } catch {
            throw StoreError(error, what: Self.what, path: path)
        }
        guard answer == "ok" else {
            throw .damaged(what: Self.what, detail: answer ?? "SQLite's check gave no answer")
        }
    }

    /// Commits one row, and deletes old ones in the same transaction. Returns after the sync.
    func append(_ row: [UInt8], sequence: UInt64, deletingThrough old: UInt64?) throws(StoreError) {
        do {
            if old != nil { try begin.run() }
            try row.withUnsafeBufferPointer { bytes throws(SQLiteError) in
                try insert.bind(Int64(sequence), at: 1)
                try insert.bind(borrowing: bytes, at: 2)
                try insert.run()
            }
            if let old {
                try delete.bind(Int64(old), at: 1)
                try delete.run()
                try commit.run()
            }
        } catch {
            throw StoreError(error, what: Self.what, path: path)
        }
    }

    /// One row; nil if there is none.
    func row(_ sequence: UInt64) throws(StoreError) -> [UInt8]? {
        defer { select.reset() }
        do {
            try select.bind(Int64(sequence), at: 1)
            return try select.step() ? select.blob(at: 0) : nil
        } catch {
            throw StoreError(error, what: Self.what, path: path)
        }
    }

    /// Bytes in the write-ahead log that are not known to be in the database.
    var logBytes: Int { connection.logPages * 4_096 }

    /// Whether `prepareLog` has something to do, before commits get slower.
    var isLogShort: Bool { log.isShort(used: usedBytes) }

    /// Makes the write-ahead log longer.
    func prepareLog() throws(StoreError) { try log.extend(used: usedBytes) }

    /// What the log holds of it: a header, and each page with one of its own.
    private var usedBytes: Int {
        LogScan.headerBytes + connection.logPages * (LogScan.frameHeaderBytes + 4_096)
    }

    func checkpoint() throws(StoreError) {
        do { try connection.checkpoint() } catch { throw StoreError(error, what: Self.what, path: path) }
    }

    /// Calls `visit` with every row in order.
    func forEachRow(_ visit: (_ key: UInt64, _ row: [UInt8]) throws(StoreError) -> Void) throws(StoreError) {
        let rows: Statement
        do {
            rows = try connection.statement("SELECT seq, body FROM log ORDER BY seq")
        } catch {
            throw StoreError(error, what: Self.what, path: path)
        }
        defer { rows.reset() }
        while true {
            do {
                guard try rows.step() else { return }
            } catch {
                throw StoreError(error, what: Self.what, path: path)
            }
            try visit(UInt64(bitPattern: rows.integer(at: 0)), rows.blob(at: 1))
        }
    }
}
