import ConsensusCore
import Identifiers
import PartitionStore
import ReplicationCore

/// What one machine's disk holds: everything that was synced, and nothing else.
struct SimulatedDisk {
    var store: StoreID
    /// The machine that founded the cluster that the disk is of; nil: it is of none yet.
    var founder: Int?
    var node: NodeID?
    var incarnation = Incarnation(rawValue: 0)
    var raft = Raft.PersistentState()
    var partitions: [SimulatedPartition]

    /// - Parameter keepsRows: the tables are those of real actors.
    init(store: StoreID, founder: Int?, partitions: Int, keepsRows: Bool) {
        self.store = store
        self.founder = founder
        let partition = SimulatedPartition(rows: keepsRows ? PartitionRows() : nil)
        self.partitions = Array(repeating: partition, count: partitions)
    }
}

/// One partition's part of a journal, and the tables that committed records were applied to.
struct SimulatedPartition {
    var promised = Epoch(rawValue: 0)
    /// Everything up to here has left the journal and is in the tables.
    var base = LogMark.origin
    var baseEpochs: [EpochStart] = []
    var records: [LogRecord] = []
    var tables = Tally()
    /// In place of `tables`, where the hosts are real.
    var rows: PartitionRows?
    /// The latest time of any record that was ever in the log.
    var time: UInt64 = 0
    var applied = LogPosition.zero

    var tail: LogTail {
        var tail = LogTail(base: base, epochs: baseEpochs)
        for record in records { tail.append(record) }
        return tail
    }

    var end: LogMark { records.last?.mark ?? base }

    mutating func apply(_ write: LogWrite) {
        switch write {
        case .adopt(let epoch): promised = max(promised, epoch)
        case .truncate(let position):
            while let last = records.last, last.mark.position > position { records.removeLast() }
        case .append(let new):
            records += new
            time = max(time, new.last?.time ?? 0)
        }
    }

    func record(at position: LogPosition) -> LogRecord? {
        guard position > base.position, position <= end.position else { return nil }
        return records[Int(position.rawValue - base.position.rawValue - 1)]
    }

    /// What fits, and one record at least; nil if the journal does not reach back so far.
    func records(after position: LogPosition, bytesMax: Int) -> [LogRecord]? {
        guard position >= base.position else { return nil }
        var records: [LogRecord] = []
        var bytes = 0
        for record in self.records.drop(while: { $0.mark.position <= position }) {
            bytes += record.bytes.count
            guard records.isEmpty || bytes <= bytesMax else { break }
            records.append(record)
        }
        return records
    }

    func hash(at position: LogPosition) -> UInt64? {
        position == base.position ? base.hash : record(at: position)?.mark.hash
    }

    /// Applies committed records to the tables.
    mutating func apply(through position: LogPosition) {
        while applied < position, let record = record(at: applied.next) {
            if rows == nil { tables.apply(record) } else { rows?.apply(record) }
            applied = applied.next
        }
    }

    /// Lets the journal go up to what is applied.
    mutating func trim(through position: LogPosition) {
        while let first = records.first, first.mark.position <= min(position, applied) {
            if (baseEpochs.last?.epoch).map({ first.mark.epoch > $0 }) ?? true {
                baseEpochs.append(EpochStart(epoch: first.mark.epoch, first: first.mark.position))
            }
            base = first.mark
            records.removeFirst()
        }
    }

    mutating func install(_ snapshot: PartitionSnapshot) {
        (base, baseEpochs, records) = (snapshot.mark, snapshot.epochs, [])
        (tables, rows, applied) = (snapshot.tables, snapshot.rows, snapshot.mark.position)
        time = max(time, snapshot.time)
    }
}

/// The state of a partition at a mark of its log.
struct PartitionSnapshot {
    var mark: LogMark
    var epochs: [EpochStart]
    var tables: Tally
    var rows: PartitionRows?
    var time: UInt64
}
