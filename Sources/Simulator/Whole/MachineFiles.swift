import FaultyDisk
import Identifiers
import PartitionStore
import ReplicationCore

/// The real files of a machine, on a disk that loses power and fails, under the real store.
final class MachineFiles {
    /// What the store of the running process has said.
    ///
    /// Sound to share: a simulation has one thread.
    final class Heard: @unchecked Sendable {
        /// The last batch that is durable.
        var batch: UInt64 = 0
    }

    let disk = FaultyDisk()
    var store: PartitionStore?
    var heard = Heard()
    /// What the last process wrote without hearing that it is durable, one entry at a time: what of it is
    /// there shows at the next opening.
    var unheard: [(partition: PartitionID, write: LogWrite)] = []
    /// How far the tables of each partition were when they were opened.
    var applied: [LogPosition] = []

    init(isLying: Bool) { disk.setLying(isLying) }

    func keep(_ batches: [(batch: UInt64, writes: [(partition: PartitionID, write: LogWrite)])]) {
        unheard = batches.flatMap(\.writes).flatMap { partition, write in
            guard case .append(let records) = write else { return [(partition: partition, write: write)] }
            return records.map { (partition: partition, write: LogWrite.append([$0])) }
        }
    }
}
