import Identifiers

/// A node's own copy of the map, which only ever gets newer (I9).
public struct MapFollower: Hashable, Sendable {
    public private(set) var map: ClusterMap?

    public init() {}

    public var version: MapVersion { map?.version ?? MapVersion(rawValue: 0) }

    /// What became of an update.
    public enum Result: Hashable, Sendable {
        case followed
        /// Not newer than what the follower has.
        case old
        /// Changes are missing in between: fetch from `version` on.
        case gap
        /// Another cluster, or an update that contradicts the map; nothing was changed.
        case contradiction(String)
    }

    public mutating func follow(_ update: MapUpdate) -> Result {
        guard update.version > version else { return .old }
        switch update {
        case .snapshot(let newer):
            if let map {
                guard map.constants == newer.constants else { return .contradiction("another cluster") }
                for (number, (old, new)) in zip(map.partitions, newer.partitions).enumerated()
                where old != new && !new.isNewer(than: old) {
                    return .contradiction("partition \(number) went back")
                }
            }
            map = newer
        case .delta(let delta):
            guard delta.from == version, var next = map else { return .gap }
            for change in delta.changes {
                if let breach = next.breach(of: change) { return .contradiction(breach) }
            }
            // The only reference, so that nothing of the map is copied.
            map = nil
            for change in delta.changes { next.apply(change) }
            next.version = delta.to
            map = next
        }
        return .followed
    }
}

extension ClusterMap {
    /// A sentence if the change cannot follow this map.
    fileprivate func breach(of change: MapChange) -> String? {
        switch change {
        case .settings, .voters: return nil
        case .node(let node):
            guard let old = self[node.id], old.incarnation > node.incarnation else { return nil }
            return "node \(node.id.rawValue) went back"
        case .left(let node):
            return self[node] == nil ? "node \(node.rawValue) left before it came" : nil
        case .partition(let id, let partition):
            guard let old = self[id] else { return "partition \(id.rawValue) does not exist" }
            return partition.isNewer(than: old) ? nil : "partition \(id.rawValue) went back"
        }
    }

    fileprivate mutating func apply(_ change: MapChange) {
        switch change {
        case .settings(let settings, let revision):
            (self.settings, settingsRevision) = (settings, revision)
        case .voters(let voters): self.voters = voters
        case .node(let node):
            if let place = index(of: node.id) {
                nodes[place] = node
            } else {
                nodes.insert(node, at: insertionIndex(of: node.id))
            }
        case .left(let node): nodes.removeAll { $0.id == node }
        case .partition(let id, let partition): partitions[Int(id.rawValue)] = partition
        }
    }
}
