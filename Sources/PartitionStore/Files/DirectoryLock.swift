import DurableFiles
import Foundation
import Synchronization

/// Keeps a second process, or a second store of this one, away from a directory for as long as it lives
/// (D30).
///
/// An open-file-description lock belongs to the descriptor: unlike a POSIX record lock it is not lost when
/// some other descriptor of the same file closes (D23), and it goes away with the process, however that ends.
public final class DirectoryLock: Sendable {
    private let descriptor: Atomic<Int32>

    /// Takes the lock; the directory must be there.
    /// - Throws: `.locked` if somebody else has it.
    public init(directory: String) throws(StoreError) {
        let path = directory + "/identity.lock"
        let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard opened >= 0 else { throw DurableFile.failure("opening", path) }
        var range = flock()
        range.l_type = Int16(F_WRLCK)
        range.l_whence = Int16(SEEK_SET)
        guard withUnsafeMutablePointer(to: &range, { fcntl(opened, Self.setLock, $0) }) == 0 else {
            let failure: StoreError =
                errno == EAGAIN || errno == EACCES
                ? .locked(directory: directory) : DurableFile.failure("locking", path)
            close(opened)
            throw failure
        }
        descriptor = Atomic(opened)
    }

    deinit { release() }

    /// Lets others have the directory. Everything of this store must have stopped before.
    public func release() {
        let held = descriptor.exchange(-1, ordering: .acquiringAndReleasing)
        if held >= 0 { close(held) }
    }

    #if canImport(Darwin)
    private static let setLock: Int32 = 90
    #else
    /// F_OFD_SETLK of fcntl(2), which the C library's module does not always export.
    private static let setLock: Int32 = 37
    #endif
}
