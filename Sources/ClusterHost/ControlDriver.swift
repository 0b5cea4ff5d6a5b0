import ActorHost
import ClusterMembership
import ConsensusCore
import ConsensusStore
import ControlCore
import Identifiers
import Logging
import MeshProtocol
import MeshTransport
import PlacementCore
import TimeAndChance

/// Drives this node's part of the control plane on the event loop of the mesh: its part of the consensus
/// group, and its side as a node that registers, follows the map and asks for changes.
///
/// What the two cores want is carried out in the order that the simulator shows
/// (`Simulation+Processes.swift`).
public actor ControlDriver: ControlPlane {
    /// How long a tick of the cores is; an election takes ten of them and more.
    static let tick = Duration.milliseconds(50)

    /// What the driver needs from outside, and whom it tells.
    struct Setup: Sendable {
        var replica: ReplicaID
        var registration: Registration
        /// What is on disk of the consensus group.
        var state: Raft.PersistentState
        /// Other members, until the map says where they are.
        var peers: [Peer]
        /// What decides on the leader; nil if nobody does but the operator.
        var controller: Controller?
        var seed: UInt64
        var logger: Logger
        /// Makes an issued incarnation durable. Called on a thread that may wait.
        var persistIncarnation: @Sendable (NodeLife) throws -> Void
        /// With the map that shows the life; it need not change after that.
        var onRegistered: @Sendable (NodeLife, ClusterMap) -> Void
        var onMap: @Sendable (ClusterMap) -> Void
        /// A partition of this process is to have another owner, or is not after all.
        var onHandover: @Sendable (PartitionID, Epoch, HandoverStage) -> Void
        /// Called once: the process must stop.
        var onFailure: @Sendable (MemberFailure) -> Void
    }

    private enum Packet {
        case request(ControlRequest)
        case reply(ControlReply)
    }

    public nonisolated let maps = MapBoard()
    nonisolated let loop: EventLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    let transport: MeshTransport
    let setup: Setup
    var server: ControlServer
    var client: ControlClient
    var controller: Controller?
    private let writer: ConsensusWriter
    private let clock = SystemClock()
    private var proposals: [UInt64: @Sendable ([Outcome]?) -> Void] = [:]
    private var voterChanges: [UInt64: @Sendable (Bool) -> Void] = [:]
    private var nextToken: UInt64 = 1
    /// What this node says to itself, which no connection carries.
    private var toSelf: [Packet] = []
    /// Peers that could not be sent something since the last tick.
    private var unreachable: Set<ControlPeer> = []
    var addresses: [NodeID: String] = [:]
    weak var gossip: GossipDriver?
    /// Nodes that can be reached now, and since which tick others cannot.
    var links: Set<NodeID> = []
    private var timer: MeshTimer?
    private(set) var hasEnded = false
    /// The process is about to end: being declared down is what it asks for.
    var isLeaving = false
    var saysFarewell = false

    /// - Parameter store: what `setup.state` was read from.
    init(_ setup: Setup, store: sending ConsensusStore, transport: MeshTransport) throws {
        self.setup = setup
        self.transport = transport
        loop = transport.loop
        controller = setup.controller
        server = try ControlServer(id: setup.replica, state: setup.state, seed: setup.seed)
        // Who votes is in this node's own log, if it is a voter: none of those that it remembers need be one.
        let known = Set(setup.peers.map(\.node) + server.raft.configuration.voters.map(\.node)).sorted()
        let voters = known.isEmpty ? [setup.replica.node] : known
        client = ControlClient(
            registration: setup.registration, voters: voters.map { ControlPeer(rawValue: $0.rawValue) },
            seed: setup.seed)
        let back = Back()
        writer = ConsensusWriter(
            store, onPersisted: { number in back.call { $0.persisted(number) } },
            onFailure: { failure in back.call { $0.fail(failure) } })
        back.driver = self
    }

    /// Who leads, as far as this node knows.
    public func leader() -> NodeID? { server.raft.leader?.node }

    public func currentMap() -> ClusterMap? { client.map }

    /// Lets what the gossip suspects count in this node's heartbeats, and tells it how this node is.
    func connect(to gossip: GossipDriver) { self.gossip = gossip }

    var me: NodeID { setup.replica.node }
    var time: Timestamp { clock.reading().wall }

    /// The life that this process has, once it may take part.
    public var life: NodeLife? { client.life }
    public var isLeader: Bool { server.isLeader }

    func start() {
        connect(setup.peers)
        timer = transport.assumeIsolated { transport in
            transport.schedule(after: Self.tick, every: Self.tick) { [weak self] _ in
                self?.assumeIsolated { $0.ticked() }
            }
        }
    }

    /// Asks and answers nothing any more, and waits for the disk.
    func stop() async {
        end()
        await writer.close()
    }

    private func end() {
        hasEnded = true
        if let timer { transport.assumeIsolated { $0.cancel(timer) } }
        timer = nil
        for token in proposals.keys.sorted() { proposals.removeValue(forKey: token)?(nil) }
        for token in voterChanges.keys.sorted() { voterChanges.removeValue(forKey: token)?(false) }
    }

    func fail(_ failure: MemberFailure) {
        guard !hasEnded else { return }
        end()
        if isLeaving, case .refused = failure { return }
        setup.logger.critical("this node stops: \(failure)")
        setup.onFailure(failure)
    }

    // MARK: What others ask for

    /// Has commands applied by the leader.
    /// - Throws: `.unknownOutcome` if they may have been applied or not.
    public func propose(_ commands: [Command]) async throws(ControlFailure) -> [Outcome] {
        let outcomes = await withCheckedContinuation { continuation in
            propose(commands) { continuation.resume(returning: $0) }
        }
        guard let outcomes else { throw hasEnded ? .stopped : .unknownOutcome }
        return outcomes
    }

    /// - Parameter then: called once, on the loop; with nil if the outcome is not known.
    func propose(_ commands: [Command], then: @escaping @Sendable ([Outcome]?) -> Void) {
        guard !hasEnded else { return then(nil) }
        let token = takeToken()
        proposals[token] = then
        take(client.handle(.propose(token: token, commands)))
        settle()
    }

    /// - Parameter then: called once, on the loop; whether the change is known to be made.
    func changeVoters(_ change: Raft.Change, then: @escaping @Sendable (Bool) -> Void) {
        guard !hasEnded else { return then(false) }
        let token = takeToken()
        voterChanges[token] = then
        take(client.handle(.changeVoters(token: token, change)))
        settle()
    }

    func handOver(to voter: ReplicaID) {
        take(server.handle(.handOver(to: voter), time: time))
        settle()
    }

    private func takeToken() -> UInt64 {
        defer { nextToken += 1 }
        return nextToken
    }

    // MARK: What happens

    private func ticked() {
        guard !hasEnded else { return }
        // Whoever could not be sent something does not answer it.
        for peer in unreachable.sorted() { take(client.handle(.gone(peer))) }
        unreachable.removeAll()
        observe()
        take(client.handle(.tick))
        take(server.handle(.tick, time: time))
        settle()
        decide()
    }

    func received(_ frame: Frame, from peer: MeshPeer) {
        guard !hasEnded else { return turnAway(frame, from: peer) }
        let from = ControlPeer(rawValue: peer.node.rawValue)
        do {
            switch frame.kind {
            case ClusterFrames.controlRequest:
                let request = try ControlRequest.decode(frame.payload)
                take(server.handle(.request(request, from: from), time: time))
            case ClusterFrames.controlReply:
                take(client.handle(.reply(try ControlReply.decode(frame.payload), from: from)))
            default:
                let message = try Raft.Message.decode(frame.payload)
                // A member is a disk: whoever speaks for another one does not count (R12).
                guard message.to == setup.replica, message.from.node == peer.node,
                    message.from.store == peer.store
                else { break }
                take(server.handle(.raft(message), time: time))
            }
        } catch {
            setup.logger.error("node \(peer.node.rawValue) sent what cannot be read: \(error)")
        }
        settle()
    }

    /// There is a connection to a node for the control plane's frames.
    func connected(_ node: NodeID) {
        links.insert(node)
    }

    /// The connection to a node for the control plane's frames is gone.
    func disconnected(_ node: NodeID) {
        guard !hasEnded else { return }
        links.remove(node)
        let peer = ControlPeer(rawValue: node.rawValue)
        take(client.handle(.gone(peer)))
        take(server.handle(.gone(peer), time: time))
        settle()
    }

    private func persisted(_ number: UInt64) {
        guard !hasEnded else { return }
        take(server.handle(.persisted(number), time: time))
        settle()
    }

    private func incarnationPersisted(_ life: NodeLife) {
        guard !hasEnded else { return }
        transport.assumeIsolated { $0.become(life.incarnation) }
        take(client.handle(.incarnationPersisted))
        settle()
    }

    /// Carries out what this node said to itself, until it says nothing more.
    func settle() {
        while !toSelf.isEmpty, !hasEnded {
            let packets = toSelf
            toSelf = []
            let peer = ControlPeer(rawValue: me.rawValue)
            for packet in packets {
                switch packet {
                case .request(let request):
                    take(server.handle(.request(request, from: peer), time: time))
                case .reply(let reply): take(client.handle(.reply(reply, from: peer)))
                }
            }
        }
    }

    // MARK: Carrying out

    private func take(_ output: ControlServer.Output) {
        guard !hasEnded else { return }
        if let fault = output.fault { return fail(.consensus("\(fault)")) }
        if !output.writes.isEmpty { writer.append(output.writes) }
        for message in output.messages {
            send(Frame(ClusterFrames.raft, message.encoded()), to: message.to.node)
        }
        for (peer, reply) in output.replies {
            let node = NodeID(rawValue: peer.rawValue)
            if node == me {
                toSelf.append(.reply(reply))
            } else {
                send(Frame(ClusterFrames.controlReply, reply.encoded()), to: node)
            }
        }
        if output.hasMapChanged, let map = server.state.map { take(client.handle(.applied(map))) }
    }

    func take(_ effects: [ControlClient.Effect]) {
        for effect in effects {
            guard !hasEnded else { return }
            switch effect {
            case .send(let request, let peer): ask(request, peer)
            case .persistIncarnation(let life): persist(life)
            case .registered(let life):
                setup.logger.info("this process is \(life)")
                if let map = client.map { setup.onRegistered(life, map) }
            case .mapChanged: follow()
            case .handOver(let partition, let epoch, let stage): setup.onHandover(partition, epoch, stage)
            case .refused(let refusal): fail(.refused(refusal))
            case .contradiction(let reason): fail(.contradiction(reason))
            case .outcomes(let token, let outcomes): proposals.removeValue(forKey: token)?(outcomes)
            case .votersChanged(let token): voterChanges.removeValue(forKey: token)?(true)
            case .unknown(let token):
                proposals.removeValue(forKey: token)?(nil)
                voterChanges.removeValue(forKey: token)?(false)
            }
        }
    }

    private func ask(_ request: ControlRequest, _ peer: ControlPeer) {
        let node = NodeID(rawValue: peer.rawValue)
        if node == me { return toSelf.append(.request(request)) }
        if !send(Frame(ClusterFrames.controlRequest, request.encoded()), to: node) {
            unreachable.insert(peer)
        }
    }

    @discardableResult
    func send(_ frame: Frame, to node: NodeID) -> Bool {
        transport.assumeIsolated { $0.send(frame, to: node, on: .control) } == .queued
    }

    private func persist(_ life: NodeLife) {
        let back = Back(self)
        writer.perform { [setup] in
            do {
                try setup.persistIncarnation(life)
                back.call { $0.incarnationPersisted(life) }
            } catch {
                back.call { $0.fail(.identity("\(error)")) }
            }
        }
    }
}

/// The way back onto the loop from a thread that waits for a disk.
///
/// Sound to share: `driver` is set once, before anybody can call.
private final class Back: @unchecked Sendable {
    weak var driver: ControlDriver?

    init(_ driver: ControlDriver? = nil) { self.driver = driver }

    func call(_ body: @escaping @Sendable (isolated ControlDriver) -> Void) {
        guard let driver else { return }
        driver.loop.post { driver.assumeIsolated { body($0) } }
    }
}
