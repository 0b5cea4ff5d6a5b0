import CSQLite

/// What SQLite answered instead of success.
public struct SQLiteError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The primary result code, such as `SQLITE_FULL`.
    public var code: Int32
    /// The extended result code, such as `SQLITE_IOERR_FSYNC`.
    public var extendedCode: Int32
    /// SQLite's own words.
    public var message: String
    /// What was being done: the statement's text or the name of the call.
    public var operation: String

    public init(extendedCode: Int32, message: String, operation: String) {
        code = extendedCode & 0xFF
        self.extendedCode = extendedCode
        self.message = message
        self.operation = operation
    }

    /// Reads the connection's last error.
    init(_ extendedCode: Int32, on handle: OpaquePointer?, operation: String) {
        let text = handle.flatMap { sqlite3_errmsg($0) } ?? sqlite3_errstr(extendedCode)
        let message = text.map { String(cString: $0) } ?? "no text"
        self.init(extendedCode: extendedCode, message: message, operation: operation)
    }

    /// The disk, the quota or `max_page_count` is used up.
    public var isFull: Bool { code == SQLITE_FULL }
    /// The file's contents break SQLite's rules, or it is no database at all.
    public var isCorrupt: Bool { code == SQLITE_CORRUPT || code == SQLITE_NOTADB }
    /// The file or its directory may not be written.
    public var isReadOnly: Bool { code == SQLITE_READONLY || code == SQLITE_PERM }
    /// Another connection holds the file.
    public var isBusy: Bool { code == SQLITE_BUSY || code == SQLITE_LOCKED }
    /// Reading, writing or syncing failed in the operating system.
    public var isInputOutput: Bool { code == SQLITE_IOERR }
    /// The file could not be opened: missing, forbidden, or too many files are open.
    public var isCannotOpen: Bool { code == SQLITE_CANTOPEN }
    /// A row contradicts the schema, such as a second row under a unique key.
    public var isConstraint: Bool { code == SQLITE_CONSTRAINT }

    public var description: String { "SQLite error \(extendedCode) (\(message)) in: \(operation)" }
}
