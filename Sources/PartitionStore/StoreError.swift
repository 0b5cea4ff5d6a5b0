/// Why the store cannot work. Every description is a sentence that says what to do.
public enum StoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Another process, or another store of this process, has the directory open.
    case locked(directory: String)
    /// A file or directory may not be written.
    case readOnly(path: String)
    /// The disk, the quota or the journal's page limit is used up. Nothing unacknowledged was kept.
    case full(path: String)
    /// Bytes are not what was written: the disk or a copy lost or changed something (D15, R13).
    case damaged(what: String, detail: String)
    /// A newer version of this program wrote the directory.
    case newerFormat(what: String, found: Int, newest: Int)
    /// The configuration contradicts the directory or itself.
    case configuration(String)
    /// The operating system refused something.
    case io(operation: String, path: String, reason: String)
    /// The store was closed, or stopped after an earlier error.
    case closed

    public var description: String {
        switch self {
        case .locked(let directory):
            "the data directory \(directory) is in use by another process; stop that one first"
        case .readOnly(let path):
            "\(path) cannot be written; give this user write permission or mount the volume writable"
        case .full(let path):
            "there is no room left for \(path); free or add disk space and start again, nothing "
                + "acknowledged was lost"
        case .damaged(let what, let detail):
            "\(what) is damaged (\(detail)); restore this node's data from a replica or a backup, "
                + "do not go on with it"
        case .newerFormat(let what, let found, let newest):
            "\(what) has format \(found), this program reads up to \(newest); start the newer version"
        case .configuration(let reason):
            "\(reason); correct the configuration"
        case .io(let operation, let path, let reason):
            "\(operation) failed for \(path): \(reason); check the disk and the system's log, then restart"
        case .closed:
            "the store is closed; open it again"
        }
    }
}
