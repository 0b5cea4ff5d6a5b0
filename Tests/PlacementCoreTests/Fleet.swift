import Identifiers
import Testing
import TimeAndChance

@testable import PlacementCore

/// A cluster under a planner, with a controller and owners that do what they should: plans are applied,
/// learners catch up, partitions without an owner get one.
struct Fleet {
    var state = ClusterState()
    var index: UInt64 = 0
    var planner = Planner()
    var hints = Planner.Hints()
    var random: SplitMix64

    /// What it took to settle.
    struct Work {
        var rounds = 0
        var copies = 0
        var promotions = 0
        var removals = 0
    }

    init(
        _ nodes: [(zone: String, weight: Int)], partitions: Int, replicationFactor: Int = 2, seed: UInt64 = 1
    ) {
        random = SplitMix64(seed: seed)
        planner.limits.promotionsMax = 16
        planner.limits.copiesPerNodeMax = 4
        let settings = ClusterSettings(replicationFactor: replicationFactor)
        run([ControlPlane.initialization(partitions: partitions, settings: settings, zone: nodes[0].zone)])
        run([.confirm(map.nodes[0].life)])
        for node in nodes.dropFirst() { join(zone: node.zone, weight: node.weight) }
    }

    /// Equal nodes without zones, settled.
    init(nodes: Int, partitions: Int, replicationFactor: Int = 2, seed: UInt64 = 1) {
        self.init(
            Array(repeating: ("", 1), count: nodes), partitions: partitions,
            replicationFactor: replicationFactor, seed: seed)
        settle()
    }

    var map: ClusterMap { state.map! }
    var replicationFactor: Int { map.settings.replicationFactor }

    mutating func run(_ commands: [Command]) {
        index += 1
        let applied = state.apply(ClusterEntry(time: Timestamp(rawValue: 0), commands: commands), at: index)
        for (command, outcome) in zip(commands, applied.outcomes) {
            if case .refused(let refusal) = outcome { Issue.record("\(refusal): \(command)") }
        }
        if let breach = map.firstBreach() { Issue.record("\(breach)") }
    }

    @discardableResult
    mutating func join(zone: String = "", weight: Int = 1) -> NodeID {
        let registration = ControlPlane.registration(store: Int(index) + 1, zone: zone, weight: weight)
        run([.register(registration)])
        let life = map.nodes.last!.life
        run([.confirm(life)])
        return life.node
    }

    mutating func down(_ node: NodeID) {
        run([.nodeDown(node, map[node]!.incarnation, .silent)])
    }

    mutating func drain(_ node: NodeID) {
        run([.drain(node, map[node]!.incarnation, true)])
    }

    /// Plans and applies until there is nothing to do.
    @discardableResult
    mutating func settle() -> Work {
        var work = Work()
        while work.rounds < 5000 {
            grantOwners()
            let plan = planner.plan(map, hints: hints)
            check(plan)
            for move in plan.moves {
                switch move.kind {
                case .addLearner: work.copies += 1
                case .promote: work.promotions += 1
                case .removeReplica: work.removals += 1
                }
            }
            if !plan.isEmpty { run(plan.commands) }
            let pending = catchUp()
            if plan.isEmpty, !pending { return work }
            work.rounds += 1
        }
        Issue.record("no fixed point after \(work.rounds) rounds")
        return work
    }

    private mutating func grantOwners() {
        var commands: [Command] = []
        for number in map.partitions.indices where map.partitions[number].owner == nil {
            let id = PartitionID(number)
            if let life = map.promotionCandidates(for: id, reports: []).first,
                let command = map.promotion(of: id, to: life)
            {
                commands.append(command)
            }
        }
        if !commands.isEmpty { run(commands) }
    }

    /// Owners let go of whom they are to do without, and some of the learners catch up.
    /// - Returns: whether there were any.
    private mutating func catchUp() -> Bool {
        var commands: [Command] = []
        var pending = false
        for (number, partition) in map.partitions.enumerated() where partition.owner != nil {
            let leaving = map.leaving(partition)
            if let member = partition.inSync.first(where: leaving.contains) {
                pending = true
                commands.append(
                    .changeInSync(PartitionID(number), partition.epoch, partition.revision, .drop(member)))
                continue
            }
            guard let learner = partition.learners.first(where: { map.isLive($0) && !leaving.contains($0) })
            else { continue }
            pending = true
            guard Int.random(in: 0..<3, using: &random) > 0, let life = map[learner.node]?.life else {
                continue
            }
            commands.append(
                .changeInSync(PartitionID(number), partition.epoch, partition.revision, .add(life)))
        }
        if !commands.isEmpty { run(commands) }
        return pending
    }

    /// What must be true of every plan.
    private func check(_ plan: Plan) {
        let limits = planner.limits
        for assignment in plan.assignments {
            #expect(Set(assignment.nodes).count == assignment.nodes.count, "a node twice: \(assignment)")
            #expect(assignment.nodes.count <= replicationFactor)
        }
        var touched = plan.assignments.map(\.partition)
        var copiesTo: [NodeID: Int] = [:]
        for (number, partition) in map.partitions.enumerated() {
            for learner in partition.learners where partition.targets.contains(learner.node) {
                copiesTo[learner.node, default: 0] += map.isLive(learner) && partition.owner != nil ? 1 : 0
            }
            for move in plan.moves where move.partition == PartitionID(number) {
                touched.append(move.partition)
                let copies = partition.inSync.filter(map.isLive).count
                switch move.kind {
                case .addLearner(let replica): copiesTo[replica.node, default: 0] += 1
                case .promote:
                    #expect(
                        copies >= min(replicationFactor, partition.targets.count),
                        "moves a partition that is at risk")
                case .removeReplica(let replica):
                    #expect(!partition.inSync.contains(replica), "R19: removes a member of the in-sync set")
                    let others = partition.inSync.filter { map.isLive($0) && $0 != replica }.count
                    #expect(
                        others >= replicationFactor || partition.isFull,
                        "gives up a copy of a partition at risk")
                }
            }
        }
        #expect(Set(touched).count == touched.count, "two changes of one partition in one plan")
        // Nodes that return with many copies are over the limit without the planner's doing.
        for move in plan.moves {
            guard case .addLearner(let replica) = move.kind else { continue }
            #expect(copiesTo[replica.node, default: 0] <= limits.copiesPerNodeMax)
            #expect(copiesTo.values.reduce(0, +) <= limits.copiesMax)
        }
        let promotions = plan.moves.count { if case .promote = $0.kind { true } else { false } }
        #expect(promotions <= limits.promotionsMax)
    }

    // MARK: What came out

    func load(_ node: NodeID) -> Int { map.partitions.count { $0.inSync.holds(node) } }
    func owned(_ node: NodeID) -> Int { map.partitions.count { $0.owner?.node == node } }

    /// Complaints about the settled cluster.
    func complaints() -> [String] {
        var complaints: [String] = []
        let usable = map.nodes.filter { $0.isUp && !$0.isDraining && $0.profile.weight > 0 }
        let copies = min(replicationFactor, usable.count)
        for (number, partition) in map.partitions.enumerated() {
            let nodes = partition.inSync.map(\.node)
            if nodes.count != copies || !partition.learners.isEmpty {
                complaints.append("partition \(number) has \(nodes.count) copies instead of \(copies)")
            }
            if partition.owner?.node != partition.targets.first {
                complaints.append("partition \(number) is not owned by its wanted owner")
            }
        }
        let placement = Placement(map, limits: planner.limits, hints: hints)
        for (index, node) in map.nodes.enumerated() {
            let share = placement.shares.copies[index]
            if !placement.bounds(share).contains(load(node.id)) {
                complaints.append(
                    "node \(node.id.rawValue) has \(load(node.id)) copies of a share of \(share)")
            }
            let owns = placement.ownerShares[index]
            if !placement.bounds(owns).contains(owned(node.id)) {
                complaints.append("node \(node.id.rawValue) owns \(owned(node.id)) of a share of \(owns)")
            }
        }
        return complaints
    }

    /// Partitions with more copies in a zone than need be.
    func zoneViolations() -> Int {
        let shares = Placement(map, limits: planner.limits, hints: hints).shares
        return map.partitions.count { partition in
            let zones = partition.inSync.compactMap { map[$0.node]?.profile.zone }
            return zones.contains { zone in zones.count { $0 == zone } > shares.copiesPerZoneMax }
        }
    }

    /// With how many others each node that is up shares partitions.
    func scatterWidths() -> [Int] {
        map.nodes.filter(\.isUp).map { node in
            Set(map.partitions.filter { $0.inSync.holds(node.id) }.flatMap { $0.inSync.map(\.node) }).count
                - 1
        }
    }
}
