import Identifiers
import MeshProtocol
import Synchronization
import TimeAndChance

@testable import MeshTransport

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// What a transport has reported, and a way to wait for it.
final class EventLog: Sendable {
    private struct Waiter {
        var isMatch: @Sendable (MeshEvent) -> Bool
        var count: Int
        var continuation: CheckedContinuation<Void, Never>
    }
    private struct State {
        var events: [MeshEvent] = []
        var waiters: [Waiter] = []
    }

    private let state = Mutex(State())

    var events: [MeshEvent] { state.withLock { $0.events } }

    func append(_ event: MeshEvent) {
        let ready = state.withLock { state in
            state.events.append(event)
            var ready: [CheckedContinuation<Void, Never>] = []
            for index in state.waiters.indices.reversed() where state.waiters[index].isMatch(event) {
                state.waiters[index].count -= 1
                if state.waiters[index].count == 0 {
                    ready.append(state.waiters.remove(at: index).continuation)
                }
            }
            return ready
        }
        for continuation in ready { continuation.resume() }
    }

    /// Waits until that many matching events have come, since the beginning.
    func wait(_ count: Int = 1, until isMatch: @escaping @Sendable (MeshEvent) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                let seen = state.events.count(where: isMatch)
                guard seen < count else { return true }
                state.waiters.append(
                    Waiter(isMatch: isMatch, count: count - seen, continuation: continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    func first<Value: Sendable>(_ pick: @escaping @Sendable (MeshEvent) -> Value?) async -> Value {
        await wait { pick($0) != nil }
        // It waited for exactly this.
        return events.lazy.compactMap(pick).first!
    }
}

/// One node's mesh with what it has reported.
struct LabNode: Sendable {
    let identity: NodeIdentity
    let transport: MeshTransport
    let log: EventLog
    let address: MeshAddress

    var id: NodeID { identity.node }

    func connect(to other: LabNode, lanes: Set<MeshLane> = [.data]) async {
        await transport.connect(other.id, at: [other.address], lanes: lanes)
    }

    /// Waits until the connection is there.
    func isConnected(to other: LabNode, lanes: Set<MeshLane> = [.data]) async {
        for lane in lanes {
            await log.wait {
                if case .connected(let peer) = $0 {
                    peer.node == other.id && peer.lane == lane
                } else {
                    false
                }
            }
        }
    }

    func payloads(from other: LabNode, count: Int) async -> [[UInt8]] {
        await log.wait(count) {
            if case .frame(_, let peer) = $0 { peer.node == other.id } else { false }
        }
        return log.events.compactMap {
            if case .frame(let frame, let peer) = $0, peer.node == other.id { frame.payload } else { nil }
        }
    }

    /// Why the connection to a peer ended, or an attempt failed.
    func failure() async -> CloseReason {
        await log.first {
            switch $0 {
            case .disconnected(_, let reason), .dialFailed(_, _, _, let reason, _), .rejected(_, let reason):
                reason
            default: nil
            }
        }
    }
}

/// A cluster on loopback.
struct Lab {
    static let kind = FrameKind(rawValue: 20)
    // One kind cannot be in conflict.
    static let catalog = try! FrameCatalog([FrameCatalog.Entry(kind, "test", on: Set(MeshLane.allCases))])
    static let cluster = ClusterID(high: 0xA, low: 0xB)

    let authority: ClusterAuthority
    let loop = EventLoop(name: "lab")

    init() throws { authority = try ClusterAuthority(cluster: Self.cluster, at: Self.time) }

    /// The clock of the machine, which OpenSSL looks at.
    static var time: Timestamp {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Timestamp(rawValue: UInt64(now.tv_sec) * 1_000_000)
    }

    static func identity(_ node: UInt64, incarnation: UInt32 = 1) -> NodeIdentity {
        NodeIdentity(
            cluster: cluster, node: NodeID(rawValue: node), incarnation: Incarnation(rawValue: incarnation),
            store: StoreID(high: 1, low: node), constants: MapConstants(partitionCount: 256, seedDigest: 1))
    }

    func credentials(_ node: UInt64) throws -> NodeCredentials {
        try authority.credentials(for: NodeID(rawValue: node), at: Self.time)
    }

    /// Starts a node that listens.
    /// - Parameter credentials: of the lab's authority, unless others are given.
    func node(
        _ node: UInt64, identity: NodeIdentity? = nil, credentials: NodeCredentials? = nil,
        plain: Bool = false,
        settings: MeshSettings = MeshSettings(), loop: EventLoop? = nil, port: UInt16 = 0,
        dialFrom: String? = nil, handler: MeshTransport.Handler? = nil
    ) async throws -> LabNode {
        let identity = identity ?? Self.identity(node)
        let security: MeshConfiguration.Security =
            if plain { .plainTCP } else { .mutualTLS(try credentials ?? self.credentials(node)) }
        var configuration = MeshConfiguration(identity, security: security, catalog: Self.catalog, seed: node)
        configuration.settings = settings
        configuration.dialFrom = dialFrom
        let log = EventLog()
        let transport = try MeshTransport(configuration, on: loop ?? self.loop) { transport, event in
            handler?(transport, event)
            log.append(event)
        }
        let address = try await transport.listen(MeshAddress(host: "127.0.0.1", port: port))
        return LabNode(identity: identity, transport: transport, log: log, address: address)
    }

    /// Deadlines and waits of some milliseconds.
    static var quick: MeshSettings {
        var settings = MeshSettings()
        settings.backoff.first = .milliseconds(5)
        settings.backoff.longest = .milliseconds(50)
        return settings
    }
}
