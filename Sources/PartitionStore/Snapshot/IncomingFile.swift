import DurableFiles
import Foundation
import ReplicationCore
import Synchronization

/// The file that the chunks of one snapshot are written to; used by one thread at a time, whichever it is.
final class IncomingFile: Sendable {
    private struct State {
        var next = 0
        var hash: SnapshotHash
        var descriptor: Int32?
        var unsyncedBytes = 0
    }

    /// Bytes go to the disk as they come, so that syncing the whole does not hold up the journal's syncs.
    private static let syncBytes = 8 << 20

    private let header: SnapshotHeader
    private let path: String
    private let state: Mutex<State>

    init(_ header: SnapshotHeader, path: String) {
        self.header = header
        self.path = path
        state = Mutex(State(hash: SnapshotHash(header)))
    }

    deinit { close() }

    /// Writes the next chunk; the last one ends with a sync of the whole.
    /// - Returns: the number of chunks written.
    func append(_ chunk: SnapshotChunk) throws(SnapshotError) -> Int {
        try state.withLock { (state) throws(SnapshotError) in
            guard chunk.index == state.next, chunk.index < header.chunkCount else {
                throw .wrongChunk(found: chunk.index, expected: state.next)
            }
            let range = header.range(of: chunk.index)
            guard chunk.bytes.count == range.count else { throw .wrongLength(chunk: chunk.index) }
            var hash = state.hash
            hash.add(chunk.bytes)
            guard chunk.hash == hash.value else { throw .wrongHash(chunk: chunk.index) }
            do throws(StoreError) {
                try write(chunk.bytes, at: range.lowerBound, &state)
            } catch {
                throw .store(error)
            }
            state.hash = hash
            state.next += 1
            return state.next
        }
    }

    func close() {
        guard let descriptor = state.withLock({ $0.descriptor.take() }) else { return }
        DurableFile.close(descriptor)
    }

    private func write(_ bytes: [UInt8], at offset: Int, _ state: inout State) throws(StoreError) {
        if state.descriptor == nil {
            state.descriptor = try DurableFile.open(
                path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, operation: "creating")
        }
        guard let descriptor = state.descriptor else { return }
        try DurableFile.writeAll(descriptor, bytes, at: offset, path: path)
        state.unsyncedBytes += bytes.count
        let isLast = offset + bytes.count == header.byteCount
        guard isLast || state.unsyncedBytes >= Self.syncBytes else { return }
        try DurableFile.sync(descriptor, path: path)
        state.unsyncedBytes = 0
    }
}
