import Identifiers
import ReplicationCore
import Synchronization

/// What replicas of the partitions' logs need besides: their own beginning, batches, adoptions of epochs and
/// truncations.
extension PartitionStore {
    /// What the journal held of a partition's log when the store was opened.
    /// - Precondition: `StoreConfiguration.isReplicated`, and the store is not started yet.
    public func recoveredLog(of partition: PartitionID) -> RecoveredLog {
        life.withLock { life in
            // Its memory is given back at the start.
            precondition(!life.isStarted && !life.logs.isEmpty, "a replica begins before the store starts")
            return life.logs[Int(partition.rawValue)]
        }
    }

    /// Starts the journal's and the apply thread.
    /// - Parameters:
    ///   - onCommit: called by the journal's thread once for each group commit, after its sync. It should
    ///     only pass the news on: the next commit waits for it.
    ///   - onFailure: called once, by either thread, with the error that stopped the store. The process
    ///     should end: what is in flight may or may not be found at the next start.
    /// - Precondition: called once.
    public func start(
        onCommit: @escaping @Sendable (GroupCommit) -> Void,
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) {
        begin(onCommit: onCommit, onFailure: onFailure)
    }

    /// Queues what replicas write, in order; callable from any thread, never waits for the disk. A crash may
    /// leave a batch in part, from its front; it is reported as durable only as a whole.
    /// - Parameters:
    ///   - writes: not empty. A truncation is not before what is committed, and must be appended before
    ///     anything behind it is committed.
    ///   - batch: ascending numbers from 1.
    public func append(_ writes: [(partition: PartitionID, write: LogWrite)], batch: UInt64) {
        // Nothing would make an empty batch durable.
        precondition(!writes.isEmpty, "batch \(batch) is empty")
        guard stopping.error == nil else { return }
        var entries: [JournalEntry] = []
        for (partition, write) in writes {
            switch write {
            case .adopt(let epoch):
                entries.append(.control(ControlEntry(partition: partition, kind: .adopt(epoch))))
            case .truncate(let position):
                let cut = ControlEntry(partition: partition, kind: .truncate(after: position))
                entries.append(.control(cut))
            case .append(let records):
                for record in records { entries.append(.record(SealedRecord(record, in: partition))) }
            }
        }
        lane.append(entries, batch: batch)
    }

    /// Reads durable records from the journal for a replica that lags; callable from any thread.
    /// - Parameters:
    ///   - position: the record before the first that is wanted.
    ///   - bytesMax: bytes of records; a first one that is larger goes alone.
    ///   - reply: called once, by the journal's thread between two commits, with whole records in order, with
    ///     none if the log ends there, or with nil if they were deleted or the store is closed.
    /// - Precondition: `StoreConfiguration.isReplicated`; otherwise there is nothing to find records by.
    public func readLog(
        of partition: PartitionID, after position: LogPosition, bytesMax: Int,
        reply: @escaping @Sendable ([LogRecord]?) -> Void
    ) {
        lane.read(Lane.Read(partition: partition, position: position, bytesMax: bytesMax, reply: reply))
    }
}
