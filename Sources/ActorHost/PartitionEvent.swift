import Identifiers
import PartitionStore

/// What happens to partitions on this node; in order for each partition.
package enum PartitionEvent: Sendable {
    /// This process owns the epoch: its first record is to be the `epochStart`, after that end of the log.
    case lead(PartitionID, Epoch, after: LogEnd)
    /// The epoch's first record is committed: turns may run, once the tables have everything before them.
    case serve(PartitionID, Epoch)
    /// The epoch is over here; what was not committed has an unknown outcome.
    case standDown(PartitionID, Epoch)
    /// Everything of the partition up to the position is committed.
    case committed(PartitionID, LogPosition)

    package var partition: PartitionID {
        switch self {
        case .lead(let partition, _, _), .serve(let partition, _), .standDown(let partition, _),
            .committed(let partition, _):
            partition
        }
    }
}
