import Identifiers

/// The replicated state machine of the control plane: what consensus applies its log to.
///
/// Deterministic and total: the same entries give the same state on every voter, and no entry traps.
public struct ClusterState: Hashable, Sendable {
    /// Nil before the cluster was initialised.
    public internal(set) var map: ClusterMap?
    /// The newest entry that was applied.
    public internal(set) var appliedIndex: UInt64 = 0
    /// What operators may want to know, oldest first, bounded.
    public internal(set) var audit: [AuditEntry] = []
    /// How many numbers nodes got.
    var nodesIssued: UInt64 = 0
    /// Switched off by tests and simulations only.
    package var disabled: DisabledRules = []

    public init() {}

    /// What one log entry did.
    public struct Applied: Hashable, Sendable {
        /// One for each command.
        public var outcomes: [Outcome]
        /// What the followers of the map must hear; nil if it did not change.
        public var update: MapUpdate?
    }

    /// - Parameter index: of the entry in the log. An entry that was applied before does nothing again.
    public mutating func apply(_ entry: ClusterEntry, at index: UInt64) -> Applied {
        guard index > appliedIndex, index <= ClusterMap.counterMax else {
            return Applied(
                outcomes: entry.commands.map { _ in .refused(.staleVersion(version)) }, update: nil)
        }
        appliedIndex = index
        var commands = entry.commands[...]
        var outcomes: [Outcome] = []
        var isNew = false
        while map == nil, let command = commands.popFirst() {
            outcomes.append(Self.outcome { () throws(Refusal) in try initialize(command, entry, at: index) })
            isNew = map != nil
        }
        guard let current = map else { return Applied(outcomes: outcomes, update: nil) }
        // The transition has the only reference to the map, so that nothing of it is copied.
        map = nil
        var transition = Transition(current, disabled: disabled, time: entry.time)
        for command in commands {
            outcomes.append(Self.outcome { () throws(Refusal) in try perform(command, &transition) })
        }
        let delta = transition.finish(at: index)
        map = transition.map
        for event in transition.events { remember(event, entry, at: index) }
        let update = isNew ? map.map { MapUpdate.snapshot($0) } : delta.map { .delta($0) }
        return Applied(outcomes: outcomes, update: update)
    }

    private var version: MapVersion { map?.version ?? MapVersion(rawValue: 0) }

    private static func outcome(_ body: () throws(Refusal) -> Outcome) -> Outcome {
        do { return try body() } catch { return .refused(error) }
    }

    /// All partitions begin on the first node, which owns nothing before it is confirmed and promoted.
    private mutating func initialize(
        _ command: Command, _ entry: ClusterEntry, at index: UInt64
    ) throws(Refusal) -> Outcome {
        guard case .initialize(let constants, let settings, let store, let profile) = command else {
            throw .notInitialized
        }
        guard settings.isValid, profile.isValid else { throw .invalid }
        nodesIssued = 1
        let node = NodeState(
            id: NodeID(rawValue: 1), profile: profile,
            disk: .init(store: store, persisted: Incarnation(rawValue: 0)),
            incarnation: Incarnation(rawValue: 1), liveness: .joining, since: entry.time)
        map = ClusterMap(
            version: MapVersion(rawValue: index), constants: constants, settings: settings,
            voters: VoterList(voters: [node.replica]), nodes: [node],
            partitions: Array(
                repeating: PartitionState(inSync: [node.replica]), count: constants.ring.partitionCount))
        remember(.initialized, entry, at: index)
        return .registered(node.life)
    }

    private mutating func perform(
        _ command: Command, _ transition: inout Transition
    ) throws(Refusal) -> Outcome {
        switch command {
        case .initialize: throw .alreadyInitialized
        case .register(let registration):
            return .registered(try transition.register(registration, nodesIssued: &nodesIssued))
        case .confirm(let life): try transition.confirm(life)
        case .nodeDown(let node, let incarnation, let evidence):
            try transition.nodeDown(node, incarnation, evidence)
        case .drain(let node, let incarnation, let wanted): try transition.drain(node, incarnation, wanted)
        case .leave(let node, let incarnation): try transition.leave(node, incarnation)
        case .changeInSync(let partition, let epoch, let revision, let change):
            try transition.changeInSync(partition, epoch, revision, change)
        case .promote(let partition, let revision, let life):
            try transition.promote(partition, revision, to: life)
        case .forcePromote(let partition, let revision, let life, let acceptsDataLoss):
            try transition.forcePromote(partition, revision, to: life, acceptsDataLoss: acceptsDataLoss)
        case .addLearner(let partition, let revision, let replica):
            try transition.addLearner(partition, revision, replica)
        case .removeReplica(let partition, let revision, let replica):
            try transition.removeReplica(partition, revision, replica)
        case .setTargets(let assignments, let version): try transition.setTargets(assignments, version)
        case .changeVoters(let change, let revision): try transition.changeVoters(change, revision)
        case .changeSettings(let settings, let revision):
            try transition.changeSettings(to: settings, revision)
        }
        return .accepted
    }

    private mutating func remember(_ event: AuditEntry.Event, _ entry: ClusterEntry, at index: UInt64) {
        if audit.count == AuditEntry.tailMax { audit.removeFirst() }
        audit.append(AuditEntry(index: index, time: entry.time, event: event))
    }
}
