import ConsensusCore
import Identifiers
import SQLiteDriver

/// Why a replica's state cannot be read or written. Every description is a sentence that says what to do.
public enum ConsensusStoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Another process, or another store of this process, has the files open.
    case locked(path: String)
    /// A file or directory may not be written.
    case readOnly(path: String)
    /// The disk, the quota or the page limit is used up.
    case full(path: String)
    /// Bytes are not what was written: the disk or a copy lost or changed something (D15, R13).
    case damaged(path: String, detail: String)
    /// The files are another replica's: somebody copied the directory.
    case foreign(path: String, owner: ReplicaID)
    /// A newer version of this program wrote the files.
    case newerFormat(path: String, detail: String)
    /// The write does not continue what is stored; storing it would make the log unreadable.
    case contradiction(at: Raft.Index)
    /// The operating system refused something.
    case io(operation: String, path: String, reason: String)

    public var description: String {
        switch self {
        case .locked(let path):
            "\(path) is in use by another process; stop that one first"
        case .readOnly(let path):
            "\(path) cannot be written; give this user write permission or mount the volume writable"
        case .full(let path):
            "there is no room left for \(path); free or add disk space and start again, nothing promised was "
                + "lost"
        case .damaged(let path, let detail):
            "\(path) is damaged (\(detail)); this voter may have forgotten a vote: remove it from the voters "
                + "and let it join again with an empty disk"
        case .foreign(let path, let owner):
            "\(path) belongs to the replica \(owner); a replica's files must not be copied to another one"
        case .newerFormat(let path, let detail):
            "\(path) was written by a newer program (\(detail)); start that one"
        case .contradiction(let index):
            "the entry \(index) does not continue the stored log; this is a fault of the program, report it"
        case .io(let operation, let path, let reason):
            "\(operation) failed for \(path): \(reason); check the disk and the system's log, then restart"
        }
    }

    init(_ error: SQLiteError, path: String) {
        if error.isFull {
            self = .full(path: path)
        } else if error.isReadOnly {
            self = .readOnly(path: path)
        } else if error.isBusy {
            self = .locked(path: path)
        } else if error.isInputOutput || error.isCannotOpen {
            self = .io(operation: error.operation, path: path, reason: error.message)
        } else {
            // No statement of the store fails on sound files, so the rest are files that lost their shape.
            self = .damaged(path: path, detail: error.description)
        }
    }
}
