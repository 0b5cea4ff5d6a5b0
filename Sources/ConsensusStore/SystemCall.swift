import Foundation

/// The few calls that the store makes itself, with errors as `ConsensusStoreError`.
enum SystemCall {
    /// What the last failed call means for `path`.
    static func failure(_ operation: String, _ path: String) -> ConsensusStoreError {
        let code = errno
        switch code {
        case EROFS, EACCES, EPERM: return .readOnly(path: path)
        case ENOSPC, EDQUOT: return .full(path: path)
        default: return .io(operation: operation, path: path, reason: String(cString: strerror(code)))
        }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Writes the first bytes of a file and syncs it.
    static func write(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(ConsensusStoreError) {
        let count = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        guard count == bytes.count else {
            throw count < 0
                ? failure("writing", path) : .io(operation: "writing", path: path, reason: "it was cut short")
        }
        guard fsync(descriptor) == 0 else { throw failure("syncing", path) }
    }

    static func rename(_ path: String, to name: String) throws(ConsensusStoreError) {
        guard Foundation.rename(path, name) == 0 else { throw failure("renaming", path) }
    }

    static func remove(_ path: String) throws(ConsensusStoreError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw failure("deleting", path) }
    }

    /// Makes the directory unless it is there; its name survives a power failure.
    static func createDirectory(_ path: String) throws(ConsensusStoreError) {
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw failure("making the directory", path) }
        try syncDirectory(path + "/..")
    }

    /// Makes renames and new files of a directory survive a power failure.
    static func syncDirectory(_ path: String) throws(ConsensusStoreError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("opening the directory", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("syncing the directory", path) }
    }
}
