import ConsensusCore
import Identifiers
import PlacementCore
import TimeAndChance

/// The control plane on one node: its part of the consensus group, the state that the group's log makes, and
/// the map for those who follow it. On a node that is no voter it only waits to become one.
public struct ControlServer: Sendable {
    public enum Event: Sendable {
        /// The same tick as the consensus group's.
        case tick
        case raft(Raft.Message)
        case request(ControlRequest, from: ControlPeer)
        /// The write of this number is on disk.
        case persisted(UInt64)
        /// Nothing can be sent to the peer any more.
        case gone(ControlPeer)
        /// Another voter should lead; it does once it has the whole log, or nothing changes.
        case handOver(to: ReplicaID)
    }

    public struct Output: Sendable {
        /// Durable in this order; `persisted` of a later one counts for all before it.
        public var writes: [Raft.Write] = []
        public var messages: [Raft.Message] = []
        public var replies: [(peer: ControlPeer, reply: ControlReply)] = []
        public var hasMapChanged = false
        /// The process must stop (R14).
        public var fault: Raft.Fault?
    }

    /// Requests that wait for the log, at the most; more are refused.
    static let pendingMax = 4_096
    /// Peers that wait for the map to change, at the most.
    static let watchersMax = ClusterMap.nodesMax
    /// Ticks after which a watcher gets an answer although nothing has changed.
    static let watchTicks = 20
    /// What a heartbeat said of others counts for so long.
    static let freshTicks: UInt64 = 30

    public private(set) var raft: Raft
    public private(set) var state: ClusterState
    private var log = MapLog()
    private var nextToken: UInt64 = 1
    private var pending: [UInt64: (peer: ControlPeer, id: UInt64)] = [:]
    /// Where in the log the pending ones stand.
    private var places: [Raft.Index: (term: Raft.Term, token: UInt64)] = [:]
    private var sessions = SessionTable()
    private var watchers: [ControlPeer: (id: UInt64, after: MapVersion, ticksLeft: Int)] = [:]

    /// - Parameter state: what is on disk.
    public init(
        id: ReplicaID, state persistent: Raft.PersistentState, settings: Raft.Settings = Raft.Settings(),
        seed: UInt64
    ) throws {
        raft = try Raft(id: id, state: persistent, settings: settings, seed: seed)
        let bytes = persistent.snapshot.state
        state = bytes.isEmpty ? ClusterState() : try ClusterState.decode(bytes)
    }

    public var isLeader: Bool { raft.role == .leader }

    /// Who has been silent here for a while; nobody on a node that does not vote, as it is told nothing.
    public var silences: [Heartbeat.Silence] { isVoter ? sessions.silences : [] }

    private var isVoter: Bool { raft.configuration.voters.contains(raft.id) }

    /// Nodes that should own nothing for now, by what they say themselves: about to end, or sick.
    public var unfit: Set<NodeID> { sessions.unfit }

    /// What speaks for nodes being down, as far as this voter knows.
    public func evidence() -> [NodeID: Evidence] {
        sessions.evidence(
            me: raft.id.node, voters: raft.configuration.voters.map(\.node), freshTicks: Self.freshTicks)
    }

    /// Whether what is new will be known here soon. Somebody who follows the map must not wait at a node that
    /// is no voter, or is cut off from the others.
    private var isCurrent: Bool { isLeader || raft.hearsLeader }

    /// Takes rules away, for simulations.
    package mutating func disable(_ rules: DisabledRules, _ mutations: Mutations) {
        state.disabled = rules
        raft.mutations = mutations
    }

    /// - Parameter time: goes into the log for display and grace periods.
    public mutating func handle(_ event: Event, time: Timestamp) -> Output {
        var output = Output()
        switch event {
        case .tick:
            advance(raft.handle(.tick), &output)
            tickWatchers(&output)
            sessions.tick(state.map)
        case .raft(let message): advance(raft.handle(.message(message)), &output)
        case .persisted(let number): advance(raft.handle(.persisted(number)), &output)
        case .request(let request, let peer): ask(request, peer, time, &output)
        case .gone(let peer): watchers[peer] = nil
        case .handOver(let voter):
            advance(raft.handle(.transfer(token: nextToken, to: voter)), &output)
            nextToken += 1
        }
        if raft.role != .leader { giveUp(&output) }
        return output
    }

    private mutating func ask(
        _ request: ControlRequest, _ peer: ControlPeer, _ time: Timestamp, _ output: inout Output
    ) {
        switch request.body {
        case .map(let version):
            guard let map = state.map, version < map.version else {
                guard isCurrent, watchers.count < Self.watchersMax else {
                    return reply(.unavailable(nil), to: (peer, request.id), &output)
                }
                watchers[peer] = (request.id, version, Self.watchTicks)
                return
            }
            reply(.map(log.updates(after: version, of: map)), to: (peer, request.id), &output)
        case .commands(let commands):
            guard let token = accept(request, peer, &output) else { return }
            let entry = ClusterEntry(time: time, commands: commands).encoded()
            advance(raft.handle(.propose([Raft.Proposal(token: token, command: entry)])), &output)
        case .voters(let change):
            guard let token = accept(request, peer, &output) else { return }
            advance(raft.handle(.change(token: token, change)), &output)
        case .heartbeat(let heartbeat):
            // Nobody speaks for another.
            if heartbeat.life.node.rawValue == peer.rawValue { sessions.hear(heartbeat) }
        }
    }

    private mutating func accept(
        _ request: ControlRequest, _ peer: ControlPeer, _ output: inout Output
    ) -> UInt64? {
        guard raft.role == .leader else {
            reply(.notLeader(isCurrent ? raft.leader?.node : nil), to: (peer, request.id), &output)
            return nil
        }
        guard pending.count < Self.pendingMax else {
            reply(.unavailable(nil), to: (peer, request.id), &output)
            return nil
        }
        defer { nextToken += 1 }
        pending[nextToken] = (peer, request.id)
        return nextToken
    }

    private func reply(
        _ body: ControlReply.Body, to asker: (peer: ControlPeer, id: UInt64), _ output: inout Output
    ) {
        output.replies.append((asker.peer, ControlReply(id: asker.id, body: body)))
    }

    // MARK: What consensus has decided

    private mutating func advance(_ step: Raft.Output, _ output: inout Output) {
        if let write = step.write { output.writes.append(write) }
        output.messages += step.messages
        output.fault = step.fault ?? output.fault
        for acceptance in step.accepted {
            places[acceptance.position.index] = (acceptance.position.term, acceptance.token)
        }
        for refused in step.refused {
            guard let asker = pending.removeValue(forKey: refused.token) else { continue }
            if case .notLeader(let leader) = refused.reason {
                reply(.notLeader(leader?.node), to: asker, &output)
            } else {
                reply(.unavailable(refused.reason), to: asker, &output)
            }
        }
        if let snapshot = step.restore { restore(snapshot, &output) }
        for entry in step.committed { apply(entry, &output) }
        if step.compactionDue {
            advance(raft.handle(.compact(through: raft.applied, state: state.encoded())), &output)
        }
        if output.hasMapChanged { tellWatchers(&output) }
    }

    private mutating func restore(_ snapshot: Raft.Snapshot, _ output: inout Output) {
        let disabled = state.disabled
        // What a voter made is decodable by every voter; anything else is damage that a checksum missed.
        guard let restored = try? ClusterState.decode(snapshot.state) else {
            output.fault = .committedEntryContradicted(snapshot.position.index)
            return
        }
        state = restored
        state.disabled = disabled
        if let map = state.map { log.append(.snapshot(map)) }
        output.hasMapChanged = true
    }

    private mutating func apply(_ entry: Raft.Entry, _ output: inout Output) {
        let place = places.removeValue(forKey: entry.index)
        let asker = place.flatMap { pending.removeValue(forKey: $0.token) }
        let isOurs = place?.term == entry.term
        var outcome = ControlReply.Body.votersChanged
        if case .command(let bytes) = entry.payload {
            // An entry of a newer format would be proposed only after all voters read it.
            guard let commands = try? ClusterEntry.decode(bytes) else {
                output.fault = .committedEntryContradicted(entry.index)
                return
            }
            let applied = state.apply(commands, at: entry.index)
            if let update = applied.update {
                log.append(update)
                output.hasMapChanged = true
            }
            outcome = .outcomes(applied.outcomes, version: state.map?.version ?? MapVersion(rawValue: 0))
        }
        guard let asker else { return }
        reply(isOurs ? outcome : .unavailable(nil), to: asker, &output)
    }

    /// A node that no longer leads does not learn what becomes of what it proposed.
    private mutating func giveUp(_ output: inout Output) {
        guard !pending.isEmpty else { return }
        for token in pending.keys.sorted() {
            if let asker = pending[token] { reply(.unavailable(nil), to: asker, &output) }
        }
        pending.removeAll()
        places.removeAll()
    }

    // MARK: Who follows the map

    private mutating func tellWatchers(_ output: inout Output) {
        guard let map = state.map else { return }
        for peer in watchers.keys.sorted() {
            guard let watcher = watchers[peer], watcher.after < map.version else { continue }
            watchers[peer] = nil
            reply(.map(log.updates(after: watcher.after, of: map)), to: (peer, watcher.id), &output)
        }
    }

    private mutating func tickWatchers(_ output: inout Output) {
        for peer in watchers.keys.sorted() {
            guard var watcher = watchers[peer] else { continue }
            watcher.ticksLeft -= 1
            watchers[peer] = watcher
            guard watcher.ticksLeft <= 0 else { continue }
            watchers[peer] = nil
            reply(isCurrent ? .map([]) : .unavailable(nil), to: (peer, watcher.id), &output)
        }
    }
}
