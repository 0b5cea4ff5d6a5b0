import Identifiers

/// The recent changes of the map, for followers that ask from where they are. Every voter keeps one; it is
/// not replicated, because it follows from the entries.
public struct MapLog: Hashable, Sendable {
    /// How many changes are kept, counted by nodes and partitions in them.
    public let changesMax: Int
    private var deltas: [MapDelta] = []
    private var changeCount = 0

    public init(changesMax: Int = 1 << 14) { self.changesMax = changesMax }

    public mutating func append(_ update: MapUpdate) {
        switch update {
        case .snapshot:
            deltas.removeAll()
            changeCount = 0
        case .delta(let delta):
            // A gap would make the older ones useless.
            if let last = deltas.last, last.to != delta.from {
                deltas.removeAll()
                changeCount = 0
            }
            deltas.append(delta)
            changeCount += delta.changes.count
            var surplus = 0
            while changeCount > changesMax, surplus < deltas.count {
                changeCount -= deltas[surplus].changes.count
                surplus += 1
            }
            deltas.removeFirst(surplus)
        }
    }

    /// What a follower at `version` needs, in order: nothing, some changes, or the whole map.
    /// - Parameter map: the newest one.
    public func updates(after version: MapVersion, of map: ClusterMap) -> [MapUpdate] {
        if version == map.version { return [] }
        guard deltas.last?.to == map.version, let first = deltas.firstIndex(where: { $0.from == version })
        else { return [.snapshot(map)] }
        return deltas[first...].map { .delta($0) }
    }
}
