import ActorHost
import ClusterMembership
import ConsensusCore
import ConsensusStore
import Foundation
import Identifiers
import Logging
import MembershipCore
import MeshProtocol
import MeshTransport
import PartitionStore
import PlacementCore
import ReplicationCore
import Synchronization
import TimeAndChance

@testable import ClusterHost

/// A cluster in one process: real disks, real sockets on loopback, mutual TLS.
final class ClusterLab: Sendable {
    let directory: String
    let cluster = ClusterID(high: 0xC0, low: 0xFFEE)
    let ring: HashRing
    let settings: ClusterSettings
    private let authority: ClusterAuthority
    private let seeds = Mutex<[Peer]>([])
    private let failures = Mutex<[Int: MemberFailure]>([:])

    func failed(_ number: Int, _ failure: MemberFailure) { failures.withLock { $0[number] = failure } }

    /// Waits until a process has stopped by itself.
    func failure(of number: Int) async -> MemberFailure {
        while true {
            if let failure = failures.withLock({ $0[number] }) { return failure }
            await Task.yield()
        }
    }

    /// Lays out the directories: the first node has founded the cluster and is its only voter, the others
    /// were given their numbers.
    init(members: Int = 3, partitions: Int = 4, settings: ClusterSettings = ClusterSettings()) throws {
        var generator = SystemRandomNumberGenerator()
        let name = "apus-cluster-\(UInt64.random(in: 0...(.max), using: &generator))"
        directory = FileManager.default.temporaryDirectory.appendingPathComponent(name).path
        guard let ring = HashRing(partitionCount: partitions, seed: (1, 2)) else { throw Failure.setup }
        self.ring = ring
        self.settings = settings
        authority = try ClusterAuthority(cluster: cluster, at: SystemClock().reading().wall)
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for number in 1...members { try format(number) }
        try found(members)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    enum Failure: Error {
        case setup
        case timedOut(String)
        case stopped
    }

    static func node(_ number: Int) -> NodeID { NodeID(rawValue: UInt64(number)) }
    static func store(_ number: Int) -> StoreID { StoreID(high: 7, low: UInt64(number)) }
    static func replica(_ number: Int) -> ReplicaID {
        ReplicaID(node: node(number), store: store(number))
    }

    func path(_ number: Int) -> String { "\(directory)/n\(number)" }

    private func identity(_ number: Int) -> StoreIdentity {
        StoreIdentity(
            .member, cluster: cluster, node: Self.node(number), store: Self.store(number),
            incarnation: Incarnation(rawValue: 0), ring: ring)
    }

    private func format(_ number: Int) throws {
        try FileManager.default.createDirectory(atPath: path(number), withIntermediateDirectories: true)
        let lock = try DirectoryLock(directory: path(number))
        try PartitionStore.format(directory: path(number), as: identity(number), holding: lock)
        lock.release()
    }

    private func found(_ members: Int) throws {
        let profile = NodeProfile(meshAddress: "127.0.0.1:1", clientAddress: "")
        let constants = ClusterConstants(cluster: cluster, ring: ring, formats: FormatVersions.ofThisProgram)
        var commands: [Command] = [
            .initialize(constants, settings, store: Self.store(1), profile)
        ]
        for number in 2...max(2, members) where number <= members {
            let registration = Registration(
                cluster: cluster, node: nil, store: Self.store(number),
                lastIncarnation: Incarnation(rawValue: 0), profile: profile,
                formats: FormatVersions.ofThisProgram)
            commands.append(.register(registration))
        }
        for number in 2...max(2, members) where number <= members {
            _ = try ConsensusStore.open(
                directory: path(number) + "/control", replica: Self.replica(number),
                creating: Raft.PersistentState())
        }
        var state = ClusterState()
        _ = state.apply(ClusterEntry(time: Timestamp(rawValue: 1), commands: commands), at: 1)
        guard let voters = Raft.Configuration(voters: [Self.replica(1)]) else { throw Failure.setup }
        _ = try ConsensusStore.open(
            directory: path(1) + "/control", replica: Self.replica(1),
            creating: Raft.PersistentState(founding: voters, state: state.encoded()))
    }

    static let logger: Logger = {
        var logger = Logger(label: "lab")
        let level = ProcessInfo.processInfo.environment["APUS_LAB_LOG"].flatMap { Logger.Level(rawValue: $0) }
        logger.logLevel = level ?? .critical
        return logger
    }()

    /// Starts a process on a node's directory.
    /// - Parameters:
    ///   - decides: whether it grants and plans when it leads; else nobody does but the test.
    ///   - detects: whether it declares nodes down when it leads.
    ///   - asksOwners: whether owners may come to a good end before a planned move.
    func start(
        _ number: Int, replication: ReplicationSettings = ClusterLab.replication,
        rules: ReplicationRules = .all, journalBytesMax: Int? = nil, decides: Bool = true,
        detects: Bool = false, asksOwners: Bool = true, gossip: SwimSettings = SwimSettings(),
        onFailure: @escaping @Sendable (MemberFailure) -> Void = { _ in },
        host: (ReplicationDriver, any PartitionCarrier) -> any PartitionHost
    ) async throws -> ClusterMember {
        let node = Self.node(number)
        let credentials = try authority.credentials(for: node, at: SystemClock().reading().wall)
        var configuration = MemberConfiguration(
            credentials: credentials, listen: MeshAddress(host: "127.0.0.1", port: 0),
            profile: NodeProfile(meshAddress: "", clientAddress: "c\(number)"),
            peers: seeds.withLock { $0 }.filter { $0.node != node },
            consensusDirectory: path(number) + "/control")
        if !decides { configuration.controller = nil }
        if !detects { configuration.controller?.failures = nil }
        if !asksOwners { configuration.controller?.handoverTicks = 0 }
        configuration.controller?.planTicks = 2
        configuration.controller?.awaitTicks = 20
        configuration.controller?.stableTicks = 5
        configuration.replication = replication
        configuration.rules = rules
        configuration.gossip = gossip
        configuration.stopTimeout = .seconds(20)
        var disk = StoreConfiguration(directory: path(number), member: identity(number))
        if let journalBytesMax { disk.journalBytesMax = journalBytesMax }
        let store = try PartitionStore.open(disk)
        var logger = Self.logger
        logger[metadataKey: "node"] = "\(number)"
        let member = try await ClusterMember.start(
            configuration, store: store, logger: logger, makeHost: host,
            onFailure: onFailure)
        let peer = Peer(node: node, address: member.meshAddress)
        seeds.withLock { seeds in
            seeds.removeAll { $0.node == node }
            seeds.append(peer)
        }
        return member
    }

    /// Whether that many nodes are up, everything is where the planner wants it, and each has something.
    static func isSettled(_ map: ClusterMap, nodes: Int) -> Bool {
        map.nodes.count(where: \.isUp) == nodes
            // Of two voters neither may die, and on the way to three there are two for a moment.
            && map.voters.voters.count == (map.nodes.count < 3 ? 1 : 3)
            && Set(map.partitions.flatMap { $0.inSync.map(\.node) }).count == nodes
            && map.partitions.allSatisfy { partition in
                partition.learners.isEmpty && partition.owner?.node == partition.targets.first
                    && partition.targets.count == map.settings.replicationFactor
                    && partition.inSync.map(\.node) == partition.targets.sorted()
                    && partition.inSync.allSatisfy(map.isLive)
            }
    }

    /// Replicas come in sync soon, and are dropped late enough for a machine that is busy.
    static var replication: ReplicationSettings {
        var settings = ReplicationSettings()
        settings.expandAfterMicros = 100_000
        settings.resendAfterMicros = 200_000
        return settings
    }
}

/// Waits for something, but not for ever.
func within<Value: Sendable>(
    _ what: String, limit: Duration = .seconds(60), _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let race = Race<Value>()
    let work = Task { race.finish(await Result.of(body)) }
    let alarm = Task {
        try? await Task.sleep(for: limit)
        race.finish(.failure(ClusterLab.Failure.timedOut(what)))
    }
    defer {
        work.cancel()
        alarm.cancel()
    }
    return try await race.result().get()
}

extension Result where Failure == any Error {
    fileprivate static func of(_ body: @Sendable () async throws -> Success) async -> Self {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}

private final class Race<Value: Sendable>: Sendable {
    private enum State {
        case open
        case waiting(CheckedContinuation<Result<Value, any Error>, Never>)
        case over(Result<Value, any Error>)
    }
    private let state = Mutex(State.open)

    func finish(_ result: Result<Value, any Error>) {
        let waiting = state.withLock { state -> CheckedContinuation<Result<Value, any Error>, Never>? in
            switch state {
            case .over: return nil
            case .open:
                state = .over(result)
                return nil
            case .waiting(let continuation):
                state = .over(result)
                return continuation
            }
        }
        waiting?.resume(returning: result)
    }

    func result() async -> Result<Value, any Error> {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state -> Result<Value, any Error>? in
                if case .over(let result) = state { return result }
                state = .waiting(continuation)
                return nil
            }
            if let known { continuation.resume(returning: known) }
        }
    }
}
