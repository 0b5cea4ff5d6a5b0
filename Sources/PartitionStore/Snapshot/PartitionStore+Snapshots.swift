import Identifiers
import ReplicationCore

/// Whole partitions, for replicas that the journal does not reach back to (`cluster.md` 2.6.6).
extension PartitionStore {
    /// Takes a snapshot of what is applied of a partition; callable from any thread, never waits for the
    /// disk.
    ///
    /// The tables go on being written to meanwhile. What the log has behind the snapshot is kept, too; both
    /// only up to the limits of the configuration, after which the snapshot cannot be read to its end.
    /// - Parameters:
    ///   - epoch: the one whose owner sends it.
    ///   - epochs: where epochs begin, as the replica here knows it.
    ///   - reply: called once, on a thread of the store.
    public func exportSnapshot(
        of partition: PartitionID, epoch: Epoch, epochs: [EpochStart],
        reply: @escaping @Sendable (Result<SnapshotReader, SnapshotError>) -> Void
    ) {
        snapshots.queue.async { [self] in
            do throws(SnapshotError) {
                reply(.success(try export(partition, epoch, epochs)))
            } catch {
                reply(.failure(error))
            }
        }
    }

    private func export(
        _ partition: PartitionID, _ epoch: Epoch, _ epochs: [EpochStart]
    ) throws(SnapshotError) -> SnapshotReader {
        guard partition.rawValue < applier.tables.count else { throw .unknownPartition }
        let tables = applier.tables[Int(partition.rawValue)]
        defer { applier.tables.closeIdle() }
        let held: TableImage?
        do throws(StoreError) {
            held = try tables.holdImage(template: applier.template, pins: snapshots.pins)
        } catch {
            // A sync that failed may have lost what the next one, which succeeds, would vouch for (D16, R14).
            if error != .closed { stopping.fail(error) }
            throw .store(error)
        }
        guard let image = held else {
            throw .store(
                .io(
                    operation: "copying the write-ahead log", path: tables.path,
                    reason: "somebody reads the tables"))
        }
        let end = image.end
        let header = SnapshotHeader(
            id: snapshots.number(), partition: partition, epoch: epoch,
            mark: LogMark(position: end.position, epoch: end.epoch, hash: end.hash), time: end.time,
            epochs: epochs, tableFormat: UInt32(StateFile.version), byteCount: image.byteCount,
            chunkBytes: snapshots.chunkBytes)
        return SnapshotReader(
            header: header, journal: snapshots.pins.pin(partition, after: end.position), image: image,
            tables: tables, queue: snapshots.queue)
    }

    /// Begins to take in a snapshot; touches no file yet.
    /// - Parameter isDamaged: what is here is of no worth, also where the snapshot is older.
    /// - Throws: `.older` if the tables here have as much, `.busy` if another one of the partition comes in,
    ///   `.newerFormat`, `.unknownPartition`.
    /// - Precondition: `StoreConfiguration.isReplicated`: without replicas there is nobody to send one.
    public func importSnapshot(
        _ header: SnapshotHeader, replacingDamaged isDamaged: Bool = false
    ) throws(SnapshotError) -> SnapshotWriter {
        guard header.partition.rawValue < applier.tables.count else { throw .unknownPartition }
        guard header.tableFormat <= StateFile.version else {
            throw .newerFormat(found: header.tableFormat, newest: UInt32(StateFile.version))
        }
        let applied = appliedPosition(of: header.partition)
        guard header.mark.position > applied || isDamaged else { throw .older(than: applied) }
        try snapshots.incoming.begin(header.partition)
        return SnapshotWriter(
            header: header, image: snapshots.number(), incoming: snapshots.incoming, lane: lane,
            queue: snapshots.queue)
    }

    /// Keeps what the journal has of a partition behind a position, for a replica that will be fed from it.
    public func pinJournal(of partition: PartitionID, after position: LogPosition) -> JournalPin {
        snapshots.pins.pin(partition, after: position)
    }
}
