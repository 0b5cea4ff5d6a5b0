import CFaultyDisk
import DurableFiles
import Foundation

/// A directory whose files behave as on a disk that loses power, fails, fills up or rots: those that SQLite
/// writes and those that the stores write themselves.
///
/// Real files, so that the real SQLite works on them; the faults are played by `CFaultyDisk`. One thread at a
/// time.
package final class FaultyDisk {
    /// What one operation can do instead of what it should.
    package enum Fault: CaseIterable, Sendable {
        /// A write fails and writes nothing.
        case writeError
        /// A write fails after a part of it.
        case shortWrite
        /// A sync fails, and parts of what was to be synced are gone; the next sync succeeds.
        case syncError
        /// From then on, nothing can become longer.
        case full

        fileprivate var number: apus_disk_fault {
            switch self {
            case .writeError: APUS_DISK_WRITE_ERROR
            case .shortWrite: APUS_DISK_SHORT_WRITE
            case .syncError: APUS_DISK_SYNC_ERROR
            case .full: APUS_DISK_FULL
            }
        }
    }

    /// Where a store may put its directory.
    package let root: String
    private let handle: OpaquePointer

    /// Makes an empty disk, in memory where the system has such files.
    /// - Parameter parent: a directory that exists.
    package init(in parent: String? = nil) {
        Self.install
        let base = parent ?? (access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NSTemporaryDirectory())
        // The names that SQLite asks for are real paths.
        let real = URL(fileURLWithPath: base).resolvingSymlinksInPath().path
        root = real + "/apus-disk-\(getpid())-\(UUID().uuidString.prefix(8))"
        mkdir(root, 0o755)
        handle = apus_disk_create(root)
    }

    deinit {
        apus_disk_destroy(handle)
        for path in [root, root + ".graves"] { try? FileManager.default.removeItem(atPath: path) }
    }

    private static let install: Void = {
        apus_disk_install()
        FileCalls.current = FileCalls(
            open: { apus_file_open($0, $1) }, close: { apus_file_close($0) },
            write: { Int(apus_file_write($0, $1, $2, Int64($3))) },
            sync: { apus_file_sync($0, $1 ? 1 : 0) }, syncDirectory: { apus_file_sync_directory($0) },
            makeDirectory: { apus_file_make_directory($0) }, rename: { apus_file_rename($0, $1) },
            unlink: { apus_file_unlink($0) })
    }()

    /// A power failure. What was not synced is kept or taken back, in pieces of 512 bytes. Every store on the
    /// disk was abandoned before.
    package func crash(seed: UInt64) {
        // An open file has memory of what is taken back.
        precondition(openFiles == 0, "\(openFiles) files are open")
        apus_disk_crash(handle, seed)
    }

    /// One operation fails: the first that can, after so many others that could have.
    package func fail(_ fault: Fault, after count: Int = 0) {
        apus_disk_fail(handle, fault.number, UInt64(count))
    }

    /// After so many operations of any kind, each one fails: the process is dead, and does not know it.
    package func die(after count: Int = 0) { apus_disk_die(handle, UInt64(count)) }

    /// No faults any more.
    package func heal() { apus_disk_heal(handle) }

    /// Whether a fault has shown itself since the disk was healed.
    package var hasFailed: Bool { apus_disk_has_failed(handle) != 0 }

    /// Whether every operation fails.
    package var isDead: Bool { apus_disk_is_dead(handle) != 0 }
    /// Whether nothing can become longer.
    package var isFull: Bool { apus_disk_is_full(handle) != 0 }

    /// Says that it syncs, and does not.
    package func setLying(_ isLying: Bool) { apus_disk_set_lying(handle, isLying ? 1 : 0) }

    /// Flips a bit in a file.
    /// - Returns: the byte that has changed; nil if the file is empty or not there.
    package func rot(_ path: String, seed: UInt64) -> Int? {
        let place = apus_disk_rot(handle, path, seed)
        return place < 0 ? nil : Int(place)
    }

    package var openFiles: Int { Int(apus_disk_open_files(handle)) }
    /// Writes, truncations, syncs and changes of names so far.
    package var operations: UInt64 { apus_disk_operations(handle) }
    /// Sums up all of them in their order, without the bytes.
    package var trace: UInt64 { apus_disk_trace(handle) }

    /// What SQLite draws in this process follows from the seed from now on. Only for a process with one
    /// thread: the numbers are everybody's.
    package static func seedSQLite(_ seed: UInt64) { apus_disk_seed_sqlite(seed) }
}
