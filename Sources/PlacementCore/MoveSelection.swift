import Identifiers

/// Chooses the next moves towards the targets that the map has, within the limits.
struct MoveSelection {
    private(set) var moves: [Move] = []
    private let map: ClusterMap
    private let limits: Planner.Limits
    private var copies = 0
    private var copiesTo: [NodeID: Int] = [:]
    private var copiesFrom: [NodeID: Int] = [:]
    private var promotions = 0
    private var removals = 0

    init(_ map: ClusterMap, limits: Planner.Limits) {
        self.map = map
        self.limits = limits
        for partition in map.partitions {
            guard let owner = partition.owner else { continue }
            for learner in partition.learners
            where map.isLive(learner) && partition.targets.contains(learner.node) {
                count(copyTo: learner.node, from: owner.node)
            }
        }
    }

    /// - Parameter excluded: partitions whose targets are about to change.
    mutating func select(excluding excluded: Set<PartitionID>) {
        // Those with the fewest copies first.
        let order = map.partitions.indices.sorted {
            (map.partitions[$0].inSync.count, $0) < (map.partitions[$1].inSync.count, $1)
        }
        for number in order {
            let (id, partition) = (PartitionID(number), map.partitions[number])
            guard !excluded.contains(id), let kind = nextMove(of: partition) else { continue }
            moves.append(Move(partition: id, revision: partition.revision, kind: kind))
        }
    }

    private mutating func nextMove(of partition: PartitionState) -> Move.Kind? {
        guard let owner = partition.owner, let wantedOwner = partition.targets.first else { return nil }
        if let replica = missingCopy(of: partition), fits(copyTo: replica.node, from: owner.node) {
            if partition.isFull { return unfinishedCopy(of: partition).map { .removeReplica($0) } }
            count(copyTo: replica.node, from: owner.node)
            return .addLearner(replica)
        }
        let live = partition.inSync.filter(map.isLive)
        let isWhole = live.count >= partition.targets.count
        if isWhole, owner.node != wantedOwner, let node = map[wantedOwner], live.contains(node.replica),
            promotions < limits.promotionsMax
        {
            promotions += 1
            return .promote(node.life)
        }
        // A surplus member of the in-sync set becomes a learner first, by its owner's request.
        guard map.hasSurplus(partition), removals < limits.removalsMax,
            let surplus = partition.learners.first(where: { !partition.targets.contains($0.node) })
        else { return nil }
        removals += 1
        return .removeReplica(surplus)
    }

    private func missingCopy(of partition: PartitionState) -> ReplicaID? {
        partition.targets.lazy.compactMap { map[$0] }.first { $0.isUp && !partition.holds($0.id) }?.replica
    }

    /// A copy that was begun on a node that is not meant to have one any more, best on one that is gone. It
    /// holds nothing that anybody relies on.
    private func unfinishedCopy(of partition: PartitionState) -> ReplicaID? {
        let unwanted = partition.learners.filter { !partition.targets.contains($0.node) }
        return unwanted.first { !map.isPresent($0) } ?? unwanted.first
    }

    private func fits(copyTo target: NodeID, from source: NodeID) -> Bool {
        copies < limits.copiesMax && copiesTo[target, default: 0] < limits.copiesPerNodeMax
            && copiesFrom[source, default: 0] < limits.copiesPerNodeMax
    }

    private mutating func count(copyTo target: NodeID, from source: NodeID) {
        copies += 1
        copiesTo[target, default: 0] += 1
        copiesFrom[source, default: 0] += 1
    }
}
