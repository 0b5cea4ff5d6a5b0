import ActorHost
import ClientProtocol
import ClusterMembership
import ConsensusStore
import Identifiers
import Logging
import MailboxCore
import MembershipCore
import MeshProtocol
import MeshTransport
import PartitionStore
import PlacementCore
import ReplicationCore
import Synchronization

/// What a process needs to know to be a member of a cluster, besides its data directory.
public struct MemberConfiguration: Sendable {
    public var credentials: NodeCredentials
    /// Where the mesh listens: a numeric address; port 0 lets the system choose.
    public var listen: MeshAddress
    /// The address that others are dialled from: numeric; nil lets the system choose.
    public var dialFrom: String?
    /// What the others are told. An empty mesh address stands for the one that is listened on.
    public var profile: NodeProfile
    /// Other members, until the map says where they are; none on a node that founds the cluster.
    public var peers: [Peer]
    /// The directory of this node's part of the consensus group, laid out when the node became a member.
    public var consensusDirectory: String
    /// How the leader decides; nil if only the operator does.
    public var controller: Controller.Settings? = Controller.Settings()
    /// How much the leader moves at once: most partitions are small, and are caught up from the log.
    public var moves = {
        var limits = Planner.Limits()
        limits.copiesMax = 256
        limits.copiesPerNodeMax = 64
        limits.promotionsMax = 64
        return limits
    }()
    public var replication = ReplicationSettings()
    public var mesh = MeshSettings()
    /// How others are watched.
    public var gossip = SwimSettings()
    public var service = ClusterService.Limits()
    /// How long a stop waits for what is under way.
    public var stopTimeout: Duration = .seconds(10)
    /// For tests: the rules that the replicas keep.
    package var rules = ReplicationRules.all

    public init(
        credentials: NodeCredentials, listen: MeshAddress, profile: NodeProfile, peers: [Peer],
        consensusDirectory: String
    ) {
        self.credentials = credentials
        self.listen = listen
        self.profile = profile
        self.peers = peers
        self.consensusDirectory = consensusDirectory
    }
}

extension MemberConfiguration {
    /// All that is on the way to one replica together fits into the queue of its node: what the mesh does not
    /// take is sent again only after a while.
    fileprivate func replication(for ring: HashRing) -> ReplicationSettings {
        let share = max(64 << 10, mesh.dataQueue.bytesMax * 3 / 4 / ring.partitionCount)
        var settings = replication
        settings.windowBytesMax = min(settings.windowBytesMax, share)
        settings.appendBytesMax = min(settings.appendBytesMax, share)
        return settings
    }
}

/// What runs the actors of the partitions that this node owns.
package protocol PartitionHost: Sendable {
    /// Where requests for them go.
    var actors: any ActorService { get }
    /// Sets who answers what its actors ask others.
    func setRouter(_ router: any ActorService)
    /// Performs messages of another partition's actors.
    func deliver(_ batch: MessageBatch, _ done: @escaping @Sendable (BatchResult) -> Void)
    /// Somebody owns the partition now: messages that wait for it may go.
    func retryMessages(to partition: PartitionID)
    /// Brings a partition that is to have another owner to a good end, or takes that back.
    func handOver(_ partition: PartitionID, _ epoch: Epoch, _ request: HandoverRequest)
    /// Settles what is under way and closes the store.
    func stop() async throws
    /// Forgets everything, like a crash.
    func abandon()
}

extension ActorHost: PartitionHost {
    package var actors: any ActorService { self }
}

/// One process of a cluster: its mesh, its part of the control plane, its replicas and its host, wired
/// together.
public final class ClusterMember: Sendable {
    public let control: ControlDriver
    /// What this process thinks of the others.
    public let gossip: GossipDriver
    /// Takes requests for any actor of the cluster.
    public let service: ClusterService
    /// Where the mesh listens.
    public let meshAddress: MeshAddress
    private let carrier: MeshCarrier
    let transport: MeshTransport
    let replicas: ReplicaLoop
    private let store: ReplicationDriver
    private let host: any PartitionHost
    private let switchboard: Switchboard
    private let stopTimeout: Duration

    private init(
        control: ControlDriver, service: ClusterService, meshAddress: MeshAddress, replicas: ReplicaLoop,
        store: ReplicationDriver,
        host: any PartitionHost, carrier: MeshCarrier, gossip: GossipDriver, switchboard: Switchboard,
        stopTimeout: Duration
    ) {
        self.carrier = carrier
        self.gossip = gossip
        self.control = control
        self.service = service
        self.meshAddress = meshAddress
        transport = control.transport
        self.replicas = replicas
        self.store = store
        self.host = host
        self.switchboard = switchboard
        self.stopTimeout = stopTimeout
    }

    /// Starts the process as a member. It registers with the control plane by itself, and takes
    /// requests from the first moment on.
    /// - Parameters:
    ///   - store: the member's data directory, opened for replicas and not started.
    ///   - makeHost: makes the host on the store that it is given, and starts it.
    ///   - onFailure: called once, on any thread: nothing is acknowledged any more, and the process must end.
    package static func start(
        _ configuration: MemberConfiguration, store: PartitionStore, logger: Logger,
        makeHost: (ReplicationDriver, any PartitionCarrier) -> any PartitionHost,
        onFailure: @escaping @Sendable (MemberFailure) -> Void
    ) async throws -> ClusterMember {
        let identity = store.identity
        var generator = SystemRandomNumberGenerator()
        let switchboard = Switchboard(logger)
        var mesh = MeshConfiguration(
            NodeIdentity(
                cluster: identity.cluster, node: identity.node, incarnation: identity.incarnation,
                store: identity.store, constants: MapConstants(identity.ring),
                process: generator.next(upperBound: .max) + 1),
            security: .mutualTLS(configuration.credentials),
            catalog: try FrameCatalog(ClusterFrames.entries), seed: generator.next())
        mesh.settings = configuration.mesh
        mesh.dialFrom = configuration.dialFrom
        let transport = try MeshTransport(mesh, on: EventLoop(name: "apus-mesh")) { _, event in
            switchboard.handle(event)
        }
        do {
            let address = try await transport.listen(configuration.listen)
            // Nothing is acknowledged from then on.
            let failure = FirstFailure { failure in
                switchboard.stopReplicas()
                onFailure(failure)
            }
            switchboard.setOnTurnedAway { reason in
                logger.critical("this node stops: \(reason)")
                failure.tell(reason)
            }
            let control = try Self.control(
                configuration, identity: identity, address: address,
                seed: generator.next(upperBound: 1 << 32),
                store: store, transport: transport, switchboard: switchboard, logger: logger, failure: failure
            )
            let replicas = ReplicaLoop(
                store, control: control, settings: configuration.replication(for: identity.ring),
                rules: configuration.rules, logger: logger, onFailure: { failure.tell($0) })
            let driver = ReplicationDriver(replicas)
            let carrier = MeshCarrier(
                transport, maps: control.maps, me: identity.node, seed: generator.next(upperBound: 1 << 32),
                logger: logger)
            let host = makeHost(driver, carrier)
            await carrier.begin(host)
            let exchange = PeerExchange(
                transport, host: host.actors, seed: generator.next(upperBound: 1 << 32), logger: logger)
            let service = ClusterService(
                host: host.actors, me: identity.node, ring: identity.ring, maps: control.maps,
                exchange: exchange, limits: configuration.service, logger: logger)
            host.setRouter(service)
            let gossip = GossipDriver(
                transport, settings: configuration.gossip, seed: generator.next(), logger: logger)
            await control.connect(to: gossip)
            switchboard.connect(control, replicas, service, carrier, gossip, host)
            await transport.schedule(after: ClusterService.tick, every: ClusterService.tick) { _ in
                switchboard.ticked()
            }
            await replicas.start()
            await control.start()
            return ClusterMember(
                control: control, service: service, meshAddress: address, replicas: replicas, store: driver,
                host: host, carrier: carrier, gossip: gossip, switchboard: switchboard,
                stopTimeout: configuration.stopTimeout)
        } catch {
            await transport.close()
            throw error
        }
    }

    private static func control(
        _ configuration: MemberConfiguration, identity: StoreIdentity, address: MeshAddress, seed: UInt64,
        store: PartitionStore, transport: MeshTransport, switchboard: Switchboard, logger: Logger,
        failure: FirstFailure
    ) throws -> ControlDriver {
        let replica = ReplicaID(node: identity.node, store: identity.store)
        let (consensus, state) = try ConsensusStore.open(
            directory: configuration.consensusDirectory, replica: replica)
        var profile = configuration.profile
        if profile.meshAddress.isEmpty { profile.meshAddress = "\(address)" }
        let setup = ControlDriver.Setup(
            replica: replica,
            registration: Registration(
                cluster: identity.cluster, node: identity.node, store: identity.store,
                lastIncarnation: identity.incarnation, profile: profile, formats: .ofThisProgram),
            state: state, peers: configuration.peers,
            controller: configuration.controller.map {
                Controller(me: replica, settings: $0, planner: Planner(limits: configuration.moves))
            }, seed: seed,
            logger: logger, persistIncarnation: { try store.recordIncarnation($0.incarnation) },
            onRegistered: { switchboard.registered($0, $1) }, onMap: { switchboard.mapChanged($0) },
            onHandover: { switchboard.handOver($0, $1, $2) },
            onFailure: { failure.tell($0) })
        return try ControlDriver(setup, store: consensus, transport: transport)
    }

    /// Where actors live, for clients that keep a map: what has changed after a version, as soon as there is
    /// something, or that time is over; everything without a version. nil before the node has a map.
    public func routes(after version: UInt64?, within limit: Duration) async -> RoutingMap? {
        await control.maps.routes(after: version, within: limit, teller: service.me)
    }

    // MARK: The end

    /// Answers what is under way, as long as that does not take too long, says that it ends, and leaves the
    /// mesh.
    public func stop() async {
        _ = await control.leave()
        let isStopped = await host.stopped(within: stopTimeout)
        if !isStopped { host.abandon() }
        await sayFarewell()
        await gossip.stop(sayingFarewell: true)
        await leave()
        if !isStopped { try? store.close() }
    }

    /// Ends without a word to anybody, like a crash; for tests.
    package func abandon() async {
        switchboard.disconnect()
        await gossip.stop(sayingFarewell: false)
        host.abandon()
        await leave()
        try? store.close()
    }

    private func leave() async {
        service.stop()
        await service.exchange.stop()
        await carrier.stop()
        await replicas.stop()
        await control.stop()
        await transport.close()
        switchboard.disconnect()
    }
}

extension PartitionHost {
    /// Stops, unless that takes too long.
    fileprivate func stopped(within limit: Duration) async -> Bool {
        await withCheckedContinuation { continuation in
            let once = Once(continuation)
            Task {
                try? await stop()
                once.resume(true)
            }
            Task {
                try? await Task.sleep(for: limit)
                once.resume(false)
            }
        }
    }
}

/// Resumes once, with whatever comes first.
private final class Once: Sendable {
    private let continuation: Mutex<CheckedContinuation<Bool, Never>?>
    init(_ continuation: CheckedContinuation<Bool, Never>) { self.continuation = Mutex(continuation) }
    func resume(_ value: Bool) { continuation.withLock { $0.take() }?.resume(returning: value) }
}

/// Tells of the first of several failures.
final class FirstFailure: Sendable {
    private let tellOnce: Mutex<(@Sendable (MemberFailure) -> Void)?>
    init(_ tell: @escaping @Sendable (MemberFailure) -> Void) { tellOnce = Mutex(tell) }
    func tell(_ failure: MemberFailure) { tellOnce.withLock { $0.take() }?(failure) }
}
