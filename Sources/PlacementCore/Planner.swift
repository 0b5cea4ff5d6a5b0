import Identifiers

/// Proposes where copies should be, and the next moves towards that.
///
/// The placement is consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, "Consistent
/// hashing with bounded loads", 2016), made stateful: what is there and still valid stays, holes are filled
/// by a walk on the ring, and only then is shed what violates a bound. Owners are balanced by swapping roles,
/// which copies nothing.
public struct Planner: Sendable {
    /// How much may happen at once, and how far from balance is near enough.
    public struct Limits: Hashable, Sendable {
        /// Copies under way in the cluster.
        public var copiesMax = 64
        /// Copies under way to one node, and likewise from one node.
        public var copiesPerNodeMax = 2
        /// Changes of owner in one plan.
        public var promotionsMax = 4
        /// Copies deleted in one plan.
        public var removalsMax = 64
        /// Load outside of this share around a node's fair one makes copies move.
        public var hysteresis = 0.15
        /// Nodes that one node shares partitions with, so that two failures rarely meet in one partition
        /// (Cidon et al., "Copysets", 2013). Kept where it can be, in clusters of more than
        /// `scatterNodesMin` nodes.
        public var scatterWidthMax = 10
        public var scatterNodesMin = 21

        public init() {}
    }

    /// What the controller knows beyond the map.
    public struct Hints: Hashable, Sendable {
        /// Nodes that are down, and expected back before copying their partitions elsewhere is worth it.
        public var awaited: Set<NodeID> = []
        /// Nodes that should own nothing for now: back only just, or sick.
        public var withoutOwnership: Set<NodeID> = []

        public init() {}
    }

    public var limits: Limits

    public init(limits: Limits = Limits()) { self.limits = limits }

    /// What to propose now; empty once everything is where it should be, or has to be waited for.
    ///
    /// A partition gets either new targets or a move towards those it has, so that both can be proposed in
    /// one entry.
    public func plan(_ map: ClusterMap, hints: Hints = Hints()) -> Plan {
        var placement = Placement(map, limits: limits, hints: hints)
        placement.fillHoles()
        placement.separateZones()
        placement.balanceCopies()
        placement.balanceOwners()
        let assignments = placement.assignments.filter { map[$0.partition]?.targets != $0.nodes }
        var moves = MoveSelection(map, limits: limits)
        moves.select(excluding: Set(assignments.map(\.partition)))
        return Plan(basedOn: map.version, assignments: assignments, moves: moves.moves)
    }
}

/// What the planner proposes.
public struct Plan: Hashable, Sendable {
    public let basedOn: MapVersion
    /// Partitions whose targets should change.
    public let assignments: [TargetAssignment]
    /// At most one for each partition.
    public let moves: [Move]

    public var isEmpty: Bool { assignments.isEmpty && moves.isEmpty }

    /// The commands of the plan in the order in which they can be applied as one entry.
    public var commands: [Command] {
        (assignments.isEmpty ? [] : [.setTargets(assignments, basedOn)]) + moves.map(\.command)
    }
}

/// One step of one partition towards its targets.
public struct Move: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case addLearner(ReplicaID)
        /// A change of owner between members of the in-sync set; best after a handoff.
        case promote(NodeLife)
        case removeReplica(ReplicaID)
    }

    public let partition: PartitionID
    public let revision: Revision
    public let kind: Kind

    public var command: Command {
        switch kind {
        case .addLearner(let replica): .addLearner(partition, revision, replica)
        case .promote(let life): .promote(partition, revision, to: life)
        case .removeReplica(let replica): .removeReplica(partition, revision, replica)
        }
    }
}
