import ByteCoding
import Identifiers
import ReplicationCore

/// Proves that the journal's rows follow each other, that the records of each partition do, also where a log
/// was truncated, and that they fit what the partition's tables say was applied.
struct ChainVerifier {
    private struct Chain {
        var applied: LogEnd
        /// The records in the journal that were not cut off, one after the other.
        var records: [LogEnd] = []
        /// The link before the first of them.
        var previousHash: UInt64 = 0
        /// Where the log ends so far: after the last record or at the last cut. Nil before either.
        var end: LogPosition?
        /// The link at `end`; nil if the record there was in a row that is deleted.
        var hash: UInt64?
    }

    private var chains: [Chain]
    private var lastRow: BatchHeader?
    private var firstSequence: UInt64?

    /// - Parameter applied: the end of each partition's applied log, by partition number.
    init(applied: [LogEnd]) { chains = applied.map { Chain(applied: $0) } }

    var lastSequence: UInt64 { lastRow?.sequence ?? 0 }
    var lastHash: UInt64 { lastRow?.hash ?? 0 }
    var oldestSequence: UInt64 { firstSequence ?? 1 }

    /// The end of a partition's log.
    func end(of partition: Int) -> LogEnd { chains[partition].records.last ?? chains[partition].applied }

    /// The retained log of a partition, and the link before it.
    func records(of partition: Int) -> (records: [LogEnd], previousHash: UInt64) {
        (chains[partition].records, chains[partition].previousHash)
    }

    mutating func row(_ header: BatchHeader, key: UInt64) throws(StoreError) {
        guard header.sequence == key else {
            throw damage("the row \(key) says that it is the row \(header.sequence)")
        }
        if let lastRow {
            guard header.sequence == lastRow.sequence + 1 else {
                throw damage("the row \(lastRow.sequence + 1) is missing")
            }
            guard header.previousHash == lastRow.hash else {
                throw damage("the row \(header.sequence) does not continue the row before it")
            }
        } else {
            firstSequence = header.sequence
        }
        lastRow = header
    }

    /// - Returns: whether the record is still to be applied.
    mutating func record(_ record: JournalRecord, hash: UInt64) throws(StoreError) -> Bool {
        let index = try known(record.partition)
        let place = "record \(record.position.rawValue) of partition \(index)"
        guard record.position.rawValue >= 1 else { throw damage("\(place) has no position") }
        if let end = chains[index].end, record.position != end.next {
            throw damage("\(place) follows record \(end.rawValue)")
        }
        if let last = chains[index].hash, record.previousHash != last {
            throw damage("\(place) breaks the hash chain")
        }
        if let last = chains[index].records.last, record.epoch < last.epoch {
            throw damage("\(place) goes back to an older epoch")
        }
        if chains[index].records.isEmpty { chains[index].previousHash = record.previousHash }
        chains[index].end = record.position
        chains[index].hash = hash
        chains[index].records.append(
            LogEnd(epoch: record.epoch, position: record.position, hash: hash, time: record.time))
        return record.position > chains[index].applied.position
    }

    /// Takes back what lies behind a position.
    mutating func truncate(_ partition: PartitionID, after position: LogPosition) throws(StoreError) {
        let index = try known(partition)
        if let end = chains[index].end, position > end {
            throw damage(
                "partition \(index) is cut after record \(position.rawValue), but ends at \(end.rawValue)")
        }
        if chains[index].end == position { return }
        // That of a record which goes, or of one that an earlier cut had left at the end.
        chains[index].hash = nil
        while let last = chains[index].records.last, last.position > position {
            chains[index].records.removeLast()
            // What is left without any record may still show the link at its end.
            let isFirst = chains[index].records.isEmpty && last.position == position.next
            chains[index].hash = isFirst ? chains[index].previousHash : nil
        }
        if let last = chains[index].records.last { chains[index].hash = last.hash }
        chains[index].end = position
    }

    /// The log goes on after a snapshot; what came before it is dead.
    mutating func reset(_ partition: PartitionID, to mark: LogMark) throws(StoreError) {
        let index = try known(partition)
        chains[index].records = []
        chains[index].previousHash = mark.hash
        chains[index].end = mark.position
        chains[index].hash = mark.hash
    }

    private func known(_ partition: PartitionID) throws(StoreError) -> Int {
        let index = Int(partition.rawValue)
        guard index < chains.count else { throw damage("an entry of the unknown partition \(index)") }
        return index
    }

    /// After the last row: nothing is missing at either end.
    func finish(witness: Witness) throws(StoreError) {
        if let lastRow, lastRow.oldest != oldestSequence {
            throw damage("it starts at row \(oldestSequence) instead of \(lastRow.oldest)")
        }
        guard lastSequence >= witness.sequence else {
            throw damage("it ends at row \(lastSequence), but row \(witness.sequence) was acknowledged")
        }
        if lastSequence == witness.sequence, lastHash != witness.hash {
            throw damage("its last row \(lastSequence) is not the one that was acknowledged")
        }
        for index in chains.indices { try finish(index, chains[index]) }
    }

    private func finish(_ index: Int, _ chain: Chain) throws(StoreError) {
        guard let end = chain.end else { return }
        let applied = chain.applied.position
        guard end >= applied else {
            throw damage(
                "it ends partition \(index) at record \(end.rawValue), but \(applied.rawValue) are applied")
        }
        guard let first = chain.records.first, first.position <= applied.next else {
            // Only a snapshot, or what is cut off, leaves no record behind what is applied.
            if chain.records.isEmpty, end == applied, chain.hash ?? chain.applied.hash == chain.applied.hash {
                return
            }
            throw damage("partition \(index) has records missing after \(applied.rawValue), which is applied")
        }
        if first.position == applied.next {
            guard chain.previousHash == chain.applied.hash else {
                throw damage(
                    "record \(first.position.rawValue) of partition \(index) does not continue "
                        + "what was applied")
            }
        } else {
            guard chain.records[Int(applied.rawValue - first.position.rawValue)].hash == chain.applied.hash
            else {
                throw damage("record \(applied.rawValue) of partition \(index) is not the one applied")
            }
        }
    }

    private func damage(_ detail: String) -> StoreError { .damaged(what: "the journal", detail: detail) }
}
