import Identifiers

/// The planner's working copy: the wanted copies of every partition, by the nodes' places in the map, and
/// what that means for each node.
struct Placement {
    let map: ClusterMap
    let limits: Planner.Limits
    let shares: FairShares
    let ring: PlacementRing
    let zones: [Int]
    /// Whether copies on the node may stay.
    let keeps: [Bool]
    /// Whether the node may get copies.
    let accepts: [Bool]
    /// Partitions that the node should own.
    let ownerShares: [Double]
    let limitsScatter: Bool

    /// By partition, the wanted owner first.
    private(set) var targets: [[Int]]
    /// By partition: whether everything wanted is in sync and owned, so that one copy may move.
    private(set) var isSettled: [Bool]
    /// By partition: nobody who has the data is there, so that nothing is planned.
    let isFrozen: [Bool]
    /// By node: copies, owned partitions, and how many partitions are shared with each other node.
    private(set) var load: [Int]
    private(set) var owned: [Int]
    private var shared: [[Int: Int]]

    init(_ map: ClusterMap, limits: Planner.Limits, hints: Planner.Hints) {
        self.map = map
        self.limits = limits
        let nodes = map.nodes
        let keeps = nodes.map {
            !$0.isDraining && $0.profile.weight > 0 && ($0.liveness != .down || hints.awaited.contains($0.id))
        }
        self.keeps = keeps
        accepts = nodes.indices.map { keeps[$0] && nodes[$0].isUp }
        let weights = nodes.indices.map { keeps[$0] ? Double(nodes[$0].profile.weight) : 0 }
        let names = Set(nodes.map(\.profile.zone)).sorted()
        zones = nodes.map { node in names.firstIndex(of: node.profile.zone) ?? 0 }
        let shares = FairShares(
            weights: weights, zones: zones, partitions: map.partitions.count,
            replicationFactor: map.settings.replicationFactor)
        self.shares = shares
        ring = PlacementRing(map.constants.ring, nodes: nodes.map(\.id), weights: weights)
        limitsScatter = keeps.count { $0 } >= limits.scatterNodesMin
        let mayOwn = nodes.indices.map { !hints.withoutOwnership.contains(nodes[$0].id) }
        ownerShares = FairShares.fill(
            Double(map.partitions.count),
            weights: nodes.indices.map { mayOwn[$0] ? shares.copies[$0] : 0 }, limits: shares.copies)

        load = Array(repeating: 0, count: nodes.count)
        owned = load
        shared = Array(repeating: [:], count: nodes.count)
        (targets, isSettled) = ([], [])
        isFrozen = map.partitions.map(map.isOffline)
        for (number, partition) in map.partitions.enumerated() {
            let kept = keptTargets(of: partition)
            targets.append([])
            for node in kept { place(node, in: number) }
            isSettled.append(
                kept.count == shares.copiesPerPartition && kept.map { nodes[$0].id } == partition.targets
                    && partition.learners.isEmpty && partition.owner != nil
                    && partition.inSync.map(\.node) == partition.targets.sorted())
        }
    }

    /// The present targets that are still valid; before the first plan, the present copies. Never more than
    /// the partition needs.
    private func keptTargets(of partition: PartitionState) -> [Int] {
        var wanted = partition.targets
        if wanted.isEmpty {
            let present = [partition.owner?.replica].compactMap { $0 } + partition.inSync + partition.learners
            for replica in present where !wanted.contains(replica.node) { wanted.append(replica.node) }
        }
        var kept = wanted.compactMap { map.index(of: $0) }.filter { keeps[$0] }
        while kept.count > shares.copiesPerPartition {
            // The last that has no copy in sync, else the last.
            let surplus = kept.lastIndex { !partition.inSync.contains(map.nodes[$0].replica) }
            kept.remove(at: surplus ?? kept.count - 1)
        }
        return kept
    }

    /// The result, without the partitions for which nothing is planned.
    var assignments: [TargetAssignment] {
        targets.indices.filter { !isFrozen[$0] }.map { number in
            TargetAssignment(
                partition: PartitionID(number), nodes: targets[number].map { map.nodes[$0].id })
        }
    }

    // MARK: Changes, which keep the counts right

    mutating func place(_ node: Int, in partition: Int) {
        for other in targets[partition] {
            shared[other][node, default: 0] += 1
            shared[node][other, default: 0] += 1
        }
        if targets[partition].isEmpty { owned[node] += 1 }
        targets[partition].append(node)
        load[node] += 1
    }

    /// Replaces a copy by one on another node, in the same role.
    mutating func replace(_ old: Int, by new: Int, in partition: Int) {
        guard let role = targets[partition].firstIndex(of: old) else { return }
        for other in targets[partition] where other != old {
            for (a, b) in [(old, other), (other, old)] {
                shared[a][b, default: 0] -= 1
                if shared[a][b] == 0 { shared[a][b] = nil }
            }
            shared[other][new, default: 0] += 1
            shared[new][other, default: 0] += 1
        }
        targets[partition][role] = new
        if role == 0 {
            owned[old] -= 1
            owned[new] += 1
        }
        load[old] -= 1
        load[new] += 1
        isSettled[partition] = false
    }

    /// Makes a copy's node the wanted owner.
    mutating func makeOwner(_ node: Int, of partition: Int) {
        guard let role = targets[partition].firstIndex(of: node), role > 0 else { return }
        owned[targets[partition][0]] -= 1
        owned[node] += 1
        targets[partition].swapAt(0, role)
    }

    // MARK: Bounds

    /// The load above which a node sheds copies, and the one below which it draws some: the hysteresis around
    /// the fair share, and at least one copy.
    func bounds(_ share: Double) -> ClosedRange<Int> {
        let low = min((share * (1 - limits.hysteresis)).rounded(.down), share.rounded(.up) - 1)
        let high = max((share * (1 + limits.hysteresis)).rounded(.up), share.rounded(.down) + 1)
        return Int(max(0, low))...Int(max(0, share > 0 ? high : 0))
    }

    func overload(_ node: Int) -> Double { Double(load[node]) / max(shares.copies[node], 0.001) }

    /// Whether taking a copy from one node to another brings both nearer to their shares.
    func isFairer(from: Int, to: Int) -> Bool {
        Double(load[from] - 1) * shares.copies[to] >= Double(load[to] + 1) * shares.copies[from]
    }

    /// How many copies over what its zone may hold the partition would have with the node, in place of
    /// another one.
    func zoneExcess(of node: Int, in partition: Int, insteadOf old: Int? = nil) -> Int {
        let inZone = targets[partition].count { $0 != old && $0 != node && zones[$0] == zones[node] }
        return max(0, inZone + 1 - shares.copiesPerZoneMax)
    }

    /// How many pairs of nodes beyond the scatter width the partition would need with the node.
    func scatterExcess(of node: Int, in partition: Int, insteadOf old: Int? = nil) -> Int {
        guard limitsScatter else { return 0 }
        var excess = 0
        var newPeers = 0
        for other in targets[partition] where other != old && shared[node][other] == nil {
            newPeers += 1
            if shared[other].count >= limits.scatterWidthMax { excess += 1 }
        }
        return excess + max(0, min(newPeers, shared[node].count + newPeers - limits.scatterWidthMax))
    }
}
