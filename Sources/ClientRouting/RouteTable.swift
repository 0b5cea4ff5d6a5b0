import ClientProtocol
import Identifiers

/// Where actors live, as far as the client knows.
package struct RouteTable {
    let cluster: ClusterID
    let ring: HashRing
    /// Of the cluster's map; everything up to it is known.
    private(set) var version: UInt64 = 0
    private(set) var addresses: [NodeID: NodeAddress] = [:]
    /// By partition.
    private var entries: [RoutingMap.Entry]

    init(_ map: RoutingMap) {
        cluster = map.cluster
        ring = map.ring
        entries = (0..<map.ring.partitionCount).map {
            RoutingMap.Entry(
                partition: PartitionID($0), epoch: Epoch(rawValue: 0), revision: 0, owner: nil)
        }
        take(map)
    }

    /// Whether the map is one of the same cluster.
    func fits(_ map: RoutingMap) -> Bool { map.cluster == cluster && map.ring == ring }

    /// Takes over what a node tells; an entry only if it is newer than the known one.
    mutating func take(_ map: RoutingMap) {
        for entry in map.entries where entry.isNewer(than: entries[Int(entry.partition.rawValue)]) {
            entries[Int(entry.partition.rawValue)] = entry
        }
        guard map.version >= version else { return }
        version = map.version
        addresses = [:]
        for node in map.nodes { addresses[node.node] = NodeAddress(node.address) }
    }

    /// Takes over what a node that is not the owner has answered.
    /// - Returns: false if it is not newer, and the client should wait rather than follow it.
    mutating func learn(_ entry: RoutingMap.Entry, at address: String, comparing: Bool = true) -> Bool {
        guard entry.partition.rawValue < entries.count,
            entry.isNewer(than: entries[Int(entry.partition.rawValue)]) || !comparing
        else { return false }
        entries[Int(entry.partition.rawValue)] = entry
        if let owner = entry.owner, addresses[owner] == nil { addresses[owner] = NodeAddress(address) }
        return true
    }

    /// What is known of a partition.
    package subscript(_ partition: PartitionID) -> RoutingMap.Entry { entries[Int(partition.rawValue)] }

    /// Who owns the actor, and since which epoch; nil while nobody does.
    package func owner(of actor: ActorAddress) -> (node: NodeID, epoch: Epoch)? {
        let entry = entries[Int(ring.partition(of: actor).rawValue)]
        return entry.owner.map { ($0, entry.epoch) }
    }
}
