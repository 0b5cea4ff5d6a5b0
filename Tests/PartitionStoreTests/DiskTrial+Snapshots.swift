import FaultyDisk
import Identifiers
import ReplicationCore
import Synchronization

@testable import PartitionStore

/// Whole partitions that come and go.
extension DiskTrial {
    /// Another replica's tables: what is committed here, and more. They take the place of those here.
    func importTables(into store: PartitionStore) throws {
        let partition = Int.random(in: 0..<partitions, using: &random)
        guard !installing.contains(partition) else { return }
        let log = try makeDonation(partition)
        let (header, chunks) = try donate(log, partition)
        let writer: SnapshotWriter
        do throws(SnapshotError) {
            writer = try store.importSnapshot(header)
        } catch {
            throw broken("a newer snapshot is refused: \(error)")
        }
        let errors = Mutex<[SnapshotError]>([])
        for chunk in chunks {
            writer.write(chunk) { result in
                if case .failure(let error) = result { errors.withLock { $0.append(error) } }
            }
        }
        while store.stepSnapshots() {}
        if let error = errors.withLock({ $0.first }) {
            note("snapshot: \(error)".replacing(disk.root, with: ""))
            guard disk.hasFailed else { throw broken("a sound snapshot is refused: \(error)") }
            // The file that was to come in is gone, and nothing else was touched: the store goes on.
            if !disk.isDead, !disk.isFull { disk.heal() }
            return
        }
        // Nothing has become of it.
        if chance(1, of: 6) {
            writer.cancel()
            while store.stepSnapshots() {}
            return
        }
        note("install \(partition) through \(log.count)")
        epochs[partition] += 1
        add(.reset(partition, log))
        installing.insert(partition)
        writer.install { [heard] _ in heard.installed(partition) }
    }

    private func makeDonation(_ partition: Int) throws -> [TrialRecord] {
        let kept = Int(committed[partition].rawValue)
        var logs = appended
        let surplus = logs.logs[partition].records.count - kept
        logs.logs[partition].records.removeLast(surplus)
        // Longer than the log ever was here: what is reported as durable is told by its position.
        var highest = durable.logs[partition].records.count
        for case .record(partition, let record) in pending {
            highest = max(highest, Int(record.end.position.rawValue))
        }
        let length = max(highest, kept) + Int.random(in: 1..<8, using: &random)
        while logs.logs[partition].records.count < length {
            logs.add(.record(partition, makeRecord(partition, in: logs, epoch: epochs[partition] + 1)))
        }
        return logs.logs[partition].records
    }

    /// What another store with this log exports.
    private func donate(
        _ log: [TrialRecord], _ partition: Int
    ) throws -> (SnapshotHeader, [SnapshotChunk]) {
        let other = FaultyDisk()
        var configuration = StoreConfiguration(directory: other.root + "/data")
        configuration.partitionCount = partitions
        configuration.isStepped = true
        configuration.snapshotChunkBytes = self.configuration.snapshotChunkBytes
        configuration.clock = self.configuration.clock
        configuration.random = self.configuration.random
        let store = try PartitionStore.open(configuration)
        defer { store.abandon() }
        store.start(onDurable: { _ in }, onFailure: { _ in })
        store.append(log.map(\.sealed))
        while store.stepJournal() {}
        let id = PartitionID(partition)
        store.commit([DurableMark(partition: id, position: LogPosition(rawValue: UInt64(log.count)))])
        while store.stepTables(isRound: true) {}
        guard let reader = export(from: store, partition) else { throw broken("nothing to donate") }
        let chunks = Mutex<[SnapshotChunk]>([])
        for index in 0..<reader.header.chunkCount {
            reader.read(index) { result in
                if case .success(let chunk) = result { chunks.withLock { $0.append(chunk) } }
            }
            _ = store.stepSnapshots()
        }
        return (reader.header, chunks.withLock { $0 })
    }

    private func export(from store: PartitionStore, _ partition: Int) -> SnapshotReader? {
        let answer = Mutex<SnapshotReader?>(nil)
        let epochs = [EpochStart(epoch: Epoch(rawValue: 1), first: LogPosition(rawValue: 1))]
        store.exportSnapshot(
            of: PartitionID(partition), epoch: Epoch(rawValue: self.epochs[partition]), epochs: epochs
        ) { result in
            if case .success(let reader) = result { answer.withLock { $0 = reader } }
        }
        while store.stepSnapshots() {}
        return answer.withLock { $0 }
    }

    /// Somebody reads a partition's tables for a while, so that they and the journal must be kept.
    func exportTables(from store: PartitionStore) throws {
        if let reader, chance(2, of: 3) {
            let answers = Mutex<[SnapshotError]>([])
            for index in 0..<reader.header.chunkCount {
                reader.read(index) { result in
                    if case .failure(let error) = result { answers.withLock { $0.append(error) } }
                }
            }
            while store.stepSnapshots() {}
            // After the first, chunks are out of order.
            if let error = answers.withLock({ $0.first }), !disk.hasFailed, error != .outgrown {
                throw broken("a snapshot cannot be read: \(error)")
            }
            note("read a snapshot")
            self.reader = nil
        } else {
            reader = export(from: store, Int.random(in: 0..<partitions, using: &random))
            note("export \(reader?.header.mark.position.rawValue ?? 0)")
        }
    }
}
