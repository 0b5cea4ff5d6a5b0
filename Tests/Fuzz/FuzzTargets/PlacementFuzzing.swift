import ByteCoding
import Identifiers
import PlacementCore
import TimeAndChance

extension FuzzTarget {
    /// Any entry can be applied: it keeps the invariants, and what it refuses changes nothing.
    public static let clusterEntry = FuzzTarget("ClusterEntry", corpus: History.entries.map { $0.encoded() })
    {
        bytes in
        guard let entry = try? ClusterEntry.decode(bytes) else { return nil }
        guard (try? ClusterEntry.decode(entry.encoded())) == entry else {
            return "an entry changed on its way: \(entry)"
        }
        for state in History.states {
            var next = state
            let applied = next.apply(entry, at: state.appliedIndex + 1)
            if let breach = next.map?.firstBreach() { return "\(breach), after \(entry)" }
            var follower = MapFollower()
            if let map = state.map { _ = follower.follow(.snapshot(map)) }
            if let update = applied.update { _ = follower.follow(update) }
            if follower.map != next.map { return "a follower differs after \(entry)" }
        }
        return nil
    }

    /// What is accepted as a snapshot reads back the same, can be planned for, and takes any command.
    public static let clusterState = FuzzTarget("ClusterState", corpus: History.states.map { $0.encoded() }) {
        bytes in
        guard let state = try? ClusterState.decode(bytes) else { return nil }
        guard (try? ClusterState.decode(state.encoded())) == state else {
            return "a snapshot changed on its way"
        }
        if let map = state.map { _ = Planner().plan(map) }
        for entry in History.entries {
            var next = state
            _ = next.apply(entry, at: state.appliedIndex + 1)
            if let breach = next.map?.firstBreach() { return "\(breach), after \(entry)" }
        }
        return nil
    }

    /// What is accepted as handovers reads back the same.
    public static let handovers = FuzzTarget(
        "Handovers",
        corpus: [
            Handover.encode([
                Handover(
                    partition: PartitionID(3), epoch: Epoch(rawValue: 300), revision: Revision(rawValue: 7),
                    successor: History.life)
            ])
        ]
    ) { bytes in
        guard let handovers = try? Handover.decode(bytes) else { return nil }
        return (try? Handover.decode(Handover.encode(handovers))) == handovers
            ? nil : "handovers changed on their way: \(handovers)"
    }

    /// Any update is followed or refused.
    public static let mapUpdate = FuzzTarget("MapUpdate", corpus: History.updates.map { $0.encoded() }) {
        bytes in
        guard let update = try? MapUpdate.decode(bytes) else { return nil }
        guard (try? MapUpdate.decode(update.encoded())) == update else {
            return "an update changed on its way"
        }
        for state in History.states {
            guard let map = state.map else { continue }
            var follower = MapFollower()
            _ = follower.follow(.snapshot(map))
            _ = follower.follow(update)
            if follower.version < map.version { return "a follower went back" }
        }
        return nil
    }

    /// A short life of a cluster.
    private enum History {
        static let life = NodeLife(
            node: NodeID(rawValue: 2), incarnation: Incarnation(rawValue: 1), store: StoreID(high: 1, low: 2))
        static let profile = NodeProfile(meshAddress: "a:1", clientAddress: "a:2", zone: "z")
        static let formats = FormatVersions(journal: 1, map: 1)
        static let cluster = ClusterID(high: 1, low: 1)
        static let first = NodeLife(
            node: NodeID(rawValue: 1), incarnation: Incarnation(rawValue: 1), store: StoreID(high: 1, low: 1))

        static let entries: [ClusterEntry] = {
            let partition = PartitionID(1)
            func revision(_ number: UInt64) -> Revision { Revision(rawValue: number) }
            let constants = ClusterConstants(
                cluster: cluster, ring: HashRing(partitionCount: 2, seed: (1, 2))!, formats: formats)
            let commands: [[Command]] = [
                [.initialize(constants, ClusterSettings(), store: first.store, profile), .confirm(first)],
                [
                    .register(
                        Registration(
                            cluster: cluster, node: nil, store: life.store,
                            lastIncarnation: Incarnation(rawValue: 0), profile: profile, formats: formats)),
                    .confirm(life),
                ],
                [
                    .promote(partition, revision(0), to: first),
                    .addLearner(partition, revision(1), life.replica),
                    .changeInSync(partition, Epoch(rawValue: 1), revision(2), .add(life)),
                ],
                [.setTargets([.init(partition: partition, nodes: [life.node])], MapVersion(rawValue: 3))],
                [
                    .changeVoters(.addLearner(life.replica), revision(0)),
                    .changeSettings(ClusterSettings(replicationFactor: 3), revision(0)),
                    .drain(first.node, first.incarnation, true),
                ],
                [.changeInSync(partition, Epoch(rawValue: 1), revision(4), .drop(life.replica))],
                [.nodeDown(first.node, first.incarnation, .silent)],
                [
                    .forcePromote(partition, revision(6), to: life, acceptsDataLoss: true),
                    .removeReplica(partition, revision(7), first.replica),
                    .leave(life.node, life.incarnation),
                ],
            ]
            return commands.enumerated().map {
                ClusterEntry(time: Timestamp(rawValue: UInt64($0)), commands: $1)
            }
        }()

        private static let applied: (states: [ClusterState], updates: [MapUpdate]) = {
            var states = [ClusterState()]
            var updates: [MapUpdate] = []
            for (index, entry) in entries.enumerated() {
                var state = states[index]
                if let update = state.apply(entry, at: UInt64(index) + 1).update { updates.append(update) }
                states.append(state)
            }
            return (states, updates)
        }()
        static var states: [ClusterState] { applied.states }
        static var updates: [MapUpdate] { applied.updates }
    }
}
