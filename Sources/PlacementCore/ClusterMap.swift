import Identifiers

/// What every node of the cluster follows: who is a member, and who holds and owns which partition.
public struct ClusterMap: Hashable, Sendable {
    public static let nodesMax = 4096

    public internal(set) var version: MapVersion
    public let constants: ClusterConstants
    public internal(set) var settings: ClusterSettings
    public internal(set) var settingsRevision = Revision(rawValue: 0)
    public internal(set) var voters: VoterList
    /// Ascending by number. A node that left is not among them; its number is not given again.
    public internal(set) var nodes: [NodeState]
    /// By number.
    public internal(set) var partitions: [PartitionState]

    public subscript(node: NodeID) -> NodeState? { index(of: node).map { nodes[$0] } }

    public subscript(partition: PartitionID) -> PartitionState? {
        partition.rawValue < partitions.count ? partitions[Int(partition.rawValue)] : nil
    }

    /// Whether the replica is on its node's registered disk, and the node is up.
    public func isLive(_ replica: ReplicaID) -> Bool {
        guard let node = self[replica.node] else { return false }
        return node.isUp && node.store == replica.store
    }

    /// Whether the replica is on its node's registered disk, and the node is up or just starts.
    func isPresent(_ replica: ReplicaID) -> Bool {
        guard let node = self[replica.node] else { return false }
        return node.liveness != .down && node.store == replica.store
    }

    /// Whether fewer copies are in sync, on nodes that are there, than the settings want.
    public func isAtRisk(_ partition: PartitionState) -> Bool {
        partition.inSync.count(where: isPresent) < settings.replicationFactor
    }

    /// Whether no member of the in-sync set is there: the partition waits for one, or for an operator.
    public func isOffline(_ partition: PartitionState) -> Bool {
        !partition.inSync.contains(where: isPresent)
    }

    /// Replicas that a partition's owner is to do without: members of the in-sync set that are not there, and
    /// copies that the plan no longer wants. It asks for the removal of those in sync (R19), and does not ask
    /// for the addition of the others.
    public func leaving(_ partition: PartitionState) -> [ReplicaID] {
        let hasSurplus = hasSurplus(partition)
        return (partition.inSync + partition.learners).filter { replica in
            guard replica != partition.owner?.replica else { return false }
            return !isPresent(replica) || hasSurplus && !partition.targets.contains(replica.node)
        }
    }

    /// Members of the in-sync set whose disk is not its node's any more: nobody speaks for them.
    public func replaced(_ partition: PartitionState) -> [ReplicaID] {
        partition.inSync.filter { self[$0.node]?.store != $0.store }
    }

    /// Whether as many copies as the settings want are in sync where the planner wants them, so that others
    /// may be given up.
    func hasSurplus(_ partition: PartitionState) -> Bool {
        partition.targets.count >= settings.replicationFactor
            && partition.targets.allSatisfy { target in
                partition.inSync.contains { $0.node == target && isLive($0) }
            }
    }

    /// Where the node is in the ascending list.
    func index(of node: NodeID) -> Int? {
        let place = insertionIndex(of: node)
        return place < nodes.count && nodes[place].id == node ? place : nil
    }

    /// The first place that is not before the node's.
    func insertionIndex(of node: NodeID) -> Int {
        var range = 0..<nodes.count
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            range = nodes[middle].id < node ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return range.lowerBound
    }

    /// The node that has the disk, or had it and wants it back.
    func node(with store: StoreID) -> NodeState? { nodes.first { $0.record(of: store) != nil } }
}
