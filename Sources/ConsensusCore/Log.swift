/// The entries in memory: everything behind the snapshot, and a few before it.
struct Log: Sendable {
    /// The entry before the first that is kept.
    private(set) var base: Raft.Position
    private var entries: [Raft.Entry]
    /// Where configurations came into force; the first is that of the snapshot. Never empty.
    private var configurations: [(index: Raft.Index, configuration: Raft.Configuration)]

    /// - Parameter entries: consecutive; may begin before the snapshot's position, but not behind a gap.
    init(snapshot: Raft.Snapshot, entries: [Raft.Entry]) {
        if let first = entries.first, first.index <= snapshot.position.index {
            // The first entry only says what came before the second.
            base = first.position
            self.entries = Array(entries.dropFirst())
        } else {
            base = snapshot.position
            self.entries = entries
        }
        configurations = [(snapshot.position.index, snapshot.configuration)]
        for entry in entries where entry.index > snapshot.position.index { note(entry) }
    }

    var last: Raft.Position { entries.last?.position ?? base }

    /// Nil for an entry that is compacted away or not there yet.
    func term(at index: Raft.Index) -> Raft.Term? {
        if index == base.index { return base.term }
        guard index > base.index, index <= last.index else { return nil }
        return entries[Int(index - base.index) - 1].term
    }

    /// The members as of the end of the log, committed or not.
    var configuration: Raft.Configuration { configurations[configurations.count - 1].configuration }
    var configurationIndex: Raft.Index { configurations[configurations.count - 1].index }

    /// The members as of an entry that is not before the snapshot.
    func configuration(at index: Raft.Index) -> Raft.Configuration {
        (configurations.last { $0.index <= index } ?? configurations[0]).configuration
    }

    /// The entries of a range, which must be kept.
    func entries(_ range: ClosedRange<Raft.Index>) -> ArraySlice<Raft.Entry> {
        entries[Int(range.lowerBound - base.index) - 1..<Int(range.upperBound - base.index)]
    }

    /// The entries from an index on, at least one if there is one, and no more than a message takes.
    func entries(from index: Raft.Index, bytesMax: Int) -> [Raft.Entry] {
        guard index <= last.index else { return [] }
        let rest = entries(index...last.index)
        var bytes = 0
        let fitting = rest.prefix { entry in
            bytes += entry.costBytes
            return bytes <= bytesMax
        }
        return fitting.isEmpty ? Array(rest.prefix(1)) : Array(fitting)
    }

    /// The last place, from `position` down, where a log with that entry can agree with this one.
    ///
    /// Terms never decrease along a log, so whatever has a greater term here is not in the other log.
    func agreement(with position: Raft.Position, notBelow floor: Raft.Index) -> Raft.Position {
        var index = min(position.index, last.index)
        while index > max(floor, base.index), let term = term(at: index), term > position.term { index -= 1 }
        return Raft.Position(term: term(at: index) ?? 0, index: index)
    }

    mutating func append(_ entry: Raft.Entry) {
        entries.append(entry)
        note(entry)
    }

    /// Removes the entries from an index on, which is behind the snapshot.
    mutating func truncate(from index: Raft.Index) {
        entries.removeLast(Int(last.index - index) + 1)
        while configurations.count > 1, configurationIndex >= index { configurations.removeLast() }
    }

    /// Forgets what the snapshot holds, but for the last entries before it.
    mutating func compact(to snapshot: Raft.Snapshot, retaining count: Int) {
        let kept = snapshot.position.index - min(snapshot.position.index, Raft.Index(count))
        if kept > base.index, let term = term(at: kept) {
            entries.removeFirst(Int(kept - base.index))
            base = Raft.Position(term: term, index: kept)
        }
        configurations.removeAll { $0.index <= snapshot.position.index }
        configurations.insert((snapshot.position.index, snapshot.configuration), at: 0)
    }

    private mutating func note(_ entry: Raft.Entry) {
        if case .configuration(let configuration) = entry.payload {
            configurations.append((entry.index, configuration))
        }
    }
}
