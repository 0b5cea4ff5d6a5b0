import ActorHost
import Apus
import ClientGateway
import Identifiers
import Logging
import PartitionStore

/// Everything that one node needs to know before it starts.
public struct NodeConfiguration: Sendable {
    /// The data directory; made if it is absent.
    public var dataDirectory: String
    /// Where clients connect.
    public var host: String
    /// 0 for any free port.
    public var port: Int
    public var settings: HostSettings
    public var gateway: GatewayConfiguration
    /// How long a stop waits for replies that are under way.
    public var stopTimeout: Duration
    /// Nil for a node alone.
    public var cluster: ClusterConfiguration?

    public init(
        dataDirectory: String = "./apus-data", host: String = "127.0.0.1", port: Int = 7420,
        settings: HostSettings = HostSettings(), gateway: GatewayConfiguration = GatewayConfiguration(),
        stopTimeout: Duration = .seconds(10), cluster: ClusterConfiguration? = nil
    ) {
        self.dataDirectory = dataDirectory
        self.host = host
        self.port = port
        self.settings = settings
        self.gateway = gateway
        self.stopTimeout = stopTimeout
        self.cluster = cluster
    }
}

/// One running node: its store, its actors, and its port for clients.
public final class Node: Sendable {
    public let host: ActorHost
    private let gateway: ClientGateway
    private let store: PartitionStore
    private let stopTimeout: Duration

    /// Group commits of the journal since the start; each is one fsync.
    public var journalCommits: UInt64 { store.commitCount }

    /// Partitions whose tables are open now.
    public var openTables: Int { store.openTablesCount }

    /// The port that clients connect to.
    public var port: Int { gateway.port }

    private init(host: ActorHost, gateway: ClientGateway, store: PartitionStore, stopTimeout: Duration) {
        self.host = host
        self.store = store
        self.gateway = gateway
        self.stopTimeout = stopTimeout
    }

    /// Opens the data directory, recovers what it holds, and serves.
    /// - Parameter onFailure: the journal has failed and nothing is acknowledged any more; the process must
    ///   end (R14). Called once, on any thread.
    /// - Throws: `StoreError` for the data directory, `AddressError` for a kind's name, or the system's error
    ///   for the port.
    public static func start(
        _ registry: some Registry, configuration: NodeConfiguration, logger: Logger,
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) async throws -> Node {
        let kinds = try RegistryReader.kinds(of: registry)
        let store = try PartitionStore.open(StoreConfiguration(directory: configuration.dataDirectory))
        let host = ActorHost(
            kinds: kinds, store: SingleNodeStore(store), settings: configuration.settings, logger: logger,
            onFailure: onFailure)
        do {
            await host.ready()
            let gateway = try await ClientGateway.start(
                service: host, host: configuration.host, port: configuration.port,
                configuration: configuration.gateway, logger: logger)
            return Node(host: host, gateway: gateway, store: store, stopTimeout: configuration.stopTimeout)
        } catch {
            try? await host.stop()
            throw error
        }
    }

    /// Takes no more work, answers what is under way, settles every actor and closes the store.
    public func stop() async throws {
        await gateway.stop(within: stopTimeout)
        try await host.stop()
    }
}
