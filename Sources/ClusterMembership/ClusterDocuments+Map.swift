import ClientProtocol
import Identifiers
import MembershipCore
import PlacementCore

extension ClusterDocument {
    /// Adds what the map says.
    mutating func describe(_ map: ClusterMap) {
        mapVersion = map.version.rawValue
        replicationFactor = map.settings.replicationFactor
        inSyncMin = map.settings.inSyncMin
        nodes = map.nodes.count
        nodesUp = map.nodes.count { $0.isUp }
        voters = map.voters.voters.map(\.node.rawValue)
        partitions = map.partitions.count
        partitionsAtRisk = map.partitions.count { map.isAtRisk($0) }
        partitionsWithoutOwner = map.partitions.count { $0.owner == nil }
        partitionsOffline = map.partitions.count { map.isOffline($0) }
    }
}

extension NodesDocument {
    /// - Parameters:
    ///   - me: the node that answers.
    ///   - opinions: what it thinks of the others.
    init(_ map: ClusterMap, me: NodeID, opinions: [NodeID: Opinion]) {
        var (owned, inSync, learned): ([NodeID: Int], [NodeID: Int], [NodeID: Int]) = ([:], [:], [:])
        for partition in map.partitions {
            if let owner = partition.owner { owned[owner.node, default: 0] += 1 }
            for member in partition.inSync { inSync[member.node, default: 0] += 1 }
            for learner in partition.learners { learned[learner.node, default: 0] += 1 }
        }
        self.init(
            nodes: map.nodes.map { node in
                let opinion = opinions[node.id]
                return Node(
                    node: node.id.rawValue, state: Self.word(node.liveness), draining: node.isDraining,
                    since: ClusterAdministrator.text(node.since), zone: node.profile.zone,
                    weight: node.profile.weight, meshAddress: node.profile.meshAddress,
                    clientAddress: node.profile.clientAddress, store: "\(node.store)",
                    incarnation: node.incarnation.rawValue, consensus: Self.part(of: node.id, in: map.voters),
                    owns: owned[node.id] ?? 0, inSync: inSync[node.id] ?? 0, learns: learned[node.id] ?? 0,
                    gossip: node.id == me ? "self" : opinion.map { "\($0.state)" },
                    gossipSince: opinion.map { ClusterAdministrator.text($0.since) },
                    health: opinion.map(\.meta.health))
            })
    }

    private static func word(_ liveness: NodeState.Liveness) -> String {
        switch liveness {
        case .joining: "joining"
        case .up: "up"
        case .down: "down"
        }
    }

    private static func part(of node: NodeID, in voters: VoterList) -> String? {
        if voters.voters.contains(where: { $0.node == node }) { return "voter" }
        return voters.learners.contains { $0.node == node } ? "learner" : nil
    }
}

extension PartitionsDocument {
    init(_ map: ClusterMap) {
        self.init(
            partitions: map.partitions.enumerated().map { number, partition in
                Partition(
                    partition: UInt32(number), state: Self.state(of: partition, in: map),
                    epoch: partition.epoch.rawValue, owner: partition.owner?.node.rawValue,
                    inSync: partition.inSync.map(\.node.rawValue),
                    learners: partition.learners.map(\.node.rawValue),
                    targets: partition.targets.map(\.rawValue),
                    dataLossGeneration: partition.dataLossGeneration)
            })
    }

    /// The worst that holds.
    private static func state(of partition: PartitionState, in map: ClusterMap) -> String {
        if map.isOffline(partition) { return "offline" }
        if partition.owner == nil { return "unowned" }
        return map.isAtRisk(partition) ? "atRisk" : "ok"
    }
}
