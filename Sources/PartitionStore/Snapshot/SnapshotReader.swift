import Identifiers
import ReplicationCore
import Synchronization

/// One state of one partition's tables, in chunks that can be read again for as long as this is held.
public final class SnapshotReader: Sendable {
    public let header: SnapshotHeader
    /// Keeps what the log has behind the snapshot's mark, also after `end`: hold it until the replica is fed
    /// from the log.
    public let journal: JournalPin
    private let image: TableImage
    private let tables: PartitionTables
    private let queue: SnapshotQueue
    /// The hashes of the chunks that were read so far.
    private let hashes = Mutex<[UInt64]>([])
    private let isEnded = Atomic<Bool>(false)

    init(
        header: SnapshotHeader, journal: JournalPin, image: TableImage, tables: PartitionTables,
        queue: SnapshotQueue
    ) {
        self.header = header
        self.journal = journal
        self.image = image
        self.tables = tables
        self.queue = queue
    }

    deinit { end() }

    /// Reads one chunk; callable from any thread, never waits for the disk.
    /// - Parameters:
    ///   - index: the next one, or one that was read before.
    ///   - reply: called once, on a thread of the store.
    public func read(
        _ index: Int, reply: @escaping @Sendable (Result<SnapshotChunk, SnapshotError>) -> Void
    ) {
        queue.async { [self] in
            do throws(SnapshotError) {
                reply(.success(try chunk(index)))
            } catch {
                reply(.failure(error))
            }
        }
    }

    /// Lets the tables' file change again. The journal is kept until `journal` is released.
    public func end() {
        guard !isEnded.exchange(true, ordering: .acquiringAndReleasing) else { return }
        image.removeUser()
    }

    private func chunk(_ index: Int) throws(SnapshotError) -> SnapshotChunk {
        guard !isEnded.load(ordering: .acquiring) else { throw .ended }
        guard journal.isHeld else { throw .outgrown }
        let known = hashes.withLock { $0 }
        guard 0..<header.chunkCount ~= index, index <= known.count else {
            throw .wrongChunk(found: index, expected: known.count)
        }
        let bytes = try tables.read(header.range(of: index), of: image)
        var hash = index == 0 ? SnapshotHash(header) : SnapshotHash(after: known[index - 1])
        hash.add(bytes)
        if index == known.count {
            hashes.withLock { $0.append(hash.value) }
        } else if known[index] != hash.value {
            // The file must not change while the image is held; if it did, what was sent before is worthless.
            throw .wrongHash(chunk: index)
        }
        return SnapshotChunk(index: index, hash: hash.value, bytes: bytes)
    }
}
