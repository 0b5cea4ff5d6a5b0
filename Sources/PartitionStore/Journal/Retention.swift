import Identifiers

/// Which rows the journal still holds, in runs of neighbouring rows, and which of them nothing needs any
/// more.
///
/// A row is needed until every record in it is applied to its partition's tables and those are synced: the
/// tables' own log is not synced at commit, so a power failure may take back what was applied since their
/// last checkpoint.
struct Retention {
    /// Neighbouring rows that are deleted together.
    struct Run: Hashable {
        var first: UInt64
        var last: UInt64
        var bytes: Int
        var rows: Int { Int(last - first) + 1 }
        /// The highest position per partition that is not cut off; zero where only something else is told.
        var ends: [PartitionID: LogPosition]
    }

    private let runBytesMax: Int
    private(set) var runs: [Run] = []
    /// All retained records and headers.
    private(set) var bytes = 0

    init(runBytesMax: Int) { self.runBytesMax = runBytesMax }

    /// - Parameters:
    ///   - marks: the last position of each partition in the row.
    ///   - cuts: truncations in the row: what earlier rows have behind them need not be applied any more.
    ///   - others: partitions of which the row tells something else.
    mutating func add(
        sequence: UInt64, bytes count: Int, marks: [DurableMark], cuts: [DurableMark] = [],
        others: [PartitionID] = []
    ) {
        for cut in cuts {
            for index in runs.indices {
                guard let end = runs[index].ends[cut.partition], end > cut.position else { continue }
                runs[index].ends[cut.partition] = cut.position
            }
        }
        bytes += count
        if runs.isEmpty || runs[runs.count - 1].bytes >= runBytesMax {
            runs.append(Run(first: sequence, last: sequence, bytes: 0, ends: [:]))
        }
        let index = runs.count - 1
        runs[index].last = sequence
        runs[index].bytes += count
        for mark in marks { runs[index].ends[mark.partition] = mark.position }
        for partition in others where runs[index].ends[partition] == nil {
            runs[index].ends[partition] = .zero
        }
    }

    /// Partitions that are not synced far enough for the journal to shrink to `target` bytes.
    func pinning(target: Int, synced: (PartitionID) -> LogPosition) -> [PartitionID] {
        var left = bytes
        var found: Set<PartitionID> = []
        for run in runs.dropLast() where left > target {
            left -= run.bytes
            for (partition, end) in run.ends where synced(partition) < end { found.insert(partition) }
        }
        return found.sorted()
    }

    /// Forgets the oldest run if nothing needs it. The last one stays, so that the journal always shows its
    /// end.
    /// - Returns: the run; all rows up to its last may be deleted.
    mutating func trim(synced: (PartitionID) -> LogPosition) -> Run? {
        guard runs.count > 1, let run = runs.first, run.ends.allSatisfy({ synced($0.key) >= $0.value }) else {
            return nil
        }
        runs.removeFirst()
        bytes -= run.bytes
        return run
    }
}
