import SQLiteDriver

extension StoreError {
    /// What an SQLite error on one of the store's files means.
    /// - Parameter what: names the file in a sentence, such as "the journal".
    init(_ error: SQLiteError, what: String, path: String) {
        if error.isFull {
            self = .full(path: path)
        } else if error.isReadOnly {
            self = .readOnly(path: path)
        } else if error.isBusy {
            self = .locked(directory: path)
        } else if error.isInputOutput || error.isCannotOpen {
            self = .io(operation: error.operation, path: path, reason: error.message)
        } else {
            // No statement of the store fails on sound files, so the rest are files that lost their shape.
            self = .damaged(what: what, detail: error.description)
        }
    }
}
