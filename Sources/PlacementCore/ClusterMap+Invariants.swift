import Identifiers

extension ClusterMap {
    /// Counters above this do not come from commands; below it they cannot overflow by them.
    static let counterMax: UInt64 = 1 << 62

    /// The first rule that the map breaks, as a sentence; nil for every map that commands can make.
    public func firstBreach() -> String? {
        guard version.rawValue <= Self.counterMax else { return "the version \(version.rawValue) is absurd" }
        guard settings.isValid else { return "the settings \(settings) are not valid" }
        guard partitions.count == constants.ring.partitionCount else {
            return "\(partitions.count) partitions instead of \(constants.ring.partitionCount)"
        }
        guard zip(nodes, nodes.dropFirst()).allSatisfy({ $0.id < $1.id }), nodes.count <= Self.nodesMax else {
            return "the nodes are not in ascending order"
        }
        var stores: Set<StoreID> = []
        for node in nodes {
            for record in [node.disk] + node.formerDisks where !stores.insert(record.store).inserted {
                return "the store \(record.store) is on record twice"
            }
        }
        for list in [voters.voters, voters.learners] where !isAscending(list) {
            return "the voters are not in ascending order"
        }
        guard !voters.voters.isEmpty, !voters.voters.contains(where: { voters.learners.holds($0.node) })
        else {
            return "a voter is also a learner, or there is no voter"
        }
        for (number, partition) in partitions.enumerated() {
            if let breach = firstBreach(in: partition) { return "partition \(number): \(breach)" }
        }
        return nil
    }

    private func firstBreach(in partition: PartitionState) -> String? {
        guard partition.epoch.rawValue <= Self.counterMax, partition.revision.rawValue <= Self.counterMax
        else { return "absurd counters" }
        guard !partition.inSync.isEmpty else { return "nobody is in sync" }
        guard isAscending(partition.inSync), isAscending(partition.learners),
            !partition.learners.contains(where: { partition.inSync.holds($0.node) })
        else { return "a node has two copies" }
        guard partition.inSync.count + partition.learners.count <= PartitionState.replicasMax else {
            return "too many copies"
        }
        for learner in partition.learners where self[learner.node]?.store != learner.store {
            return "a learner on a disk that is not registered"
        }
        for member in partition.inSync {
            guard let node = self[member.node], node.record(of: member.store) != nil else {
                return "a member of the in-sync set on an unknown disk"
            }
        }
        if let owner = partition.owner {
            guard partition.inSync.contains(owner.replica) else { return "the owner is not in sync (I4)" }
            guard let node = self[owner.node], node.isUp, node.life == owner else {
                return "the owner's life is over (R5, R11, I19)"
            }
            guard partition.epoch.rawValue > 0 else { return "an owner without an epoch" }
        }
        guard Set(partition.targets).count == partition.targets.count,
            partition.targets.allSatisfy({ index(of: $0) != nil })
        else { return "the targets are not distinct nodes of the cluster" }
        return nil
    }

    /// Ascending, and no node twice.
    private func isAscending(_ replicas: [ReplicaID]) -> Bool {
        zip(replicas, replicas.dropFirst()).allSatisfy { $0.node < $1.node }
    }
}
