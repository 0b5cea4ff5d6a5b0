import ClientProtocol
import Foundation
import Identifiers
import MeshTransport
import PlacementCore
import Synchronization
import TimeAndChance

/// Performs what operators ask for below `/cluster`: before the node is a member, and as one.
///
/// A node that starts with `--mesh` makes one of these, serves it, waits in `membership()`, starts to take
/// part, and then hands over its access to the control plane by `attach`.
public final class ClusterAdministrator: ClusterAdministration {
    public let directory: MemberDirectory
    let caller: any SeedCaller
    private let clock: @Sendable () -> Timestamp
    private let patience: Duration
    var now: Timestamp { clock() }
    /// What the operator is to know about the end of this member's certificate; nil as long as there is time.
    public var certificateWarning: String? { directory.membership?.credentials.warning(at: now) }
    private let state: Mutex<State>

    private struct State {
        var profile: NodeProfile
        var control: (any ControlPlane)?
        var waiters: [UInt64: CheckedContinuation<Membership?, Never>] = [:]
        var waitersMade: UInt64 = 0
    }

    /// - Parameter patience: how long the answer to whoever founds or joins a cluster waits until the node
    ///   follows its map, which the next command needs.
    public init(
        directory: MemberDirectory, profile: NodeProfile, caller: some SeedCaller,
        patience: Duration = .seconds(5), clock: @escaping @Sendable () -> Timestamp
    ) {
        self.patience = patience
        self.directory = directory
        state = Mutex(State(profile: profile))
        self.caller = caller
        self.clock = clock
    }

    /// What the node says about itself when it founds or joins, and in every registration.
    public var profile: NodeProfile { state.withLock { $0.profile } }

    /// Where clients reach the node, if the system chose the port.
    public func advertise(clientAddress: String) {
        state.withLock { $0.profile.clientAddress = clientAddress }
    }

    /// Returns once the node is a member; nil if the task was cancelled before.
    public func membership() async -> Membership? {
        let number = state.withLock { state in
            state.waitersMade += 1
            return state.waitersMade
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now: Membership?? = state.withLock { state in
                    if Task.isCancelled { return .some(nil) }
                    if let membership = directory.membership { return membership }
                    state.waiters[number] = continuation
                    return nil
                }
                if let now { continuation.resume(returning: now) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: number) }?.resume(returning: nil)
        }
    }

    private func tell(_ membership: Membership) {
        let waiters = state.withLock { state in
            defer { state.waiters = [:] }
            return state.waiters.keys.sorted().compactMap { state.waiters[$0] }
        }
        for waiter in waiters { waiter.resume(returning: membership) }
    }

    /// The node takes part from now on.
    public func attach(_ control: any ControlPlane) { state.withLock { $0.control = control } }

    /// Founds a cluster with this node.
    public func found(_ founding: Founding) throws(MembershipError) -> Membership {
        let membership = try directory.found(founding, profile: profile, at: clock())
        tell(membership)
        return membership
    }

    /// Joins the cluster of the member at `seed`.
    public func join(_ seed: String, with token: JoinToken) async throws(MembershipError) -> Membership {
        let membership = try await directory.join(with: token, at: seed, profile: profile, over: caller)
        tell(membership)
        return membership
    }

    // MARK: ClusterAdministration

    public func perform(
        _ operation: ClusterOperation, _ body: Payload
    ) async throws(ActorError) -> Payload {
        switch operation {
        case .describe: return try Self.json(await describe())
        case .initialize:
            try initialize(try Self.read(body))
            await firstMap()
            return try Self.json(await describe())
        case .join:
            try await join(try Self.read(body))
            await firstMap()
            return try Self.json(await describe())
        default: break
        }
        guard let membership = directory.membership else { throw .notMember }
        guard let control = state.withLock({ $0.control }) else { throw .noMap }
        return try await perform(operation, body, control, at: membership.record.node)
    }

    private func perform(
        _ operation: ClusterOperation, _ body: Payload, _ control: any ControlPlane, at me: NodeID
    ) async throws(ActorError) -> Payload {
        let commands = MapCommands(control: control, me: me)
        let admission = Admission(directory: directory, control: control)
        switch operation {
        case .map(let after, let waitMillis):
            let limit = Duration.milliseconds(Int64(min(waitMillis, ClientWire.mapWaitMillisMax)))
            guard let map = await control.routes(after: after, within: limit) else { throw .noMap }
            return map.encoded()
        case .nodes: return try Self.json(try await commands.nodes())
        case .partitions: return try Self.json(try await commands.partitions())
        case .down: return try Self.json(try await commands.down(try Self.read(body)))
        case .promote: return try Self.json(try await commands.promote(try Self.read(body)))
        case .move: return try Self.json(try await commands.move(try Self.read(body)))
        case .drain: return try Self.json(try await commands.drain(try Self.read(body)))
        case .leave: return try Self.json(try await commands.leave(try Self.read(body)))
        case .admit: return try Self.json(try await admit(try Self.read(body), admission))
        case .tokens: return try Self.json(try await tokens(admission))
        case .createToken: return try Self.json(try await createToken(try Self.read(body), admission))
        case .revokeToken(let id): return try Self.json(try await revoke(id, admission))
        case .describe, .initialize, .join: throw .notMember
        }
    }

    private func firstMap() async {
        let deadline = ContinuousClock.now + patience
        while ContinuousClock.now < deadline, !Task.isCancelled {
            if let control = state.withLock({ $0.control }), await control.currentMap() != nil { return }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    private func describe() async -> ClusterDocument {
        guard let membership = directory.membership else {
            return ClusterDocument(member: false, message: ActorError.notMember.message)
        }
        var document = ClusterDocument(member: true)
        document.cluster = "\(membership.cluster)"
        document.node = membership.record.node.rawValue
        document.store = "\(membership.record.store)"
        document.founder = membership.record.origin == .founded
        document.partitions = membership.constants.ring.partitionCount
        guard let control = state.withLock({ $0.control }), let map = await control.currentMap() else {
            document.message = ActorError.noMap.message
            return document
        }
        document.leader = await control.leader()?.rawValue
        document.describe(map)
        return document
    }

    private func initialize(_ wanted: ClusterRequest.Initialize) throws(ActorError) {
        var founding = Founding()
        founding.partitions = wanted.partitions ?? founding.partitions
        founding.settings.replicationFactor =
            wanted.replicationFactor ?? founding.settings.replicationFactor
        founding.settings.inSyncMin = wanted.inSyncMin ?? founding.settings.inSyncMin
        founding.settings.voterTarget = wanted.voters ?? founding.settings.voterTarget
        do throws(MembershipError) { _ = try found(founding) } catch { throw ActorError(error) }
    }

    private func join(_ wanted: ClusterRequest.Join) async throws(ActorError) {
        do throws(MembershipError) {
            let token = try certified { () throws(CertificateError) in try JoinToken(text: wanted.token) }
            _ = try await join(wanted.seed, with: token)
        } catch { throw ActorError(error) }
    }

    private func admit(
        _ wanted: ClusterRequest.Admission, _ admission: Admission
    ) async throws(ActorError) -> ClusterRequest.Admission {
        guard let data = Data(base64Encoded: wanted.data) else {
            throw .invalidCommand("the join request is not base64")
        }
        let answer = try await admission.admit(Array(data), at: clock())
        return ClusterRequest.Admission(data: Data(answer).base64EncodedString())
    }
}
