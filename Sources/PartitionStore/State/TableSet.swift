import DequeModule
import Identifiers
import Synchronization

/// Counts what the tables of all partitions share.
final class TableUse: Sendable {
    /// Tables that are open now.
    let openCount = Atomic<Int>(0)
    /// Moves on with every use of any tables.
    let clock = Atomic<UInt64>(0)
}

/// The tables of all partitions, of which a bounded number is open: each takes two file descriptors and
/// memory.
struct TableSet: Sendable {
    let tables: [PartitionTables]
    private let use = TableUse()
    private let openMax: Int

    init(partitionCount: Int, parts: String, openMax: Int) {
        self.openMax = max(1, openMax)
        let use = use
        tables = (0..<partitionCount).map {
            PartitionTables(partition: PartitionID($0), parts: parts, use: use)
        }
    }

    subscript(index: Int) -> PartitionTables { tables[index] }
    var count: Int { tables.count }
    var openCount: Int { use.openCount.load(ordering: .relaxed) }

    /// Closes the tables that were not used for the longest time, if too many are open. Call after each use
    /// that may have opened one. A few more than needed are closed, so that the search is rare.
    func closeIdle() {
        let surplus = openCount - openMax
        guard surplus > 0 else { return }
        let open = tables.compactMap { tables in
            tables.openSince.map { (since: $0, tables: tables) }
        }
        let oldest = open.sorted { $0.since < $1.since }.prefix(surplus + openMax / 16)
        for entry in oldest { entry.tables.closeIfIdle() }
    }

    /// Closes tables that nobody has used for a while. To be called once in each interval.
    /// - Parameter marks: the clock of uses at the ends of the last intervals, kept by the caller.
    /// - Returns: how many were closed.
    func closeUnused(_ marks: inout Deque<UInt64>) -> Int {
        marks.append(use.clock.load(ordering: .relaxed))
        guard marks.count > Self.intervalsUntilClosed, let past = marks.popFirst(), openCount > 0 else {
            return 0
        }
        let unused = tables.filter { $0.openSince.map { $0 <= past } ?? false }
        for tables in unused { tables.closeIfIdle() }
        return unused.count
    }

    static let intervalsUntilClosed = 5

    func end() { for tables in tables { tables.end() } }
}
