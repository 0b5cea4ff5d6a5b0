import CSQLite

/// One open database file. Not thread-safe (`SQLITE_OPEN_NOMUTEX`): whoever owns it guards it with a lock or
/// keeps it on one thread; the type is not `Sendable`, so the compiler watches over that.
public final class Connection {
    let handle: OpaquePointer
    /// The file's path, as given.
    public let path: String
    private var cache: [String: Statement] = [:]
    private let pagesInLog: UnsafeMutablePointer<Int32>

    /// Opens `path` for reading and writing with extended result codes.
    /// - Parameter create: makes the file if it does not exist.
    /// - Throws: `isCannotOpen` for a missing or forbidden file. A file that is no database shows at the
    ///   first use.
    public init(path: String, create: Bool) throws(SQLiteError) {
        let flags =
            SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
            | (create ? SQLITE_OPEN_CREATE : 0)
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            let error = SQLiteError(code, on: opened, operation: "open \(path)")
            // A handle is returned even for most failures and must be closed (sqlite3_open documentation).
            sqlite3_close_v2(opened)
            throw error
        }
        handle = opened
        self.path = path
        pagesInLog = .allocate(capacity: 1)
        pagesInLog.initialize(to: 0)
        // SQLite's automatic checkpoints are a hook too, which this one replaces: nothing is copied unless
        // `checkpoint()` is called. (PRAGMA wal_autocheckpoint would remove the hook again.)
        // The pointer lives as long as the handle, see deinit.
        sqlite3_wal_hook(
            handle,
            { context, _, _, pages in
                context?.assumingMemoryBound(to: Int32.self).pointee = pages
                return SQLITE_OK
            }, pagesInLog)
    }

    deinit {
        for statement in cache.values { statement.finalize() }
        sqlite3_wal_hook(handle, nil, nil)
        sqlite3_close_v2(handle)
        pagesInLog.deallocate()
    }

    /// How many pages the write-ahead log held after the last commit of this connection.
    public var logPages: Int { Int(pagesInLog.pointee) }

    /// Runs statements that return nothing of interest, separated by semicolons.
    public func execute(_ sql: String) throws(SQLiteError) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw SQLiteError(code, on: handle, operation: sql) }
    }

    /// The prepared statement for `sql`, which is prepared once and lives as long as the connection.
    public func statement(_ sql: String) throws(SQLiteError) -> Statement {
        if let known = cache[sql] { return known }
        let made = try Statement(sql, on: handle)
        cache[sql] = made
        return made
    }

    /// Sets or reads a pragma; returns the first column of the first row, if there is one.
    @discardableResult
    public func pragma(_ text: String) throws(SQLiteError) -> String? {
        let statement = try Statement("PRAGMA \(text)", on: handle)
        defer { statement.finalize() }
        guard try statement.step() else { return nil }
        return statement.text(at: 0)
    }

    /// Runs `body` between BEGIN IMMEDIATE and COMMIT, or rolls everything back if it fails.
    public func transaction<Result>(
        _ body: () throws(SQLiteError) -> Result
    ) throws(SQLiteError) -> Result {
        try statement("BEGIN IMMEDIATE").run()
        do {
            let result = try body()
            try statement("COMMIT").run()
            return result
        } catch {
            // Some errors have rolled back already, and then this one says nothing new.
            if sqlite3_get_autocommit(handle) == 0 { try? statement("ROLLBACK").run() }
            throw error
        }
    }

    /// Copies the write-ahead log's pages into the database as far as readers allow, and syncs both files.
    /// - Returns: whether everything was copied, so that the next commit starts the log file from its
    ///   beginning.
    @discardableResult
    public func checkpoint() throws(SQLiteError) -> Bool {
        var inLog: Int32 = 0
        var copied: Int32 = 0
        let code = sqlite3_wal_checkpoint_v2(handle, "main", SQLITE_CHECKPOINT_PASSIVE, &inLog, &copied)
        guard code == SQLITE_OK else { throw SQLiteError(code, on: handle, operation: "checkpoint \(path)") }
        if inLog == copied { pagesInLog.pointee = 0 }
        return inLog == copied
    }

    /// Keeps the write-ahead log file when the connection closes, and does not empty it.
    public func keepLogOnClose() throws(SQLiteError) {
        var on: Int32 = 1
        let code = sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &on)
        guard code == SQLITE_OK else { throw SQLiteError(code, on: handle, operation: "persist wal \(path)") }
        let second = apus_keep_log_on_close(handle)
        guard second == SQLITE_OK else { throw SQLiteError(second, on: handle, operation: "keep \(path)") }
    }

    /// Sizes the pool of small allocations; must come before the first statement.
    public func setLookaside(slotBytes: Int, slots: Int) throws(SQLiteError) {
        let code = apus_set_lookaside(handle, Int32(slotBytes), Int32(slots))
        guard code == SQLITE_OK else { throw SQLiteError(code, on: handle, operation: "lookaside \(path)") }
    }

    /// How long the database file is, without what only the write-ahead log has.
    public func fileBytes() throws(SQLiteError) -> Int {
        let file = try file()
        var bytes: sqlite3_int64 = 0
        let code = file.pointee.pMethods.pointee.xFileSize(file, &bytes)
        guard code == SQLITE_OK else { throw SQLiteError(code, on: nil, operation: "size \(path)") }
        return Int(bytes)
    }

    /// Bytes of the database file, without what only the write-ahead log has; through SQLite's own
    /// descriptor, because closing another one of the same file would drop SQLite's locks.
    public func readFile(_ range: Range<Int>) throws(SQLiteError) -> [UInt8] {
        let file = try file()
        var code = SQLITE_OK
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            code = file.pointee.pMethods.pointee.xRead(
                file, buffer.baseAddress, Int32(range.count), sqlite3_int64(range.lowerBound))
            count = code == SQLITE_OK ? range.count : 0
        }
        guard code == SQLITE_OK else { throw SQLiteError(code, on: nil, operation: "read \(path)") }
        return bytes
    }

    private func file() throws(SQLiteError) -> UnsafeMutablePointer<sqlite3_file> {
        var file: UnsafeMutablePointer<sqlite3_file>?
        let code = sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file)
        guard code == SQLITE_OK, let file else {
            throw SQLiteError(code, on: handle, operation: "the file of \(path)")
        }
        return file
    }

    /// Frees cached pages that are not in use.
    public func releaseMemory() { sqlite3_db_release_memory(handle) }

    /// How many rows the last INSERT, UPDATE or DELETE changed.
    public var changes: Int { Int(sqlite3_changes(handle)) }
}
