import ClientProtocol
import Identifiers
import PlacementCore

/// Since which version of the map each partition has had its owner, so that clients that keep a map hear what
/// is new to them and no more.
package struct RouteBook {
    /// Of the newest map; nil before there is one.
    package private(set) var map: ClusterMap?
    /// The last version in which an owner or an address changed.
    package private(set) var changed = MapVersion(rawValue: 0)
    /// Nothing is known of the changes up to here: whoever is older gets everything.
    private var begin = MapVersion(rawValue: 0)
    /// By partition.
    private var changedAt: [MapVersion] = []
    private var nodes: [RoutingMap.Node] = []

    package init() {}

    /// Takes over a newer map.
    package mutating func publish(_ new: ClusterMap) {
        let newNodes = new.nodes.filter(\.isUp).map {
            RoutingMap.Node(node: $0.id, address: $0.profile.clientAddress)
        }
        if let map, map.partitions.count == new.partitions.count {
            for (index, partition) in new.partitions.enumerated() {
                let old = map.partitions[index]
                guard old.epoch != partition.epoch || old.owner?.node != partition.owner?.node else {
                    continue
                }
                changedAt[index] = new.version
                changed = new.version
            }
            if nodes != newNodes { changed = new.version }
        } else {
            begin = new.version
            changed = new.version
            changedAt = Array(repeating: new.version, count: new.partitions.count)
        }
        nodes = newNodes
        map = new
    }

    /// Whether a client that has that version misses something.
    package func hasNews(after version: UInt64?) -> Bool {
        map != nil && version.map { $0 < changed.rawValue } ?? true
    }

    /// What a client that has that version misses; everything if that is not known.
    package func routes(after version: UInt64?, teller: NodeID) -> RoutingMap? {
        guard let map else { return nil }
        let known = version.flatMap { $0 >= begin.rawValue ? MapVersion(rawValue: $0) : nil }
        var entries: [RoutingMap.Entry] = []
        for (index, partition) in map.partitions.enumerated() {
            if let known, changedAt[index] <= known { continue }
            entries.append(RoutingMap.Entry(partition, PartitionID(index)))
        }
        return RoutingMap(
            cluster: map.constants.cluster, teller: teller, version: map.version.rawValue,
            ring: map.constants.ring, nodes: nodes, entries: entries)
    }

    /// Where a partition is, for a client that takes this node for its owner in an older epoch; nil if the
    /// client knows all that is known here.
    package func redirection(
        of partition: PartitionID, from epoch: Epoch, at me: NodeID
    ) -> (entry: RoutingMap.Entry, address: String)? {
        guard let map, partition.rawValue < map.partitions.count else { return nil }
        let state = map.partitions[Int(partition.rawValue)]
        guard state.epoch > epoch, let owner = state.owner?.node, owner != me,
            let node = nodes.first(where: { $0.node == owner })
        else { return nil }
        return (RoutingMap.Entry(state, partition), node.address)
    }
}

extension RoutingMap.Entry {
    fileprivate init(_ state: PartitionState, _ partition: PartitionID) {
        self.init(
            partition: partition, epoch: state.epoch, revision: state.revision.rawValue,
            owner: state.owner?.node)
    }
}
