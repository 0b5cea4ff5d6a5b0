import ActorHost
import Apus
import ClientGateway
import ClientProtocol
import ClusterHost
import ClusterMembership
import Identifiers
import Logging
import MembershipCore
import MeshProtocol
import PartitionStore
import PlacementCore
import Synchronization

/// One running node of a cluster. Until it is a member it only waits, with a port at which operators can make
/// it one.
public final class MemberNode: Sendable {
    private enum Phase {
        case waiting(Task<Void, Never>)
        case member(ClusterMember)
        case stopped
    }

    public let administrator: ClusterAdministrator
    private let gateway: ClientGateway
    private let service: ServiceInWaiting
    private let settings: Settings
    private let phase = Mutex<Phase>(.stopped)
    private let keepsPeers = Mutex<Task<Void, Never>?>(nil)

    private struct Settings: Sendable {
        var configuration: NodeConfiguration
        var cluster: ClusterConfiguration
        var kinds: [any ActorKindDefinition]
        var logger: Logger
        var say: @Sendable (String) -> Void
        var onFailure: @Sendable (NodeFailure) -> Void
    }

    /// The port that clients connect to.
    public var port: Int { gateway.port }

    /// Takes requests for any actor of the cluster, as the port does.
    public var requests: any ActorService { service }

    /// What this process has moved since its start; nil before it is a member.
    public var traffic: MemberTraffic? {
        phase.withLock { phase in
            if case .member(let member) = phase { member.traffic } else { nil }
        }
    }

    private init(
        administrator: ClusterAdministrator, gateway: ClientGateway, service: ServiceInWaiting,
        settings: Settings
    ) {
        self.administrator = administrator
        self.gateway = gateway
        self.service = service
        self.settings = settings
    }

    /// Opens the data directory and the port for clients, and takes part in the cluster as soon as the
    /// directory is a member's.
    /// - Parameters:
    ///   - say: takes a line of progress.
    ///   - onFailure: nothing is acknowledged any more, and the process must end. Called once, on any thread.
    /// - Throws: `MembershipError` for the data directory, `AddressError` for a kind's name, or the system's
    ///   error for the port.
    public static func start(
        _ registry: some Registry, configuration: NodeConfiguration, cluster: ClusterConfiguration,
        logger: Logger, say: @escaping @Sendable (String) -> Void,
        onFailure: @escaping @Sendable (NodeFailure) -> Void
    ) async throws -> MemberNode {
        let kinds = try RegistryReader.kinds(of: registry)
        let directory = try MemberDirectory.open(configuration.dataDirectory)
        let service = ServiceInWaiting(directory.membership == nil ? .notMember : .startingInCluster)
        func profile(_ port: Int) -> MeshAddress {
            MeshAddress(host: configuration.host, port: UInt16(clamping: port))
        }
        let administrator = ClusterAdministrator(
            directory: directory, profile: cluster.profile(clients: profile(configuration.port)),
            caller: SeedHTTPCaller(), clock: { SystemClock().reading().wall })
        let gateway = try await ClientGateway.start(
            service: service, cluster: administrator, host: configuration.host, port: configuration.port,
            configuration: configuration.gateway, logger: logger)
        administrator.advertise(clientAddress: cluster.profile(clients: profile(gateway.port)).clientAddress)
        let node = MemberNode(
            administrator: administrator, gateway: gateway, service: service,
            settings: Settings(
                configuration: configuration, cluster: cluster, kinds: kinds, logger: logger, say: say,
                onFailure: onFailure))
        node.begin()
        return node
    }

    private func begin() {
        phase.withLock { phase in
            phase = .waiting(
                Task { [self] in
                    do throws(NodeFailure) { try await becomeMember() } catch {
                        if !Task.isCancelled { settings.onFailure(error) }
                    }
                })
        }
    }

    // MARK: Becoming a member

    private func becomeMember() async throws(NodeFailure) {
        if let join = settings.cluster.join, administrator.directory.membership == nil {
            do {
                try await join.run(administrator, say: settings.say) { try await Task.sleep(for: $0) }
            } catch { throw NodeFailure(error) }
        }
        guard let membership = await administrator.membership() else { return }
        service.wait(for: .startingInCluster)
        let member: ClusterMember
        do { member = try await start(membership) } catch { throw NodeFailure(error) }
        let isStopped = phase.withLock { phase in
            if case .stopped = phase { return true }
            phase = .member(member)
            return false
        }
        guard !isStopped else { return await member.stop() }
        administrator.attach(MemberControl(member))
        service.begin(member.service)
        keepsPeers.withLock { $0 = Task { [self] in await rememberPeers(member) } }
    }

    private func start(_ membership: Membership) async throws -> ClusterMember {
        let directory = administrator.directory
        guard var storage = directory.storeConfiguration else { throw MembershipError.busy }
        if let limit = settings.cluster.journalBytesMax { storage.journalBytesMax = limit }
        let store = try PartitionStore.open(storage, holding: directory.lock)
        if let warning = administrator.certificateWarning { settings.logger.error("\(warning)") }
        var member = MemberConfiguration(
            credentials: membership.credentials, listen: settings.cluster.mesh,
            profile: administrator.profile, peers: membership.peers,
            consensusDirectory: directory.consensusDirectory)
        member.dialFrom = settings.cluster.dialFrom
        let settings = settings
        return try await ClusterMember.start(
            member, store: store, logger: settings.logger,
            makeHost: { driver, carrier in
                ActorHost(
                    kinds: settings.kinds, store: driver, settings: settings.configuration.settings,
                    carrier: carrier, logger: settings.logger,
                    onFailure: { settings.onFailure(.member(.store($0))) })
            }, onFailure: { settings.onFailure(.member($0)) })
    }

    /// Keeps for the next start where the voters are.
    private func rememberPeers(_ member: ClusterMember) async {
        var version: MapVersion?
        while !Task.isCancelled {
            let known = version
            let map = await member.control.maps.first { $0.version != known }
            version = map.version
            do throws(MembershipError) { try administrator.directory.rememberPeers(of: map) } catch {
                settings.logger.error("where the voters are could not be written down: \(error)")
            }
        }
    }

    // MARK: The end

    /// Gives what it owns to other nodes, takes no more work, answers what is under way, settles every actor,
    /// and leaves the mesh.
    public func stop() async {
        if case .member(let member) = phase.withLock({ $0 }) {
            let left = await member.handOff(within: settings.configuration.stopTimeout)
            if left > 0 {
                settings.say("no other node could take over \(left) partitions: they wait for a next start")
            }
        }
        await gateway.stop(within: settings.configuration.stopTimeout)
        keepsPeers.withLock { $0 }?.cancel()
        let last = phase.withLock { phase in
            defer { phase = .stopped }
            return phase
        }
        switch last {
        case .waiting(let task): task.cancel()
        case .member(let member): await member.stop()
        case .stopped: break
        }
    }
}

/// The control plane as operators' commands need it.
private struct MemberControl: ControlPlane {
    let member: ClusterMember

    init(_ member: ClusterMember) { self.member = member }

    func currentMap() async -> ClusterMap? { member.control.maps.map }
    func propose(_ commands: [Command]) async throws -> [Outcome] {
        try await member.control.propose(commands)
    }
    func leader() async -> NodeID? { await member.control.leader() }
    func routes(after version: UInt64?, within limit: Duration) async -> RoutingMap? {
        await member.routes(after: version, within: limit)
    }
    func opinions() async -> [NodeID: Opinion] { await member.gossip.opinions() }
}
