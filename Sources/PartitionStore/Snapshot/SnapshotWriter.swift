import DurableFiles
import Identifiers
import ReplicationCore
import Synchronization

/// Tables that come in chunk by chunk, and then take the place of a partition's.
public final class SnapshotWriter: Sendable {
    private enum Phase {
        case writing
        case complete
        case ended
    }

    public let header: SnapshotHeader
    private let image: UInt64
    private let incoming: IncomingTables
    private let file: IncomingFile
    private let lane: Lane
    private let queue: SnapshotQueue
    private let phase = Mutex(Phase.writing)

    /// - Parameter image: the number of the file, once it is whole.
    init(
        header: SnapshotHeader, image: UInt64, incoming: IncomingTables, lane: Lane, queue: SnapshotQueue
    ) {
        self.header = header
        self.incoming = incoming
        self.lane = lane
        self.queue = queue
        self.image = image
        file = IncomingFile(header, path: incoming.newPath(header.partition))
    }

    deinit { cancel() }

    /// Writes the next chunk; callable from any thread, never waits for the disk.
    ///
    /// After the last one, the whole is proven and synced, which takes about a second for a gigabyte. An
    /// error ends the import, and nothing is left of it.
    /// - Parameter reply: called once, on a thread of the store, with the number of chunks written.
    public func write(
        _ chunk: SnapshotChunk, reply: @escaping @Sendable (Result<Int, SnapshotError>) -> Void
    ) {
        queue.async { [self] in
            do throws(SnapshotError) {
                reply(.success(try take(chunk)))
            } catch {
                cancel()
                reply(.failure(error))
            }
        }
    }

    /// Puts the tables in place, after everything appended so far; call after the last chunk is written.
    ///
    /// Until the reply, nothing with a position is appended to the partition: its log goes on after the
    /// snapshot's mark. A crash leaves the old tables with their log, or these.
    /// - Parameter reply: called once, on a thread of the store, when the tables are in place and that is
    ///   durable. An error of the store itself comes through its `onFailure`; then this is called when the
    ///   store is closed.
    public func install(reply: @escaping @Sendable (Result<Void, SnapshotError>) -> Void) {
        let isComplete = phase.withLock { phase in
            guard phase == .complete else { return false }
            phase = .ended
            return true
        }
        guard isComplete else { return reply(.failure(.ended)) }
        incoming.wait(for: header.partition, reply)
        // As many as the journal remembers.
        let epochs = Array(header.epochs.suffix(LogIndex.epochsMax))
        let reset = LogReset(mark: header.mark, epochs: epochs, image: image)
        if !lane.append(ControlEntry(partition: header.partition, kind: .reset(reset))) {
            incoming.end(header.partition, .failure(.store(.closed)))
        }
    }

    /// Ends the import; nothing is left of it. Does nothing after `install`.
    public func cancel() {
        let isFirst = phase.withLock { phase in
            defer { phase = .ended }
            return phase != .ended
        }
        guard isFirst else { return }
        queue.async { [header, image, incoming, file] in
            file.close()
            guard incoming.isUnderWay(header.partition) else { return }
            incoming.remove(header.partition, image: image)
            incoming.end(header.partition, .failure(.ended))
        }
    }

    private func take(_ chunk: SnapshotChunk) throws(SnapshotError) -> Int {
        guard phase.withLock({ $0 == .writing }), incoming.isUnderWay(header.partition) else { throw .ended }
        let next: Int
        do throws(StoreError) {
            if chunk.index == 0 { try incoming.prepare() }
        } catch {
            throw .store(error)
        }
        next = try file.append(chunk)
        guard next == header.chunkCount else { return next }
        file.close()
        try prove()
        let isWanted = phase.withLock { phase in
            guard phase == .writing else { return false }
            phase = .complete
            return true
        }
        guard isWanted else { throw .ended }
        return next
    }

    /// What arrived as it was sent may still have been sent wrong: the file must be sound tables with the end
    /// that the header says.
    private func prove() throws(SnapshotError) {
        let path = incoming.newPath(header.partition)
        do throws(StoreError) {
            let end = LogEnd(
                epoch: header.mark.epoch, position: header.mark.position, hash: header.mark.hash,
                time: header.time)
            try Self.prove(path, endsAt: end)
            // SQLite has made them to read the file.
            for suffix in ["-wal", "-shm"] { try DurableFile.remove(path + suffix) }
            try incoming.name(header.partition, image: image)
        } catch {
            if case .damaged(_, let detail) = error { throw .notAsAnnounced(detail) }
            throw .store(error)
        }
    }

    private static func prove(_ path: String, endsAt end: LogEnd) throws(StoreError) {
        let file = try StateFile(path: path, what: "the snapshot \(path)")
        try file.check()
        guard file.applied == end else {
            throw .damaged(what: path, detail: "its tables end at record \(file.applied.position.rawValue)")
        }
    }
}
