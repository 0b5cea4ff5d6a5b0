import ActorHost
import Apus
import ClientProtocol
import Foundation
import Identifiers
import PlacementCore
import Synchronization
import Testing

@testable import ClusterHost

private struct Counter: DurableActor {
    struct State: DurableState { var count = 0 }
    struct Events: Declarations {
        let changed = Event<Int>()
    }
    struct Actions: Declarations {
        let add = Action<Int, Int> { turn, amount in
            turn.state.count += amount
            turn.broadcast(\.changed, turn.state.count)
            return turn.state.count
        }
        let count = Query<Int> { $0.state.count }
    }
}

private struct Traveller: DurableActor {
    struct State: DurableState { var places: [String] = [] }
    struct Queues: Declarations {
        let tickets = Queue<String>()
    }
    struct Actions: Declarations {
        let places = Query<[String]> { $0.state.places }
    }
    func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.step("leave") {
        } commit: {
            $0.state.places.append("home")
        }
        let ticket = try await workflow.next("ticket", from: \.tickets)
        try await workflow.sleep("journey", for: .seconds(2))
        try await workflow.step("arrive") {
        } commit: {
            $0.state.places.append(ticket.body)
        }
    }
}

private struct World: Registry {
    let counter = Counter()
    let traveller = Traveller()
}

@Suite("Members of a cluster with actors", .serialized)
struct ActorClusterTests {
    private final class Running {
        let lab: ClusterLab
        var members: [Int: ClusterMember] = [:]

        init() throws { lab = try ClusterLab(partitions: 8) }

        func start(_ number: Int) async throws {
            let kinds = try RegistryReader.kinds(of: World())
            members[number] = try await lab.start(number) { store, carrier in
                ActorHost(
                    kinds: kinds, store: store, carrier: carrier, logger: ClusterLab.logger,
                    onFailure: { _ in })
            }
        }

        func startAll() async throws -> ClusterMap {
            for number in 1...3 { try await start(number) }
            return try await settled(3)
        }

        func settled(_ count: Int) async throws -> ClusterMap {
            let board = try #require(members.values.first).control.maps
            return try await within("\(count) nodes with all copies in place") {
                await board.first { ClusterLab.isSettled($0, nodes: count) }
            }
        }

        func stop() async {
            for number in members.keys.sorted() { await members[number]?.stop() }
        }

        func declareDown(_ number: Int) async throws {
            let survivor = try #require(members.values.first)
            let life = try #require(survivor.control.maps.map?[ClusterLab.node(number)]?.life)
            try await within("the operator's command") {
                while true {
                    let outcomes = try? await survivor.control.propose([
                        .nodeDown(life.node, life.incarnation, .operator)
                    ])
                    if outcomes == [.accepted] || outcomes == [.refused(.notUp)] { return }
                }
            }
        }
    }

    /// Asks until there is an answer, always under the same identity, as clients do.
    private static func ask(
        _ service: ClusterService, _ kind: String, _ key: String, _ operation: ActorRequest.Operation,
        as identity: RequestIdentity? = nil
    ) async throws -> ActorReply {
        let address = try ActorAddress(kind: ActorKind(kind), key: ActorKey([key]))
        let request = ActorRequest(target: address, operation: operation, identity: identity)
        return try await within("an answer of \(address)") {
            while true {
                let result = await withCheckedContinuation { continuation in
                    service.submit(request) { continuation.resume(returning: $0) }
                }
                if case .failure(let error) = result, error.group == "node" { continue }
                return try result.get()
            }
        }
    }

    private static func add(
        _ service: ClusterService, _ key: String, _ amount: Int, _ sequence: UInt64
    ) async throws -> Int {
        let reply = try await ask(
            service, "counter", key, .action("add", input: Payload("\(amount)")),
            as: .session(SessionID(high: 1, low: 1), sequence: sequence, acknowledged: 0))
        guard case .output(let output) = reply, let count = Int(output.text) else {
            throw ClusterLab.Failure.stopped
        }
        return count
    }

    private static func count(_ service: ClusterService, _ key: String) async throws -> Int {
        guard
            case .output(let output) = try await ask(
                service, "counter", key, .action("count", input: .null))
        else { throw ClusterLab.Failure.stopped }
        return Int(output.text) ?? -1
    }

    private static func list(_ service: ClusterService) async throws -> [String] {
        var keys: [String] = []
        var page = ActorPage()
        repeat {
            let after = page.actors.last?.address
            page = try ActorPage(try await service.list(kind: "counter", after: after, limit: 7))
            keys += page.actors.flatMap(\.address.key.parts)
        } while page.hasMore
        return keys
    }

    private static let keys = (0..<24).map { "k\($0)" }

    @Test("A request at any node reaches the owner of its actor")
    func routing() async throws {
        let running = try Running()
        let map = try await running.startAll()
        var sequence: UInt64 = 0
        for key in Self.keys {
            for number in 1...3 {
                sequence += 1
                let service = try #require(running.members[number]).service
                #expect(try await Self.add(service, key, 1, sequence) == number)
            }
        }
        let owners = Set(map.partitions.compactMap(\.owner?.node))
        #expect(owners.count == 3)
        // The whole list at every node, in pages; new actors come into it when they are applied.
        for number in 1...3 {
            let service = try #require(running.members[number]).service
            try await within("the whole list") {
                while try await Self.list(service) != Self.keys.sorted() { await Task.yield() }
            }
        }
        await running.stop()
    }

    @Test("A13 W2: a node dies in the middle of it, and every request is performed once; workflows go on")
    func failover() async throws {
        let running = try Running()
        let map = try await running.startAll()
        let client = try #require(running.members[1]).service
        // A partition of another node than the one that is asked.
        let victim = try #require(map.partitions.compactMap(\.owner?.node).first { $0 != ClusterLab.node(1) })
        let lost = Self.keys.filter { key in
            guard let address = try? ActorAddress(kind: ActorKind("counter"), key: ActorKey([key])) else {
                return false
            }
            return map[map.constants.ring.partition(of: address)]?.owner?.node == victim
        }
        #expect(!lost.isEmpty)
        for (number, key) in Self.keys.enumerated() {
            #expect(try await Self.add(client, key, 5, UInt64(number + 1)) == 5)
            _ = try await Self.ask(client, "traveller", key, .getOrCreate(input: nil))
            let send = ActorRequest.Operation.send(queue: "tickets", body: Payload("\"\(key)\""))
            _ = try await Self.ask(
                client, "traveller", key, send,
                as: .session(SessionID(high: 2, low: 2), sequence: UInt64(number + 1), acknowledged: 0))
        }
        let heard = Mutex<[Int]>([])
        let watched = try #require(lost.first)
        let address = try ActorAddress(kind: ActorKind("counter"), key: ActorKey([watched]))
        let subscription = try client.subscribe(to: "changed", of: address) { delivery in
            heard.withLock { $0.append(Int(delivery.payload.text) ?? -1) }
        }

        // While requests are under way, the owner dies; nobody knows what became of some of them.
        let busy = Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, key) in Self.keys.enumerated() {
                    group.addTask {
                        for round in 0..<20 {
                            let sequence = UInt64(1_000 + round * 100 + number)
                            let count = try await Self.add(client, key, 1, sequence)
                            #expect(count == 6 + round)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        await running.members.removeValue(forKey: Int(victim.rawValue))?.abandon()
        try await running.declareDown(Int(victim.rawValue))
        try await busy.value
        for (number, key) in Self.keys.enumerated() {
            // The recorded reply, although the actor counts on.
            #expect(try await Self.add(client, key, 5, UInt64(number + 1)) == 5)
            #expect(try await Self.count(client, key) == 25)
        }
        for key in Self.keys {
            let expected = "[\"home\",\"\(key)\"]"
            try await within("the end of a journey") {
                while true {
                    let reply = try await Self.ask(client, "traveller", key, .action("places", input: .null))
                    if case .output(let output) = reply, output.text == expected { return }
                }
            }
        }
        _ = try await Self.add(client, watched, 1, 9_999)
        try await within("an event of the new owner") {
            while heard.withLock({ $0.last }) != 26 { await Task.yield() }
        }
        client.unsubscribe(subscription)

        try await running.start(Int(victim.rawValue))
        _ = try await running.settled(3)
        let again = try #require(running.members[Int(victim.rawValue)]).service
        for key in Self.keys where key != watched {
            #expect(try await Self.count(again, key) == 25)
        }
        await running.stop()
    }
}
