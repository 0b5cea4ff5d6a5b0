import ClientProtocol
import ConsensusCore
import ConsensusStore
import Foundation
import Identifiers
import MeshTransport
import PartitionStore
import PlacementCore
import Synchronization
import Testing
import TimeAndChance

@testable import ClusterMembership

/// Directories that go away with the test.
final class Scratch: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "apus-member-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func sub(_ name: String) -> String { path + "/" + name }

    func copy(_ from: String, to: String) throws -> String {
        try? FileManager.default.removeItem(atPath: sub(to))
        try FileManager.default.copyItem(atPath: sub(from), toPath: sub(to))
        return sub(to)
    }
}

enum Sample {
    static let now = Timestamp(rawValue: 1_800_000_000_000_000)
    static let profile = NodeProfile(
        meshAddress: "10.0.0.1:7430", clientAddress: "10.0.0.1:7420", zone: "a", weight: 1)

    static func profile(_ number: Int) -> NodeProfile {
        NodeProfile(meshAddress: "10.0.0.\(number):7430", clientAddress: "10.0.0.\(number):7420")
    }
}

/// A control plane in memory: the state machine itself, and no consensus about it.
final class FakeControlPlane: ControlPlane {
    private struct State {
        var cluster = ClusterState()
        var isSilent = false
        /// Applied just before the next proposal, as if somebody else had been faster.
        var ahead: [Command] = []
        var proposed: [Command] = []
    }

    struct NoAnswer: Error {}
    private let state = Mutex(State())

    /// As the founding node's first snapshot has it.
    init(_ cluster: ClusterState) { state.withLock { $0.cluster = cluster } }

    var map: ClusterMap? { state.withLock { $0.cluster.map } }
    var proposed: [Command] { state.withLock { $0.proposed } }
    func fallSilent(_ isSilent: Bool = true) { state.withLock { $0.isSilent = isSilent } }
    func goAhead(with commands: [Command]) { state.withLock { $0.ahead += commands } }

    @discardableResult
    func apply(_ commands: [Command]) -> [Outcome] { state.withLock { Self.apply(commands, &$0) } }

    private static func apply(_ commands: [Command], _ state: inout State) -> [Outcome] {
        state.cluster.apply(
            ClusterEntry(time: Sample.now, commands: commands), at: state.cluster.appliedIndex + 1
        ).outcomes
    }

    func currentMap() async -> ClusterMap? { state.withLock { $0.isSilent ? nil : $0.cluster.map } }

    func leader() async -> NodeID? { NodeID(rawValue: 1) }

    func propose(_ commands: [Command]) async throws -> [Outcome] {
        try state.withLock { state in
            guard !state.isSilent else { throw NoAnswer() }
            let ahead = state.ahead
            state.ahead = []
            if !ahead.isEmpty { _ = Self.apply(ahead, &state) }
            state.proposed += commands
            return Self.apply(commands, &state)
        }
    }

    /// Registers the node's process and confirms it, as its start does.
    @discardableResult
    func start(_ node: NodeID) throws -> NodeLife {
        guard let known = map?[node], let constants = map?.constants else { throw NoAnswer() }
        let registration = Registration(
            cluster: constants.cluster, node: node, store: known.store,
            lastIncarnation: known.disk.persisted, profile: known.profile, formats: constants.formats)
        guard case .registered(let life) = apply([.register(registration)]).first else { throw NoAnswer() }
        _ = apply([.confirm(life)])
        return life
    }
}

/// Brings requests of new nodes to a member, and can change or lose what goes by.
final class FakeNetwork: SeedCaller {
    struct Lost: Error, CustomStringConvertible {
        var description: String { "nothing listens there" }
    }

    enum Weather: Sendable {
        case fair
        case requestLost
        case answerLost
        case changing(request: @Sendable (inout [UInt8]) -> Void, answer: @Sendable (inout [UInt8]) -> Void)
    }

    private let members: Mutex<[String: ClusterAdministrator]> = Mutex([:])
    private let weather = Mutex(Weather.fair)

    func set(_ weather: Weather) { self.weather.withLock { $0 = weather } }
    func add(_ member: ClusterAdministrator, at seed: String) { members.withLock { $0[seed] = member } }

    func post(_ body: [UInt8], to path: String, at seed: String) async throws -> SeedReply {
        let (weather, member) = (weather.withLock { $0 }, members.withLock { $0[seed] })
        guard let member, path == "/cluster/admit" else { throw Lost() }
        if case .requestLost = weather { throw Lost() }
        var body = body
        if case .changing(let request, _) = weather { try Self.change(&body, request) }
        do throws(ActorError) {
            var reply = try await member.perform(.admit, Payload(body)).bytes
            if case .answerLost = weather { throw ActorError("lost", "") }
            if case .changing(_, let answer) = weather { try? Self.change(&reply, answer) }
            return SeedReply(status: 200, body: reply)
        } catch {
            if error.code == "lost" { throw Lost() }
            let json = try JSONEncoder().encode(["error": error])
            return SeedReply(status: error.httpStatus, body: Array(json))
        }
    }

    private static func change(_ body: inout [UInt8], _ change: (inout [UInt8]) -> Void) throws {
        let document = try JSONDecoder().decode(ClusterRequest.Admission.self, from: Data(body))
        var bytes = Array(Data(base64Encoded: document.data) ?? Data())
        change(&bytes)
        let changed = ClusterRequest.Admission(data: Data(bytes).base64EncodedString())
        body = Array(try JSONEncoder().encode(changed))
    }
}

/// A founded cluster whose first node runs, and nodes that may join it.
struct Town {
    let scratch: Scratch
    let network = FakeNetwork()
    let control: FakeControlPlane
    let founder: ClusterAdministrator
    let clock = TownClock()

    init(_ founding: Founding = Founding(partitions: 4), isRunning: Bool = true) throws {
        scratch = try Scratch()
        let directory = try MemberDirectory.open(scratch.sub("n1"))
        founder = ClusterAdministrator(
            directory: directory, profile: Sample.profile(1), caller: network, clock: clock.read)
        let membership = try founder.found(founding)
        control = FakeControlPlane(try Self.state(of: membership, in: directory))
        try control.start(NodeID(rawValue: 1))
        if isRunning { founder.attach(control) }
        network.add(founder, at: "10.0.0.1:7420")
    }

    /// What the first voter's log begins with.
    static func state(
        of membership: Membership, in directory: MemberDirectory
    ) throws -> ClusterState {
        let opened = try ConsensusStore.open(
            directory: directory.consensusDirectory, replica: membership.replica)
        return try ClusterState.decode(opened.state.snapshot.state)
    }

    func newcomer(_ number: Int, patience: Duration = .zero) throws -> ClusterAdministrator {
        ClusterAdministrator(
            directory: try MemberDirectory.open(scratch.sub("n\(number)")),
            profile: Sample.profile(number), caller: network, patience: patience, clock: clock.read)
    }

    func token(uses: Int = 1, seconds: Int = 3600) async throws -> JoinToken {
        let body = try ClusterAdministrator.json(
            ClusterRequest.CreateToken(validSeconds: seconds, uses: uses))
        let document: TokensDocument.Token = try ClusterAdministrator.read(
            try await founder.perform(.createToken, body))
        return try JoinToken(text: document.token ?? "")
    }
}

/// Time that stands still until it is moved.
final class TownClock: Sendable {
    private let now = Mutex(Sample.now)
    @Sendable func read() -> Timestamp { now.withLock { $0 } }
    func move(by duration: Duration) { now.withLock { $0 = $0 + duration } }
}

/// Expects an error whose description has that part.
func expectError(
    _ part: String, _ body: () throws -> Void, location: SourceLocation = #_sourceLocation
) {
    do {
        try body()
        Issue.record("nothing was refused", sourceLocation: location)
    } catch {
        let text = (error as? ActorError)?.message ?? "\(error)"
        #expect(text.contains(part), sourceLocation: location)
    }
}

func expectError(
    _ part: String, _ body: () async throws -> Void, location: SourceLocation = #_sourceLocation
) async {
    do {
        try await body()
        Issue.record("nothing was refused", sourceLocation: location)
    } catch {
        let text = (error as? ActorError)?.message ?? "\(error)"
        #expect(text.contains(part), sourceLocation: location)
    }
}
