import ConsensusCore
import Identifiers
import PlacementCore

/// A node's side of the control plane: registers the process, follows the map, and carries commands to the
/// leader until they are answered. Every node has one, voters too.
public struct ControlClient: Sendable {
    public enum Event: Sendable {
        case tick
        case reply(ControlReply, from: ControlPeer)
        /// This node's own part of the consensus group has come to that map: a voter knows it before others
        /// tell it, above all whom not to listen to any more (R15).
        case applied(ClusterMap)
        /// The incarnation of that life is on this node's disk.
        case incarnationPersisted
        /// To be applied by the leader; the outcome comes under the token.
        case propose(token: UInt64, [Command])
        case changeVoters(token: UInt64, Raft.Change)
        /// The leader wants partitions of this process to have other owners.
        case handOver([Handover])
        /// The host has come to a good place to stop in the partition: nothing of the epoch is under way, and
        /// nothing new is begun.
        case readyToHandOver(PartitionID, Epoch)
        /// Nothing that was sent to the peer will be answered.
        case gone(ControlPeer)
    }

    public enum Effect: Hashable, Sendable {
        case send(ControlRequest, to: ControlPeer)
        /// Write the life's node and incarnation to the disk before anything is done in it (R15).
        case persistIncarnation(NodeLife)
        /// The process may take part: its life is known, and so is a map that shows it (R12).
        case registered(NodeLife)
        /// The process may not be what its disk says; it must stop and tell its operator.
        case refused(Refusal)
        case mapChanged
        /// What a voter says cannot follow from the map that the node has; it must stop (I9).
        case contradiction(String)
        case outcomes(token: UInt64, [Outcome])
        case votersChanged(token: UInt64)
        /// The host is to stop in a good place in the partition, or to go on.
        case handOver(PartitionID, Epoch, HandoverStage)
        /// Nobody knows whether the commands were applied; those that name a revision may be proposed again.
        case unknown(token: UInt64)
    }

    package enum Phase: Hashable, Sendable {
        case registering
        case persisting(NodeLife, MapVersion)
        case confirming(NodeLife, MapVersion)
        /// Waits for a map in which the process is up.
        case waiting(NodeLife, MapVersion)
        case up(NodeLife)
        case stopped
    }

    enum Purpose: Hashable {
        case register, confirm, map
        case command(UInt64)
        /// These are sent when the answer to nothing has come.
        case hearing(UInt64, [Command])
        case voters(UInt64)
        case handover(PartitionID)
    }

    /// Ticks after which an unanswered request is given up, and asked of another voter.
    static let answerTicks = 30
    static let mapTicks = 60
    /// Between two heartbeats; more of them in clusters so large that voters would drown in them.
    static let heartbeatTicks: UInt64 = 5
    static let heartbeatTicksOfMany: UInt64 = 20
    static let manyNodes = 64
    /// Requests that wait for their turn, at the most.
    static let queueMax = 4_096

    public private(set) var registration: Registration
    public private(set) var follower = MapFollower()
    /// Whom to ask; the first is the one that answered last.
    private var voters: [ControlPeer]
    private var target = 0
    package private(set) var phase = Phase.registering
    private var nextID: UInt64
    private var waiting: [UInt64: Waiting] = [:]

    /// How the process is, for its heartbeats. Whoever is leaving says so at once.
    public var condition = Heartbeat.Condition() {
        didSet { if condition.isLeaving, !oldValue.isLeaving { isUrgent = true } }
    }
    /// Whether the process gets nothing done: it does not say that it lives then (D35).
    public var standsStill = false
    /// What the node sees of others, for its heartbeats.
    package var complaints: [Heartbeat.Complaint] = []
    /// What the node's part of the consensus group waits for, for its heartbeats.
    package var silences: [Heartbeat.Silence] = []
    var ticks: UInt64 = 0
    private var isUrgent = false
    /// Partitions that this process is about to hand over.
    var handovers: [PartitionID: HandoverProgress] = [:]
    /// Nodes without a connection, and since when.
    var lost: [NodeID: UInt64] = [:]

    private struct Waiting {
        var purpose: Purpose
        var request: ControlRequest
        var ticksLeft: Int
        /// Whom it was sent to; nil while it waits for a tick to be sent to the next voter.
        var peer: ControlPeer?
        var wasRedirected = false
    }

    /// - Parameter seed: makes the identifiers of this process's requests differ from an earlier one's.
    public init(registration: Registration, voters: [ControlPeer], seed: UInt64) {
        self.registration = registration
        self.voters = voters
        nextID = seed << 24
    }

    public var life: NodeLife? { if case .up(let life) = phase { life } else { nil } }

    public var map: ClusterMap? { follower.map }

    /// Whether commands were sent whose outcome is not known.
    public var isProposing: Bool {
        waiting.values.contains {
            switch $0.purpose {
            case .command, .hearing: true
            default: false
            }
        }
    }

    /// How peers are named that the map knows.
    public mutating func setVoters(_ peers: [ControlPeer]) {
        guard !peers.isEmpty, peers != voters else { return }
        voters = peers
        target = 0
    }

    public mutating func handle(_ event: Event) -> [Effect] {
        var effects: [Effect] = []
        switch event {
        case .tick: tick(&effects)
        case .reply(let reply, let peer): receive(reply, peer, &effects)
        case .applied(let map): follow([.snapshot(map)], &effects)
        case .incarnationPersisted:
            guard case .persisting(let life, let version) = phase else { break }
            phase = .confirming(life, version)
            ask(.confirm, .commands([.confirm(life)]), &effects)
        case .propose(let token, let commands): propose(token, commands, &effects)
        case .changeVoters(let token, let change): ask(.voters(token), .voters(change), &effects)
        case .handOver(let wanted): beginHandovers(wanted, &effects)
        case .readyToHandOver(let partition, let epoch): finishHandover(partition, epoch, &effects)
        case .gone(let peer):
            for id in waiting.keys.sorted() where waiting[id]?.peer == peer { retry(id, &effects) }
        }
        return effects
    }

    private mutating func tick(_ effects: inout [Effect]) {
        beat(&effects)
        ageHandovers(&effects)
        for id in waiting.keys.sorted() {
            waiting[id]?.ticksLeft -= 1
            guard let request = waiting[id] else { continue }
            if request.ticksLeft <= 0 {
                retry(id, &effects)
            } else if request.peer == nil {
                send(id, &effects)
            }
        }
        if !isWaiting(for: .register), phase == .registering {
            ask(.register, .commands([.register(registration)]), &effects)
        }
        if case .confirming(let life, _) = phase, !isWaiting(for: .confirm) {
            ask(.confirm, .commands([.confirm(life)]), &effects)
        }
        if !isWaiting(for: .map), phase != .stopped {
            ask(.map, .map(after: follower.version), &effects)
        }
    }

    /// Whether the next tick sends one, for which `observe` is to look around.
    public var isHeartbeatDue: Bool {
        guard case .up = phase, let map = follower.map, !standsStill else { return false }
        let isLarge = map.nodes.count > Self.manyNodes
        let interval = isLarge ? Self.heartbeatTicksOfMany : Self.heartbeatTicks
        return isUrgent || ticks.isMultiple(of: interval)
    }

    private mutating func beat(_ effects: inout [Effect]) {
        guard case .up(let life) = phase else { return }
        defer { ticks += 1 }
        guard isHeartbeatDue else { return }
        isUrgent = false
        let heartbeat = Heartbeat(
            life: life, condition: condition, complaints: complaints.sorted { $0.node < $1.node },
            silences: silences)
        let request = ControlRequest(id: 0, body: .heartbeat(heartbeat))
        for voter in voters { effects.append(.send(request, to: voter)) }
    }

    /// A node that hears nobody may be heard. If it dropped the copies that seem silent to it, it would have
    /// the only one in sync when it is declared down, and nobody could take over (D25). So whoever wants to
    /// drop one must hear an answer of the leader first, to commands that do nothing.
    private mutating func propose(_ token: UInt64, _ commands: [Command], _ effects: inout [Effect]) {
        let drops = commands.contains {
            if case .changeInSync(_, _, _, .drop) = $0 { true } else { false }
        }
        if drops {
            ask(.hearing(token, commands), .commands([]), &effects)
        } else {
            ask(.command(token), .commands(commands), &effects)
        }
    }

    private func isWaiting(for purpose: Purpose) -> Bool { waiting.values.contains { $0.purpose == purpose } }

    mutating func ask(
        _ purpose: Purpose, _ body: ControlRequest.Body, _ effects: inout [Effect]
    ) {
        guard waiting.count < Self.queueMax, !voters.isEmpty else { return fail(purpose, &effects) }
        let request = ControlRequest(id: nextID, body: body)
        nextID += 1
        // A map comes from whoever has one; commands go where the leader is thought to be.
        let ticks = purpose == .map ? Self.mapTicks : Self.answerTicks
        waiting[request.id] = Waiting(purpose: purpose, request: request, ticksLeft: ticks)
        send(request.id, &effects)
    }

    private mutating func send(_ id: UInt64, _ effects: inout [Effect]) {
        guard let request = waiting[id]?.request, !voters.isEmpty else { return }
        let peer = voters[target % voters.count]
        waiting[id]?.peer = peer
        effects.append(.send(request, to: peer))
    }

    /// A voter that does not lead has done nothing with the request, so another one may be asked: the leader
    /// at once if the voter knows it; else the next one at the next tick. Only the first hint counts: who was
    /// removed from the group may name a leader of long ago, and two of them would send an asker around.
    private mutating func redirect(_ id: UInt64, to leader: NodeID?, _ effects: inout [Effect]) {
        let isFirst = waiting[id]?.wasRedirected == false
        let place = leader.flatMap { leader in
            isFirst ? voters.firstIndex(of: ControlPeer(rawValue: leader.rawValue)) : nil
        }
        if let place { target = place } else { turnAway(from: waiting[id]?.peer) }
        waiting[id]?.wasRedirected = true
        waiting[id]?.peer = nil
        if place != nil { send(id, &effects) }
    }

    /// The request or its answer was lost. What can be asked twice is asked anew; the others' fate is told as
    /// unknown.
    private mutating func retry(_ id: UInt64, _ effects: inout [Effect]) {
        guard let request = waiting.removeValue(forKey: id) else { return }
        turnAway(from: request.peer)
        fail(request.purpose, &effects)
    }

    /// Asks the next voter from now on. Many requests fail at one voter together; only the first of them
    /// counts, or they could lead around in a circle.
    private mutating func turnAway(from peer: ControlPeer?) {
        guard !voters.isEmpty, voters[target % voters.count] == peer else { return }
        target = (target + 1) % voters.count
    }

    private func fail(_ purpose: Purpose, _ effects: inout [Effect]) {
        switch purpose {
        case .command(let token), .hearing(let token, _), .voters(let token):
            effects.append(.unknown(token: token))
        // Whether it was granted shows in the map, or time goes by.
        case .register, .confirm, .map, .handover: break
        }
    }

    private mutating func receive(_ reply: ControlReply, _ peer: ControlPeer, _ effects: inout [Effect]) {
        guard let request = waiting[reply.id] else { return }
        switch reply.body {
        case .notLeader(let leader):
            // An answer to an earlier sending of the same request says nothing new.
            if request.peer == peer { redirect(reply.id, to: leader, &effects) }
        case .unavailable:
            waiting[reply.id] = nil
            turnAway(from: peer)
            fail(request.purpose, &effects)
        case .map(let updates):
            waiting[reply.id] = nil
            follow(updates, &effects)
        case .votersChanged:
            waiting[reply.id] = nil
            if case .voters(let token) = request.purpose { effects.append(.votersChanged(token: token)) }
        case .outcomes(let outcomes, let version):
            waiting[reply.id] = nil
            received(outcomes, version, request.purpose, &effects)
        }
    }

    private mutating func received(
        _ outcomes: [Outcome], _ version: MapVersion, _ purpose: Purpose, _ effects: inout [Effect]
    ) {
        switch (purpose, phase) {
        case (.register, .registering):
            switch outcomes.first {
            case .registered(let life):
                phase = .persisting(life, version)
                effects.append(.persistIncarnation(life))
            case .refused(.notInitialized): break
            case .refused(let refusal):
                phase = .stopped
                effects.append(.refused(refusal))
            default: break
            }
        case (.confirm, .confirming(let life, _)):
            switch outcomes.first {
            case .accepted:
                phase = .waiting(life, version)
                begin(&effects)
            case .refused(let refusal):
                phase = .stopped
                effects.append(.refused(refusal))
            default: break
            }
        case (.hearing(let token, let commands), _): ask(.command(token), .commands(commands), &effects)
        case (.command(let token), _): effects.append(.outcomes(token: token, outcomes))
        case (.handover(let partition), _):
            if case .refused = outcomes.first { cancelHandover(partition, &effects) }
        default: break
        }
    }

    private mutating func follow(_ updates: [MapUpdate], _ effects: inout [Effect]) {
        let before = follower.version
        for update in updates {
            if case .contradiction(let reason) = follower.follow(update) {
                phase = .stopped
                return effects.append(.contradiction(reason))
            }
        }
        guard follower.version > before else { return }
        effects.append(.mapChanged)
        followHandovers(&effects)
        begin(&effects)
        if case .up(let life) = phase { stopIfOver(life, &effects) }
    }

    private mutating func begin(_ effects: inout [Effect]) {
        guard case .waiting(let life, let version) = phase, follower.version >= version else { return }
        // The answer may come so late that the map already shows the end.
        guard !stopIfOver(life, &effects) else { return }
        phase = .up(life)
        effects.append(.registered(life))
    }

    /// The process was declared down, or another one has taken its place: it is over (I19).
    @discardableResult
    private mutating func stopIfOver(_ life: NodeLife, _ effects: inout [Effect]) -> Bool {
        guard let map = follower.map else { return false }
        // Forgotten by an operator, it is nobody's node any more.
        let node = map[life.node]
        if let node, node.life == life, node.isUp { return false }
        phase = .stopped
        effects.append(.refused(node.map { .staleLife($0.life) } ?? .unknownNode))
        return true
    }
}
