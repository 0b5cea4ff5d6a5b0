import ConsensusCore
import ControlCore
import Identifiers
import MeshProtocol
import PlacementCore
import ReplicationCore

/// What an operator has asked a machine for, until it is decided.
struct Order {
    enum Kind {
        case initialize
        /// To let that machine in.
        case admit(Int)
    }

    var kind: Kind
    var command: Command
}

/// Plans without a cluster at the beginning: a script founds one, or one too many, and machines join.
///
/// A cluster is known by the machine that founded it, and numbers its nodes from there on.
extension Simulation {
    func cluster(of founder: Int) -> ClusterID { ClusterID(high: UInt64(founder + 1), low: settings.seed) }

    func ring(of founder: Int) throws(Violation) -> HashRing {
        guard
            let ring = HashRing(
                partitionCount: settings.partitions, seed: (settings.seed, UInt64(founder + 1)))
        else { throw Violation("\(settings.partitions) partitions are not a power of two") }
        return ring
    }

    func node(_ machine: Int, of founder: Int) -> NodeID {
        Self.node((machine + machines.count - founder) % machines.count)
    }

    /// What the other machine's cluster calls a machine; clients and machines of no cluster go by the first.
    func node(_ machine: Int, seenBy other: Int) -> NodeID { node(machine, of: founder(other)) }

    func machine(_ node: NodeID, seenBy index: Int) -> Int {
        (Self.machine(node) + founder(index)) % machines.count
    }

    func peer(_ machine: Int, seenBy other: Int) -> ControlPeer {
        ControlPeer(rawValue: node(machine, seenBy: other).rawValue)
    }

    func machine(_ peer: ControlPeer, seenBy index: Int) -> Int {
        machine(NodeID(rawValue: peer.rawValue), seenBy: index)
    }

    /// Everybody knows everybody's address, also those of the other cluster, which are asked first.
    func peers(of founder: Int) -> [ControlPeer] {
        let all = machines.indices.map { ControlPeer(rawValue: node($0, of: founder).rawValue) }.sorted()
        return settings.isFormed ? all : all.reversed()
    }

    private func founder(_ index: Int) -> Int {
        index < machines.count ? machines[index].disk.founder ?? 0 : 0
    }

    // MARK: What operators order

    func initialization(at founder: Int) throws(Violation) -> Command {
        let constants = ClusterConstants(
            cluster: cluster(of: founder), ring: try ring(of: founder), formats: formats)
        var wanted = ClusterSettings()
        wanted.replicationFactor = settings.copies
        wanted.voterTarget = settings.voters
        return .initialize(constants, wanted, store: machines[founder].disk.store, profile(founder))
    }

    /// Like `MemberDirectory.found`, whose disk is empty; a member's control plane decides about any other.
    func initialize(_ index: Int) throws {
        let order = Order(kind: .initialize, command: try initialization(at: index))
        let machine = machines[index]
        guard machine.disk.founder == nil else { return ask(order, index) }
        var state = ClusterState()
        let applied = state.apply(ClusterEntry(time: time, commands: [order.command]), at: 1)
        guard case .registered(let life) = applied.outcomes.first,
            let voters = Raft.Configuration(voters: [life.replica]), life.node == node(index, of: index)
        else { throw Violation("m\(index) cannot found a cluster: \(applied.outcomes)") }
        (machine.disk.founder, machine.disk.node) = (index, life.node)
        machine.disk.raft = Raft.PersistentState(founding: voters, state: state.encoded())
        members[index] = [machine.disk.store]
        if index != 0 { others[index] = Checker() }
        watch(index) { $0.decided = state.map }
        // Each cluster has its own callers.
        let founders = members.keys.sorted()
        for client in clients.indices { clients[client].founder = founders[client % founders.count] }
        try start(index)
    }

    func join(_ index: Int, at member: Int) throws {
        guard machines[index].disk.founder == nil, let founder = machines[member].disk.founder else {
            throw Violation("m\(index) cannot join at m\(member): it must be empty, and the other a member")
        }
        let registration = Registration(
            cluster: cluster(of: founder), node: nil, store: machines[index].disk.store,
            lastIncarnation: Incarnation(rawValue: 0), profile: profile(index), formats: formats)
        members[founder, default: []].insert(machines[index].disk.store)
        ask(Order(kind: .admit(index), command: .register(registration)), member)
    }

    private func ask(_ order: Order, _ index: Int) {
        guard let process = machines[index].process, process.life != nil else {
            return repeatLater(order, index)
        }
        let token = process.nextToken
        process.nextToken += 1
        process.orders[token] = order
        take(process.client.handle(.propose(token: token, [order.command])), at: index)
    }

    func repeatLater(_ order: Order, _ index: Int) {
        let kind: ScriptedEvent.Kind =
            switch order.kind {
            case .initialize: .initialize([index])
            case .admit(let joiner): .join(joiner, at: index)
            }
        events.plan(.scripted(kind), at: now + 200_000)
    }

    func answered(_ order: Order, _ outcomes: [Outcome], _ index: Int) {
        switch (order.kind, outcomes.first) {
        case (.initialize, .refused(let refusal)): note("m\(index) does not found a cluster: \(refusal)")
        case (.initialize, let outcome):
            checker.fail("D29: m\(index), which is a member, founds a cluster: \(outcome as Any)")
        case (.admit(let joiner), .registered(let life)):
            admitted(joiner, life, into: founder(index))
        case (.admit(let joiner), let outcome):
            checker.fail("m\(index) does not let m\(joiner) in: \(outcome as Any)")
        }
    }

    /// Like `MemberDirectory.join`: no votes and no log, until the controller wants one more voter.
    private func admitted(_ joiner: Int, _ life: NodeLife, into founder: Int) {
        guard life.node == node(joiner, of: founder) else {
            return checker.fail("machines must join in the order of their numbers: m\(joiner) is \(life)")
        }
        note("m\(joiner) is let into the cluster of m\(founder) as \(life)")
        (machines[joiner].disk.founder, machines[joiner].disk.node) = (founder, life.node)
        events.plan(.start(machine: joiner), at: now + 1)
    }

    /// The machine begins anew; those who called a cluster that was nowhere else call the first one.
    func clear(_ index: Int) {
        stop(index, "it is to begin anew")
        machines[index].disk = emptyDisk()
        for client in clients.indices where !belongs(client) {
            clients[client].founder = 0
            (clients[client].call, clients[client].increments) = (nil, [:])
            events.plan(.clientTurn(client), at: now + 100_000)
        }
    }

    // MARK: Who calls and watches which cluster

    /// Whether the client's cluster is anywhere.
    func belongs(_ client: Int) -> Bool { machines.contains { $0.disk.founder == clients[client].founder } }

    func somebody(of founder: Int) -> SimulatedMachine {
        let those = settings.isFormed ? machines : machines.filter { $0.disk.founder == founder }
        return those[Int(chance(0...UInt64(those.count - 1)))]
    }

    func watch<Value>(_ founder: Int, _ body: (inout Checker) -> Value) -> Value {
        founder == 0 ? body(&checker) : body(&others[founder, default: Checker()])
    }

    func watch<Value>(at index: Int, _ body: (inout Checker) -> Value) -> Value {
        watch(founder(index), body)
    }

    var failure: String? { checker.failure ?? others.values.lazy.compactMap(\.failure).first }

    /// D29: nothing that one cluster knows and goes by is of another one.
    func inspectCluster(_ index: Int, _ process: SimulatedProcess) {
        let founder = founder(index)
        let members = members[founder] ?? []
        for map in [process.server.state.map, process.client.map] {
            guard let map else { continue }
            if map.constants.cluster != cluster(of: founder) {
                return checker.fail("D29: m\(index) goes by the map of another cluster")
            }
            for node in map.nodes where !members.contains(node.store) {
                return checker.fail("D29: m\(index) takes \(node.life) for a member, whom nobody let in")
            }
        }
        let group = process.server.raft.configuration
        for replica in group.voters + group.learners where !members.contains(replica.store) {
            return checker.fail("D29: m\(index) counts the votes of \(replica), whom nobody let in")
        }
        for replica in process.replication?.replicas.all ?? [] {
            for peer in replica.owner?.peers ?? [] where !members.contains(peer.replica.store) {
                return checker.fail("D29: m\(index) counts what \(peer.replica) has, whom nobody let in")
            }
        }
    }

    // MARK: Handshakes

    /// Whether two processes have a connection: the real handshake decides, when something arrives first.
    func haveMet(_ from: Int, _ to: Int) -> Bool {
        guard from < machines.count, to < machines.count, from != to,
            let one = machines[from].process, let other = machines[to].process
        else { return true }
        if let known = other.met[one.number] { return known }
        let refusal = greet(from, one, to, other)
        if let refusal { note("m\(from) and m\(to) do not talk to each other: \(refusal.sentence)") }
        (other.met[one.number], one.met[other.number]) = (refusal == nil, refusal == nil)
        return refusal == nil
    }

    private func greet(
        _ from: Int, _ one: SimulatedProcess, _ to: Int, _ other: SimulatedProcess
    ) -> MeshProtocol.Refusal? {
        guard let mine = identity(from, one), let theirs = identity(to, other) else { return nil }
        // Only its address is known, as of a seed.
        var dialler = Handshake(mine, as: .dialler(.control, expected: nil), certificate: nil)
        var acceptor = Handshake(theirs, as: .acceptor, certificate: nil)
        let compares = !(settings.without?.mixesClusters ?? false)
        (dialler.comparesClusters, acceptor.comparesClusters) = (compares, compares)
        (dialler.comparesConstants, acceptor.comparesConstants) = (compares, compares)
        var frames = dialler.opening
        var isForAcceptor = true
        while !frames.isEmpty {
            var answers: [Frame] = []
            for frame in frames {
                let outcome =
                    isForAcceptor
                    ? acceptor.received(frame, directory: directory(other), isDuplicate: { _ in false })
                    : dialler.received(frame, directory: directory(one), isDuplicate: { _ in false })
                switch outcome {
                case .send(let more), .established(let more, _): answers += more
                case .refuse(let refusal), .refused(let refusal): return refusal
                }
            }
            (frames, isForAcceptor) = (answers, !isForAcceptor)
        }
        return nil
    }

    private func identity(_ index: Int, _ process: SimulatedProcess) -> NodeIdentity? {
        let disk = machines[index].disk
        guard let founder = disk.founder, let ring = try? ring(of: founder) else { return nil }
        return NodeIdentity(
            cluster: cluster(of: founder), node: node(index, of: founder), incarnation: disk.incarnation,
            store: disk.store, constants: MapConstants(ring), process: UInt64(process.number))
    }

    /// Disks that went back in time are turned away by `isTurnedAway`, which follows the map from then on.
    private func directory(_ process: SimulatedProcess) -> PeerDirectory {
        var directory = PeerDirectory()
        guard !settings.isFormed else { return directory }
        for node in process.client.map?.nodes ?? [] {
            directory.learn(
                node.id, PeerDirectory.Record(store: node.store, incarnation: node.disk.persisted))
        }
        return directory
    }
}
