import ClientProtocol
import ClusterMembership
import Identifiers
import MeshProtocol
import MeshTransport
import PlacementCore
import Synchronization
import Testing
import TimeAndChance

@testable import ClusterHost

/// Answers requests when and how the test says.
private final class ScriptedHost: ActorService {
    struct Asked {
        var request: ActorRequest
        var reply: @Sendable (Result<ActorReply, ActorError>) -> Void
    }
    private struct State {
        var asked: [Asked] = []
        var abandoned: [RequestToken] = []
    }
    private let state = Mutex(State())

    var asked: [Asked] { state.withLock { $0.asked } }
    var abandoned: Int { state.withLock { $0.abandoned.count } }
    var kinds: [String] { ["cart"] }

    func submit(
        _ request: ActorRequest, reply: @escaping @Sendable (Result<ActorReply, ActorError>) -> Void
    ) -> RequestToken {
        state.withLock { state in
            state.asked.append(Asked(request: request, reply: reply))
            return RequestToken(rawValue: UInt64(state.asked.count))
        }
    }
    func abandon(_ token: RequestToken) { state.withLock { $0.abandoned.append(token) } }
    func subscribe(
        to event: String, of actor: ActorAddress, deliver: @escaping @Sendable (EventDelivery) -> Void
    ) throws(ActorError) -> SubscriptionID { throw .notOwner }
    func unsubscribe(_ subscription: SubscriptionID) {}
    func status() async -> Payload { Payload("{}") }
    func list(kind: String?, after: ActorAddress?, limit: Int) async throws(ActorError) -> Payload {
        throw .notOwner
    }
}

@Suite("Requests look for the owner of their actor")
struct RoutingTests {
    private static let me = NodeID(rawValue: 1)
    private let host = ScriptedHost()
    private let maps = MapBoard()
    private let service: ClusterService

    init() throws {
        let ring = try #require(HashRing(partitionCount: 1, seed: (1, 2)))
        let cluster = ClusterID(high: 1, low: 1)
        let identity = NodeIdentity(
            cluster: cluster, node: Self.me, incarnation: Incarnation(rawValue: 1),
            store: StoreID(high: 1, low: 1), constants: MapConstants(ring))
        let mesh = MeshConfiguration(
            identity, security: .plainTCP, catalog: try FrameCatalog(ClusterFrames.entries), seed: 1)
        let transport = try MeshTransport(mesh, on: EventLoop(name: "routing")) { _, _ in }
        let exchange = PeerExchange(transport, host: host, seed: 1, logger: ClusterLab.logger)
        var limits = ClusterService.Limits()
        limits.waitingMax = 2
        service = ClusterService(
            host: host, me: Self.me, ring: ring, maps: maps, exchange: exchange, limits: limits,
            logger: ClusterLab.logger)
    }

    /// The map with this node as the owner of everything, or nobody.
    private func publish(isOwned: Bool) throws {
        let ring = try #require(HashRing(partitionCount: 1, seed: (1, 2)))
        let constants = ClusterConstants(
            cluster: ClusterID(high: 1, low: 1), ring: ring, formats: .ofThisProgram)
        let profile = NodeProfile(meshAddress: "a:1", clientAddress: "")
        let life = NodeLife(
            node: Self.me, incarnation: Incarnation(rawValue: 1), store: StoreID(high: 1, low: 1))
        var state = ClusterState()
        var commands: [Command] = [
            .initialize(constants, ClusterSettings(), store: life.store, profile), .confirm(life),
        ]
        if isOwned { commands.append(.promote(PartitionID(0), Revision(rawValue: 0), to: life)) }
        _ = state.apply(ClusterEntry(time: Timestamp(rawValue: 1), commands: commands), at: 1)
        let map = try #require(state.map)
        #expect((map.partitions[0].owner != nil) == isOwned)
        maps.publish(map)
    }

    private final class Answer: Sendable {
        let results = Mutex<[Result<ActorReply, ActorError>]>([])
        var all: [Result<ActorReply, ActorError>] { results.withLock { $0 } }
    }

    private func ask(
        _ operation: ActorRequest.Operation = .destroy, as identity: RequestIdentity? = nil,
        timeLeftMillis: UInt64? = nil, assumedEpoch: Epoch? = nil
    ) throws -> (answer: Answer, token: RequestToken) {
        let answer = Answer()
        let actor = try ActorAddress(kind: ActorKind("cart"), key: ActorKey(["a"]))
        let token = service.submit(
            ActorRequest(
                target: actor, operation: operation, identity: identity, timeLeftMillis: timeLeftMillis,
                assumedEpoch: assumedEpoch)
        ) { result in answer.results.withLock { $0.append(result) } }
        return (answer, token)
    }

    @Test("A request waits until somebody owns its actor")
    func nobodyYet() throws {
        let (answer, _) = try ask()
        try publish(isOwned: false)
        service.retry()
        #expect(host.asked.isEmpty && answer.all.isEmpty)
        try publish(isOwned: true)
        service.retry()
        #expect(host.asked.count == 1)
        host.asked[0].reply(.success(.destroyed))
        #expect(answer.all == [.success(.destroyed)])
    }

    @Test("What was refused because the actor is elsewhere was not performed, and is asked again, always")
    func notOwner() throws {
        try publish(isOwned: true)
        let (answer, _) = try ask()
        for round in 0..<3 {
            try #require(host.asked.count == round + 1)
            host.asked[round].reply(.failure(.notOwner))
            #expect(answer.all.isEmpty)
            service.retry()
        }
        host.asked[3].reply(.success(.destroyed))
        #expect(answer.all == [.success(.destroyed)])
    }

    @Test("A13: an unknown outcome is asked for again only if the actor recognises the request")
    func moved() throws {
        try publish(isOwned: true)
        let session = RequestIdentity.session(SessionID(high: 1, low: 1), sequence: 1, acknowledged: 0)
        for (operation, identity, isRepeated) in [
            (ActorRequest.Operation.destroy, nil, false), (.action("add", input: .null), nil, false),
            (.describe, nil, true), (.destroy, session, true), (.destroy, .key("k"), true),
        ] as [(ActorRequest.Operation, RequestIdentity?, Bool)] {
            let before = host.asked.count
            let (answer, _) = try ask(operation, as: identity)
            host.asked[before].reply(.failure(.moved))
            service.retry()
            if isRepeated {
                #expect(answer.all.isEmpty && host.asked.count == before + 2)
                #expect(host.asked[before + 1].request.identity == identity)
                host.asked[before + 1].reply(.success(.destroyed))
                #expect(answer.all == [.success(.destroyed)])
            } else {
                #expect(answer.all == [.failure(.moved)] && host.asked.count == before + 1)
            }
        }
    }

    @Test("A63: whose time is over is told that nothing was done, unless something may have been")
    func deadlines() throws {
        try publish(isOwned: true)
        let (late, _) = try ask(timeLeftMillis: 0)
        host.asked[0].reply(.failure(.notOwner))
        #expect(late.all == [.failure(.deadlineExceeded)])
        let session = RequestIdentity.session(SessionID(high: 1, low: 1), sequence: 1, acknowledged: 0)
        let (unsure, _) = try ask(as: session, timeLeftMillis: 0)
        host.asked[1].reply(.failure(.moved))
        #expect(unsure.all == [.failure(.moved)])
    }

    @Test("What waits is bounded, and answered when the node stops")
    func bounds() throws {
        let waiting = [try ask().answer, try ask().answer]
        let (refused, _) = try ask()
        #expect(refused.all == [.failure(.overloaded)])
        #expect(waiting.allSatisfy { $0.all.isEmpty })
        service.stop()
        #expect(waiting.allSatisfy { $0.all == [.failure(.unserved)] })
    }

    @Test("A60: a client that took this node for the owner is told of a newer one, and only of a newer one")
    func redirected() throws {
        var history = try MapHistory(partitions: try #require(HashRing(partitionCount: 1, seed: (1, 2))))
        try history.promote(0, to: 1)
        try history.join(2)
        try history.replicate(0, to: 2)
        try history.lose(1)
        try history.promote(0, to: 2)
        maps.publish(try history.map)
        let epoch = try history.map.partitions[0].epoch
        let (told, _) = try ask(assumedEpoch: Epoch(rawValue: epoch.rawValue - 1))
        guard case .failure(let error)? = told.all.first, let (entry, address) = error.redirection else {
            Issue.record("no redirection: \(told.all)")
            return
        }
        #expect(entry.owner == NodeID(rawValue: 2) && entry.epoch == epoch && address == "c2:1")
        // Who knows as much as this node would come back: passed on, like whoever cannot follow.
        let (knowing, _) = try ask(assumedEpoch: epoch)
        let (following, _) = try ask()
        #expect(knowing.all.isEmpty && following.all.isEmpty && host.asked.isEmpty)
        // This node is the owner, whatever the client believes.
        try publish(isOwned: true)
        let (mine, _) = try ask(assumedEpoch: Epoch(rawValue: 0))
        #expect(mine.all.isEmpty && host.asked.count == 1)
    }

    @Test("Whoever goes away is not answered, and what it waited for is let go")
    func abandoned() throws {
        let (nowhere, first) = try ask()
        service.abandon(first)
        try publish(isOwned: true)
        service.retry()
        #expect(host.asked.isEmpty && nowhere.all.isEmpty)
        let (here, second) = try ask()
        service.abandon(second)
        #expect(host.abandoned == 1)
        host.asked[0].reply(.success(.destroyed))
        #expect(here.all.isEmpty)
    }
}
