import ByteCoding
import Identifiers

/// Proves that the journal's rows follow each other, that the records of each partition do, and that they fit
/// what the partition's tables say was applied.
struct ChainVerifier {
    private struct Chain {
        var applied: LogEnd
        /// The last record seen in the journal, if any.
        var seen: LogEnd?
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
    func end(of partition: Int) -> LogEnd {
        guard let seen = chains[partition].seen, seen.position > chains[partition].applied.position else {
            return chains[partition].applied
        }
        return seen
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
        let index = Int(record.partition.rawValue)
        guard index < chains.count else { throw damage("a record of the unknown partition \(index)") }
        let chain = chains[index]
        let place = "record \(record.position.rawValue) of partition \(index)"
        if let seen = chain.seen {
            guard record.position == seen.position.next else {
                throw damage("\(place) follows record \(seen.position.rawValue)")
            }
            guard record.previousHash == seen.hash else { throw damage("\(place) breaks the hash chain") }
            guard record.epoch >= seen.epoch else { throw damage("\(place) goes back to an older epoch") }
        } else {
            guard record.position.rawValue >= 1, record.position <= chain.applied.position.next else {
                throw damage("\(place) is the first, but only \(chain.applied.position.rawValue) are applied")
            }
        }
        if record.position == chain.applied.position, hash != chain.applied.hash {
            throw damage("\(place) is not the record that was applied")
        }
        if record.position == chain.applied.position.next, record.previousHash != chain.applied.hash {
            throw damage("\(place) does not continue what was applied")
        }
        chains[index].seen = LogEnd(
            epoch: record.epoch, position: record.position, hash: hash, time: record.time)
        return record.position > chain.applied.position
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
        for (index, chain) in chains.enumerated() {
            guard let seen = chain.seen, seen.position < chain.applied.position else { continue }
            throw damage(
                "it ends partition \(index) at record \(seen.position.rawValue), but "
                    + "\(chain.applied.position.rawValue) are applied")
        }
    }

    private func damage(_ detail: String) -> StoreError { .damaged(what: "the journal", detail: detail) }
}
