import ClientGateway
import ClientProtocol
import FakeActors
import Identifiers
import Logging
import Synchronization
import Testing

@testable import ApusClient

/// The map that two gateways tell, until the test changes it.
private final class TestMap: Sendable {
    struct State {
        var map: RoutingMap?
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    let state = Mutex(State())

    /// - Parameter owner: of every actor.
    func publish(owner: UInt64, epoch: UInt64, ports: [Int]) {
        let map = RoutingMap(
            cluster: ClusterID(high: 1, low: 1), teller: NodeID(rawValue: 1), version: epoch,
            ring: HashRing(partitionCount: 1, seed: (1, 2))!,
            nodes: ports.enumerated().map { index, port in
                RoutingMap.Node(node: NodeID(rawValue: UInt64(index) + 1), address: "127.0.0.1:\(port)")
            },
            entries: [
                RoutingMap.Entry(
                    partition: PartitionID(0), epoch: Epoch(rawValue: epoch), revision: 1,
                    owner: NodeID(rawValue: owner))
            ])
        let waiters = state.withLock { state in
            state.map = map
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func next(after version: UInt64?, waits: Bool) async -> RoutingMap? {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if !waits || state.map.map({ $0.version > version ?? 0 }) ?? false { return true }
                state.waiters.append(continuation)
                return false
            }
            if isThere { continuation.resume() }
        }
        return state.withLock { $0.map }
    }
}

/// One node of them.
private struct TestMember: ClusterAdministration {
    let map: TestMap
    let node: UInt64

    func perform(
        _ operation: ClusterOperation, _ body: Payload
    ) async throws(ActorError) -> Payload {
        guard case .map(let after, let waitMillis) = operation,
            var map = await map.next(after: after, waits: waitMillis > 0)
        else { throw .notMember }
        map.teller = NodeID(rawValue: node)
        return map.encoded()
    }
}

@Suite("A client of a cluster", .timeLimit(.minutes(1))) struct RoutedClientTests {
    private static func gateway(
        _ service: FakeActorService, _ map: TestMap, node: UInt64
    ) async throws -> ClientGateway {
        try await ClientGateway.start(
            service: service, cluster: TestMember(map: map, node: node), host: "127.0.0.1", port: 0,
            logger: quietLogger())
    }

    private static func subscriptions(_ happenings: [FakeActorService.Happening]) -> Int {
        happenings.count { if case .subscribed = $0 { true } else { false } }
    }

    private static func waitingRequests(_ happenings: [FakeActorService.Happening]) -> Int {
        happenings.count { happening in
            guard case .submitted(let request, _) = happening, case .request = request.operation else {
                return false
            }
            return true
        }
    }

    @Test("A13 A40 A60 A63: calls go to the owner; when it is gone calls, waits and events go on elsewhere")
    func ownerDies() async throws {
        let (first, second) = (FakeActorService(), FakeActorService())
        let map = TestMap()
        let one = try await Self.gateway(first, map, node: 1)
        let two = try await Self.gateway(second, map, node: 2)
        map.publish(owner: 2, epoch: 1, ports: [one.port, two.port])
        var configuration = ClientConfiguration()
        // A client that waited for its pause would not end in time.
        configuration.backoffMin = .seconds(600)
        configuration.backoffMax = .seconds(600)
        let client = try ApusConnection(
            nodes: ["http://127.0.0.1:\(one.port)"], configuration: configuration, logger: quietLogger())
        // Through the first node, until there is a connection to the owner.
        while second.requests.isEmpty { _ = try await client.call(counter("a"), "increment", Payload("1")) }
        #expect(second.requests[0].assumedEpoch == Epoch(rawValue: 1))
        var events = client.events(counter("a"), "changed").makeAsyncIterator()
        async let response = client.request(counter("a"), "requests", Payload("1"))
        await second.waitUntil { Self.subscriptions($0) == 1 }
        await second.waitUntil { Self.waitingRequests($0) == 1 }
        let passedOn = first.requests.count
        await two.stop(within: .zero)
        await first.waitForRequests(passedOn + 1)
        await first.waitUntil { Self.subscriptions($0) == 1 }
        map.publish(owner: 1, epoch: 2, ports: [one.port])
        first.broadcast("changed", of: counter("a"), Payload("7"))
        #expect(try await events.next()?.payload.text == "7")
        first.release(.success(.completed(Payload("2"))))
        #expect(try await response?.text == "2")
        #expect(first.requests.last?.identity == second.requests.last?.identity)
        // Straight to the new owner.
        while first.requests.last?.assumedEpoch != Epoch(rawValue: 2) {
            _ = try await client.call(counter("a"), "increment", Payload("1"))
        }
        #expect(client.status == .connected)
        await client.close()
        await one.stop(within: .milliseconds(200))
    }

    @Test("A client of several nodes is served by whichever is there")
    func seeds() async throws {
        let service = FakeActorService()
        let gone = try await startGateway(service)
        await gone.stop(within: .zero)
        let there = try await startGateway(service)
        for nodes in [[gone.port, there.port], [there.port, gone.port]] {
            let client = try ApusConnection(
                nodes: nodes.map { "http://127.0.0.1:\($0)" }, logger: quietLogger())
            _ = try await client.call(counter("a"), "increment", Payload("1"))
            await client.close()
        }
        #expect(service.executions == 2)
        #expect(throws: ClientConfigurationError.self) { try ApusConnection(nodes: []) }
        #expect(throws: ClientConfigurationError.self) { try ApusConnection(nodes: ["a:1", "b"]) }
        await there.stop(within: .milliseconds(200))
    }
}
