import Foundation
import Synchronization

/// What the stores ask of the operating system for the files that SQLite does not write. Tests put a disk in
/// its place that fails.
package struct FileCalls: Sendable {
    /// Flags as for open(2); new files get the mode 0644.
    package var open: @Sendable (_ path: UnsafePointer<CChar>, _ flags: Int32) -> Int32
    package var close: @Sendable (_ descriptor: Int32) -> Int32
    package var write:
        @Sendable (_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int, _ offset: Int) -> Int
    /// - Parameter isWhole: also what only tells about the file; otherwise what is needed to read its bytes.
    package var sync: @Sendable (_ descriptor: Int32, _ isWhole: Bool) -> Int32
    package var syncDirectory: @Sendable (_ path: UnsafePointer<CChar>) -> Int32
    package var makeDirectory: @Sendable (_ path: UnsafePointer<CChar>) -> Int32
    package var rename: @Sendable (_ path: UnsafePointer<CChar>, _ name: UnsafePointer<CChar>) -> Int32
    package var unlink: @Sendable (_ path: UnsafePointer<CChar>) -> Int32

    package init(
        open: @escaping @Sendable (UnsafePointer<CChar>, Int32) -> Int32,
        close: @escaping @Sendable (Int32) -> Int32,
        write: @escaping @Sendable (Int32, UnsafeRawPointer, Int, Int) -> Int,
        sync: @escaping @Sendable (Int32, Bool) -> Int32,
        syncDirectory: @escaping @Sendable (UnsafePointer<CChar>) -> Int32,
        makeDirectory: @escaping @Sendable (UnsafePointer<CChar>) -> Int32,
        rename: @escaping @Sendable (UnsafePointer<CChar>, UnsafePointer<CChar>) -> Int32,
        unlink: @escaping @Sendable (UnsafePointer<CChar>) -> Int32
    ) {
        (self.open, self.close, self.write, self.sync) = (open, close, write, sync)
        self.syncDirectory = syncDirectory
        (self.makeDirectory, self.rename, self.unlink) = (makeDirectory, rename, unlink)
    }

    /// In an object of its own: a lock around closures that is itself a global is laid out before the program
    /// starts by optimised builds of Swift 6.3, and is empty then.
    private final class InUse: Sendable {
        let calls = Mutex(FileCalls.system)
    }

    private static let inUse = InUse()

    private static var system: FileCalls {
        FileCalls(
            open: { Foundation.open($0, $1, 0o644) },
            close: { Foundation.close($0) },
            write: { pwrite($0, $1, $2, off_t($3)) },
            sync: { descriptor, isWhole in
                #if canImport(Darwin)
                fsync(descriptor)
                #else
                isWhole ? fsync(descriptor) : fdatasync(descriptor)
                #endif
            },
            syncDirectory: { path in
                let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC)
                guard descriptor >= 0 else { return -1 }
                defer { Foundation.close(descriptor) }
                return fsync(descriptor)
            },
            makeDirectory: { mkdir($0, 0o755) },
            rename: { Foundation.rename($0, $1) },
            unlink: { Foundation.unlink($0) })
    }

    /// What all stores of the process use; to be set before the first of them is opened.
    package static var current: FileCalls {
        get { inUse.calls.withLock { $0 } }
        set { inUse.calls.withLock { $0 = newValue } }
    }
}
