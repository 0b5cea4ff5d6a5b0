import ByteCoding
import Identifiers
import PlacementCore
import Testing
import TimeAndChance

/// A control plane under test: after each command it checks everything that must always hold.
struct ControlPlane {
    static let cluster = ClusterID(high: 1, low: 2)
    static let formats = FormatVersions(journal: 1, map: 1)

    var state = ClusterState()
    private(set) var index: UInt64 = 0
    private(set) var follower = MapFollower()
    private(set) var log = MapLog()

    /// Nodes numbered from 1, on stores of the same number, all up; the first has all partitions in sync.
    init(nodes: Int = 0, partitions: Int = 4, settings: ClusterSettings = ClusterSettings()) {
        guard nodes > 0 else { return }
        let life = life(of: run(Self.initialization(partitions: partitions, settings: settings)))
        run(.confirm(life))
        for number in 1..<max(1, nodes) { join(store: number + 1) }
    }

    var map: ClusterMap { state.map! }

    static func store(_ number: Int) -> StoreID { StoreID(high: 0xAA, low: UInt64(number)) }

    static func profile(zone: String = "", weight: Int = 1) -> NodeProfile {
        NodeProfile(meshAddress: "m", clientAddress: "c", zone: zone, weight: weight)
    }

    static func initialization(
        partitions: Int = 4, settings: ClusterSettings = ClusterSettings(), zone: String = ""
    ) -> Command {
        .initialize(
            ClusterConstants(
                cluster: cluster, ring: HashRing(partitionCount: partitions, seed: (3, 4))!,
                formats: formats),
            settings, store: store(1), profile(zone: zone))
    }

    static func registration(
        node: UInt64? = nil, store: Int, last: UInt32 = 0, zone: String = "", weight: Int = 1
    ) -> Registration {
        Registration(
            cluster: cluster, node: node.map(NodeID.init), store: Self.store(store),
            lastIncarnation: Incarnation(rawValue: last), profile: profile(zone: zone, weight: weight),
            formats: formats)
    }

    // MARK: Commands

    @discardableResult
    mutating func run(_ command: Command) -> Outcome { run([command])[0] }

    @discardableResult
    mutating func run(_ commands: [Command]) -> [Outcome] {
        let before = state
        index += 1
        let entry = ClusterEntry(time: Timestamp(rawValue: index * 1000), commands: commands)
        let applied = state.apply(entry, at: index)
        #expect(applied.outcomes.count == commands.count)
        check(after: commands, applied, from: before)
        if let update = applied.update {
            log.append(update)
            #expect(follower.follow(update) == .followed)
        }
        // Compared apart from the expectation, which would print both.
        let isFollowed = follower.map == state.map
        #expect(isFollowed, "I9: a follower differs from the state")
        return applied.outcomes
    }

    @discardableResult
    mutating func register(
        node: UInt64? = nil, store: Int, last: UInt32 = 0, zone: String = "", weight: Int = 1
    ) -> Outcome {
        run(.register(Self.registration(node: node, store: store, last: last, zone: zone, weight: weight)))
    }

    /// A new node, or a node's new life, that is up.
    @discardableResult
    mutating func join(
        node: UInt64? = nil, store: Int, last: UInt32 = 0, zone: String = "", weight: Int = 1
    ) -> NodeLife {
        let life = life(of: register(node: node, store: store, last: last, zone: zone, weight: weight))
        #expect(run(.confirm(life)) == .accepted)
        return life
    }

    func life(of outcome: Outcome) -> NodeLife {
        guard case .registered(let life) = outcome else {
            Issue.record("not registered: \(outcome)")
            return NodeLife(
                node: NodeID(rawValue: 0), incarnation: Incarnation(rawValue: 0), store: Self.store(0))
        }
        return life
    }

    func life(_ node: UInt64) -> NodeLife { map[NodeID(rawValue: node)]!.life }

    func partition(_ number: Int) -> PartitionState { map[PartitionID(number)]! }

    @discardableResult
    mutating func promote(_ number: Int, to node: UInt64) -> Outcome {
        run(.promote(PartitionID(number), partition(number).revision, to: life(node)))
    }

    @discardableResult
    mutating func addLearner(_ number: Int, _ node: UInt64) -> Outcome {
        run(.addLearner(PartitionID(number), partition(number).revision, life(node).replica))
    }

    @discardableResult
    mutating func change(_ number: Int, _ change: InSyncChange) -> Outcome {
        run(
            .changeInSync(
                PartitionID(number), partition(number).epoch, partition(number).revision, change))
    }

    /// The node catches up and is in sync.
    mutating func replicate(_ number: Int, to node: UInt64) {
        #expect(addLearner(number, node) == .accepted)
        #expect(change(number, .add(life(node))) == .accepted)
    }

    @discardableResult
    mutating func down(_ node: UInt64) -> Outcome {
        run(.nodeDown(NodeID(rawValue: node), life(node).incarnation, .silent))
    }

    // MARK: What always holds

    private func check(
        after commands: [Command], _ applied: ClusterState.Applied, from before: ClusterState
    ) {
        let sentence: Comment = "after \(commands.prefix(5))"
        if let breach = state.map?.firstBreach(), state.disabled.isEmpty {
            Issue.record("\(breach) \(sentence)")
        }
        let refused = applied.outcomes.allSatisfy { if case .refused = $0 { true } else { false } }
        if refused {
            let isUnchanged = state.map == before.map && state.audit == before.audit
            #expect(isUnchanged && applied.update == nil, sentence)
        }
        guard let old = before.map, let new = state.map else { return }
        #expect(old.constants == new.constants, "R16 \(sentence)")
        #expect((old.version == new.version) == (applied.update == nil), sentence)
        #expect(applied.update == nil || new.version.rawValue == state.appliedIndex, sentence)
        for node in new.nodes {
            guard let known = old[node.id] else { continue }
            #expect(node.incarnation >= known.incarnation, "R15 \(sentence)")
            if known.liveness == .down, node.liveness != .down {
                #expect(node.incarnation > known.incarnation, "I19: a life came back \(sentence)")
            }
        }
        for (number, (old, new)) in zip(old.partitions, new.partitions).enumerated() where old != new {
            #expect(new.isNewer(than: old), "I9: partition \(number) \(sentence)")
            #expect(!new.inSync.isEmpty, "partition \(number) \(sentence)")
            if let owner = new.owner, new.owner != old.owner, state.disabled.isEmpty {
                #expect(new.epoch > old.epoch, "R5: partition \(number) \(sentence)")
                if new.dataLossGeneration == old.dataLossGeneration, commands.count == 1 {
                    #expect(
                        old.inSync.contains(owner.replica),
                        "R4, I10: partition \(number) \(sentence)")
                }
            }
        }
    }
}
