import CSQLite

/// A prepared statement, kept for many uses (`SQLITE_PREPARE_PERSISTENT`). Parameters count from 1, columns
/// from 0. It must not be used after its connection is gone.
public final class Statement {
    private let handle: OpaquePointer
    private let sql: String
    private var isFinalized = false

    init(_ sql: String, on connection: OpaquePointer) throws(SQLiteError) {
        var prepared: OpaquePointer?
        let flags = UInt32(SQLITE_PREPARE_PERSISTENT)
        let code = sqlite3_prepare_v3(connection, sql, -1, flags, &prepared, nil)
        guard code == SQLITE_OK else { throw SQLiteError(code, on: connection, operation: sql) }
        guard let prepared else {
            throw SQLiteError(extendedCode: SQLITE_MISUSE, message: "the statement is empty", operation: sql)
        }
        handle = prepared
        self.sql = sql
    }

    deinit { finalize() }

    func finalize() {
        guard !isFinalized else { return }
        isFinalized = true
        sqlite3_finalize(handle)
    }

    private func check(_ code: Int32) throws(SQLiteError) {
        if code != SQLITE_OK { throw SQLiteError(code, on: sqlite3_db_handle(handle), operation: sql) }
    }

    // MARK: Parameters

    public func bind(_ value: Int64, at index: Int32) throws(SQLiteError) {
        try check(sqlite3_bind_int64(handle, index, value))
    }

    /// Binds a copy of the text.
    public func bind(text: String, at index: Int32) throws(SQLiteError) {
        let count = Int32(text.utf8.count)
        let code = text.withCString { apus_bind_text_copy(handle, index, $0, count) }
        try check(code)
    }

    /// Binds a copy of the bytes.
    public func bind(copying bytes: [UInt8], at index: Int32) throws(SQLiteError) {
        guard !bytes.isEmpty else { return try check(sqlite3_bind_zeroblob(handle, index, 0)) }
        let code = bytes.withUnsafeBytes { raw in
            apus_bind_blob_copy(handle, index, raw.baseAddress, Int32(raw.count))
        }
        try check(code)
    }

    /// Binds the memory itself. The caller keeps it in place and unchanged until `reset()` or `run()`, which
    /// both let go of it; call this inside of `withUnsafeBufferPointer` only.
    public func bind(borrowing bytes: UnsafeBufferPointer<UInt8>, at index: Int32) throws(SQLiteError) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else {
            return try check(sqlite3_bind_zeroblob(handle, index, 0))
        }
        // No destructor means SQLITE_STATIC: SQLite neither copies nor frees.
        try check(sqlite3_bind_blob64(handle, index, base, UInt64(bytes.count), nil))
    }

    // MARK: Running

    /// Goes to the next row.
    /// - Returns: false after the last row; the statement is then ready for new parameters.
    public func step() throws(SQLiteError) -> Bool {
        let code = sqlite3_step(handle)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE {
            reset()
            return false
        }
        let error = SQLiteError(code, on: sqlite3_db_handle(handle), operation: sql)
        reset()
        throw error
    }

    /// Runs the statement to its end and lets go of borrowed parameters.
    public func run() throws(SQLiteError) {
        while try step() {}
    }

    /// Ends the reading of rows and forgets all parameters.
    public func reset() {
        // The result repeats the error of the last step, which was reported then.
        sqlite3_reset(handle)
        sqlite3_clear_bindings(handle)
    }

    // MARK: Columns of the current row

    public func integer(at column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    public func isNull(at column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    /// A copy of the column's bytes; empty for NULL.
    public func blob(at column: Int32) -> [UInt8] {
        guard let base = sqlite3_column_blob(handle, column) else { return [] }
        let count = Int(sqlite3_column_bytes(handle, column))
        return [UInt8](UnsafeRawBufferPointer(start: base, count: count))
    }

    /// A copy of the column's bytes, or nil for NULL.
    public func optionalBlob(at column: Int32) -> [UInt8]? { isNull(at: column) ? nil : blob(at: column) }

    public func optionalInteger(at column: Int32) -> Int64? { isNull(at: column) ? nil : integer(at: column) }

    /// The column's text; empty for NULL.
    public func text(at column: Int32) -> String {
        guard let base = sqlite3_column_text(handle, column) else { return "" }
        let count = Int(sqlite3_column_bytes(handle, column))
        return String(decoding: UnsafeBufferPointer(start: base, count: count), as: UTF8.self)
    }
}
