import ActorHost
import Apus
import ClientProtocol
import Identifiers
import PlacementCore
import Testing

@testable import ClusterHost

struct Counter: DurableActor {
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

/// Waits for a ticket, sleeps for a while, and then counts at another actor, ten times.
struct Traveller: DurableActor {
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
        try await workflow.sleep("journey", for: .seconds(1))
        for stop in 0..<10 {
            try await workflow.call("stop-\(stop)", \World.counter, ticket.body) { $0.add(1) }
        }
        try await workflow.step("arrive") {
        } commit: {
            $0.state.places.append(ticket.body)
        }
    }
}

struct World: Registry {
    let counter = Counter()
    let traveller = Traveller()
    let sleeper = Sleeper()
    let deadly = Deadly()
    let worker = Worker()
}

/// Members of a cluster that run `World`, and clients that ask until they are answered.
final class ActorCluster {
    static let keys = (0..<24).map { "k\($0)" }

    let lab: ClusterLab
    /// Whether the cluster finds out by itself who is down.
    let detects: Bool
    /// Whether owners may come to a good end before a planned move.
    let asksOwners: Bool
    var members: [Int: ClusterMember] = [:]

    init(detects: Bool = false, asksOwners: Bool = true) throws {
        lab = try ClusterLab(partitions: 8)
        self.detects = detects
        self.asksOwners = asksOwners
    }

    func start(_ number: Int) async throws {
        let kinds = try RegistryReader.kinds(of: World())
        members[number] = try await lab.start(number, detects: detects, asksOwners: asksOwners) {
            store, carrier in
            ActorHost(
                kinds: kinds, store: store, carrier: carrier, logger: ClusterLab.logger, onFailure: { _ in })
        }
    }

    func startAll() async throws -> ClusterMap {
        for number in 1...3 { try await start(number) }
        return try await settled(3)
    }

    func settled(_ count: Int) async throws -> ClusterMap {
        var settled: [ClusterMap] = []
        // On all of them: one that comes back begins with the map that it left with.
        for member in members.values {
            let board = member.control.maps
            settled.append(
                try await within("\(count) nodes with all copies in place") {
                    await board.first { ClusterLab.isSettled($0, nodes: count) }
                })
        }
        return try #require(settled.max { $0.version < $1.version })
    }

    func service(_ number: Int) throws -> ClusterService { try #require(members[number]).service }

    func stop() async {
        for number in members.keys.sorted() { await members[number]?.stop() }
    }

    /// The process ends without a word, and an operator says so, or nobody.
    func lose(_ number: Int) async throws {
        await members.removeValue(forKey: number)?.abandon()
        guard !detects else { return }
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

    static func address(_ kind: String, _ key: String) throws -> ActorAddress {
        try ActorAddress(kind: ActorKind(kind), key: ActorKey([key]))
    }

    /// Asks until there is an answer, always under the same identity, as clients do.
    static func ask(
        _ service: ClusterService, _ kind: String, _ key: String, _ operation: ActorRequest.Operation,
        as identity: RequestIdentity? = nil
    ) async throws -> ActorReply {
        let request = ActorRequest(target: try address(kind, key), operation: operation, identity: identity)
        return try await within("an answer of \(request.target)") {
            while true {
                let result = await withCheckedContinuation { continuation in
                    service.submit(request) { continuation.resume(returning: $0) }
                }
                if case .failure(let error) = result, error.group == "node" { continue }
                return try result.get()
            }
        }
    }

    static func add(
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

    static func count(_ service: ClusterService, _ key: String) async throws -> Int {
        let reply = try await ask(service, "counter", key, .action("count", input: .null))
        guard case .output(let output) = reply else { throw ClusterLab.Failure.stopped }
        return Int(output.text) ?? -1
    }

    static func places(_ service: ClusterService, _ key: String) async throws -> String {
        let reply = try await ask(service, "traveller", key, .action("places", input: .null))
        guard case .output(let output) = reply else { throw ClusterLab.Failure.stopped }
        return output.text
    }

    static func list(_ service: ClusterService) async throws -> [String] {
        var keys: [String] = []
        var page = ActorPage()
        repeat {
            let after = page.actors.last?.address
            page = try ActorPage(try await service.list(kind: "counter", after: after, limit: 7))
            keys += page.actors.flatMap(\.address.key.parts)
        } while page.hasMore
        return keys
    }
}
