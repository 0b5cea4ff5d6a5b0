import Identifiers

/// What the leader of the consensus group does of its own accord: it grants partitions without an owner,
/// moves copies to where the planner wants them, and keeps as many voters as there should be.
///
/// It goes by the map alone and only proposes. Every command is checked when it is applied, so a controller
/// that was deposed, or that goes by an old map, does no harm. Time is counted in ticks of the group.
public struct Controller: Sendable {
    public struct Settings: Hashable, Sendable {
        /// What was proposed and has changed nothing after so long is proposed again.
        public var patienceTicks: UInt64 = 40
        /// Between two plans.
        public var planTicks: UInt64 = 10
        /// A node that is down is expected back for so long, before its copies are made elsewhere or its vote
        /// goes to another one.
        public var awaitTicks: UInt64 = 200
        /// A node that was away must be up for so long before ownership moves to it; twice as long for each
        /// time more that it was away lately (D32).
        public var stableTicks: UInt64 = 600
        /// So long has an owner that is to be relieved until it has handed over, before the partition is
        /// granted to the other one all the same; a little longer than the owner gives itself.
        public var handoverTicks: UInt64 = 150
        /// Clusters of at least so many nodes have five voters.
        public var fiveVotersNodesMin = 10
        /// When nodes are declared down; nil if only an operator does that.
        public var failures: FailureSettings? = FailureSettings()

        public init() {}
    }

    /// What to do now.
    public enum Decision: Hashable, Sendable {
        /// Commands for one entry of the log.
        case propose([Command])
        /// That owner should hand over.
        case ask(NodeID, [Handover])
        /// A change of the consensus group itself.
        case changeVoters(VoterChange)
        /// Another voter should lead, so that this one can leave.
        case handOver(to: ReplicaID)
        /// So many nodes seem to be down that these are not declared so for now.
        case spare([NodeID])
    }

    /// The members of the consensus group, as the leader's log has them.
    public struct Group: Hashable, Sendable {
        public var voters: [ReplicaID]
        public var learners: [ReplicaID]

        public init(voters: [ReplicaID], learners: [ReplicaID]) {
            self.voters = voters
            self.learners = learners
        }

        var members: [ReplicaID] { voters + learners }
    }

    public let me: ReplicaID
    public let settings: Settings
    private let planner: Planner
    private(set) var now: UInt64 = 0
    /// By node, what was seen of it while this controller leads.
    var watched: [NodeID: Watched] = [:]
    /// Partitions for which something is proposed: nothing more is before their entry has changed.
    private var pending: [PartitionID: (revision: Revision, until: UInt64)] = [:]
    /// Whose owners were asked to hand over, at which revision of the entry.
    private var asked: [PartitionID: Revision] = [:]
    private var pendingTargets: (version: MapVersion, until: UInt64)?
    private var nextPlanAt: UInt64 = 0
    private var knownUnfit: Set<NodeID> = []
    /// For which map and hints there was nothing to plan.
    private var idle: (version: MapVersion, hints: Planner.Hints)?
    var pendingRecord: (revision: Revision, until: UInt64)?
    var pendingChange: (group: Group, until: UInt64)?
    /// Who was declared down and has not come back: when, and until when it is not proposed again.
    var declared: [NodeID: (at: UInt64, until: UInt64)] = [:]
    private var spared: [NodeID] = []

    /// - Parameter me: the voter that it runs on.
    public init(me: ReplicaID, settings: Settings = Settings(), planner: Planner = Planner()) {
        self.me = me
        self.settings = settings
        self.planner = planner
    }

    /// - Parameters:
    ///   - map: what the leader has applied.
    ///   - evidence: what speaks for nodes being down.
    ///   - unfit: nodes that should own nothing for now.
    ///   - reports: what is known of the logs of a partition's members; without any, the promotion is safe
    ///     all the same (R1, R4).
    /// - Returns: nothing on a voter that does not lead, which also forgets what it knew.
    public mutating func tick(
        _ map: ClusterMap, group: Group, isLeader: Bool, evidence: [NodeID: Evidence] = [:],
        unfit: Set<NodeID> = [],
        reports: (PartitionID) -> [LogReport] = { _ in [] }
    ) -> [Decision] {
        guard isLeader else {
            if now > 0 { self = Controller(me: me, settings: settings, planner: planner) }
            return []
        }
        now += 1
        watch(map)
        pending = pending.filter { isPending($0.key, in: map) }
        asked = asked.filter { map[$0.key]?.revision == $0.value }
        var decisions: [Decision] = []
        let (down, spared) = failures(map, group, evidence)
        if !down.isEmpty { decisions.append(.propose(down)) }
        if spared != self.spared, !spared.isEmpty { decisions.append(.spare(spared)) }
        self.spared = spared
        let (grants, isOrphaned) = grants(map, reports)
        if !grants.isEmpty { decisions.append(.propose(grants)) }
        // What is moved while a partition has no owner yet would be moved by what is about to change.
        if !isOrphaned { decisions += plan(map, unfit) }
        if let decision = keepVoters(map, group) { decisions.append(decision) }
        return decisions
    }

    private func isPending(_ id: PartitionID, in map: ClusterMap) -> Bool {
        guard let waiting = pending[id], let partition = map[id] else { return false }
        return waiting.revision == partition.revision && now < waiting.until
    }

    // MARK: Grants

    /// - Returns: also whether there is a partition that waits for a grant, this one or an earlier.
    private mutating func grants(
        _ map: ClusterMap, _ reports: (PartitionID) -> [LogReport]
    ) -> (commands: [Command], isOrphaned: Bool) {
        var owned: [NodeID: Int]?
        var commands: [Command] = []
        var isOrphaned = false
        for (number, partition) in map.partitions.enumerated() where partition.owner == nil {
            let id = PartitionID(number)
            guard !isPending(id, in: map) else {
                isOrphaned = true
                continue
            }
            guard partition.inSync.contains(where: map.isLive) else { continue }
            let counts = owned ?? map.ownedCounts()
            owned = counts
            guard let life = map.candidates(for: partition, reports: reports(id), owned: counts).first,
                let command = map.promotion(of: id, to: life)
            else { continue }
            isOrphaned = true
            owned?[life.node, default: 0] += 1
            pending[id] = (partition.revision, now + settings.patienceTicks)
            commands.append(command)
        }
        return (commands, isOrphaned)
    }

    // MARK: Moves

    private mutating func plan(_ map: ClusterMap, _ unfit: Set<NodeID>) -> [Decision] {
        // Somebody who wants to end waits for it.
        let isUrgent = !unfit.isSubset(of: knownUnfit)
        knownUnfit = unfit
        guard now >= nextPlanAt || isUrgent else { return [] }
        nextPlanAt = now + settings.planTicks
        var hints = hints(map)
        hints.withoutOwnership.formUnion(unfit)
        // Where nothing has changed since there was nothing to do, there is nothing to do.
        if let idle, idle == (map.version, hints) { return [] }
        let plan = planner.plan(map, hints: hints)
        idle = plan.isEmpty ? (map.version, hints) : nil
        var commands: [Command] = []
        let waits = pendingTargets.map { $0.version == map.version && now < $0.until } ?? false
        if !plan.assignments.isEmpty, !waits {
            commands.append(.setTargets(plan.assignments, plan.basedOn))
            pendingTargets = (map.version, now + settings.patienceTicks)
        }
        var handovers: [NodeID: [Handover]] = [:]
        for move in plan.moves where !isPending(move.partition, in: map) {
            var patience = settings.patienceTicks
            if let (owner, handover) = handover(for: move, in: map) {
                handovers[owner, default: []].append(handover)
                patience = settings.handoverTicks
            } else {
                commands.append(move.command)
            }
            pending[move.partition] = (move.revision, now + patience)
        }
        return (commands.isEmpty ? [] : [.propose(commands)])
            + handovers.sorted { $0.key < $1.key }.map { .ask($0.key, $0.value) }
    }

    /// - Returns: nil if there is nobody to ask, or who was asked has not done it in time.
    private mutating func handover(for move: Move, in map: ClusterMap) -> (owner: NodeID, Handover)? {
        guard case .promote(let successor) = move.kind, settings.handoverTicks > 0,
            let partition = map[move.partition], let owner = partition.owner, map.isLive(owner.replica),
            asked[move.partition] != move.revision
        else { return nil }
        asked[move.partition] = move.revision
        let handover = Handover(
            partition: move.partition, epoch: partition.epoch, revision: move.revision, successor: successor)
        return (owner.node, handover)
    }
}
