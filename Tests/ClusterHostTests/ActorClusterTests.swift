import ClientProtocol
import Identifiers
import MeshTransport
import PlacementCore
import Synchronization
import Testing

@testable import ClusterHost

@Suite("Members of a cluster with actors", .serialized)
struct ActorClusterTests {
    private typealias Cluster = ActorCluster

    @Test("A request at any node reaches the owner of its actor, over one hop and never two")
    func routing() async throws {
        let running = try Cluster()
        let map = try await running.startAll()
        var sequence: UInt64 = 0
        for key in Cluster.keys {
            for number in 1...3 {
                sequence += 1
                #expect(try await Cluster.add(try running.service(number), key, 1, sequence) == number)
            }
        }
        #expect(Set(map.partitions.compactMap(\.owner?.node)).count == 3)
        // The whole list at every node, in pages; new actors come into it when they are applied.
        for number in 1...3 {
            let service = try running.service(number)
            try await within("the whole list") {
                while try await Cluster.list(service) != Cluster.keys.sorted() { await Task.yield() }
            }
        }
        // Whoever is asked by another node for what it does not own refuses, and does not pass it on.
        let target = try Cluster.address("counter", "k0")
        let owner = try #require(map[map.constants.ring.partition(of: target)]?.owner?.node)
        let nodes = (1...3).map { ClusterLab.node($0) }.filter { $0 != owner }
        let exchange = try running.service(Int(nodes[0].rawValue)).exchange
        let refused = try await within("a refusal") {
            await withCheckedContinuation { continuation in
                exchange.loop.post {
                    exchange.assumeIsolated { exchange in
                        let request = ActorRequest(target: target, operation: .describe)
                        _ = exchange.call(.request(request), at: nodes[1]) {
                            continuation.resume(returning: $0)
                        }
                    }
                }
            }
        }
        guard case .answered(.failure(let error)) = refused else {
            Issue.record("\(refused)")
            return
        }
        #expect(error == .notOwner)
        await running.stop()
    }

    @Test(
        "A13 W2 W60: a node dies in the middle, and requests, messages and steps are performed once",
        arguments: ["an operator says so", "the cluster finds out"])
    func failover(who: String) async throws {
        let running = try Cluster(detects: who == "the cluster finds out")
        let map = try await running.startAll()
        let client = try running.service(1)
        // Another node than the one that is asked.
        let victim = try #require(map.partitions.compactMap(\.owner?.node).first { $0 != ClusterLab.node(1) })
        for (number, key) in Cluster.keys.enumerated() {
            #expect(try await Cluster.add(client, key, 5, UInt64(number + 1)) == 5)
            _ = try await Cluster.ask(client, "traveller", key, .getOrCreate(input: nil))
            // Each counts at the next one's key, which mostly is on another node.
            let next = Cluster.keys[(number + 1) % Cluster.keys.count]
            _ = try await Cluster.ask(
                client, "traveller", key, .send(queue: "tickets", body: Payload("\"t\(next)\"")),
                as: .session(SessionID(high: 2, low: 2), sequence: UInt64(number + 1), acknowledged: 0))
        }
        let busy = Self.begin(at: client)
        try await running.lose(Int(victim.rawValue))
        try await busy.value
        for (number, key) in Cluster.keys.enumerated() {
            // The recorded reply, although the actor counts on.
            #expect(try await Cluster.add(client, key, 5, UInt64(number + 1)) == 5)
            #expect(try await Cluster.count(client, key) == 25)
        }
        for (number, key) in Cluster.keys.enumerated() {
            let next = Cluster.keys[(number + 1) % Cluster.keys.count]
            try await within("the end of a journey") {
                while try await Cluster.places(client, key) != "[\"home\",\"t\(next)\"]" {
                    await Task.yield()
                }
            }
            #expect(try await Cluster.count(client, "t\(next)") == 10)
        }
        try await running.start(Int(victim.rawValue))
        _ = try await running.settled(3)
        let again = try running.service(Int(victim.rawValue))
        for key in Cluster.keys { #expect(try await Cluster.count(again, key) == 25) }
        await running.stop()
    }

    @Test("2.8: a node that stops gives what it owns away first; nobody notices, and nobody has to find out")
    func stopsInGoodOrder() async throws {
        let running = try Cluster()
        let map = try await running.startAll()
        let client = try running.service(1)
        let victim = try #require(map.partitions.compactMap(\.owner?.node).first { $0 != ClusterLab.node(1) })
        for (number, key) in Cluster.keys.enumerated() {
            #expect(try await Cluster.add(client, key, 5, UInt64(number + 1)) == 5)
        }
        let busy = Self.begin(at: client)
        let removed = running.members.removeValue(forKey: Int(victim.rawValue))
        let member = try #require(removed)
        #expect(await member.handOff(within: .seconds(30)) == 0)
        #expect(member.control.maps.map?.partitions.contains { $0.owner?.node == victim } == false)
        // It serves on, as anybody does who owns nothing.
        for key in Cluster.keys { #expect(try await Cluster.count(member.service, key) >= 5) }
        await member.stop()
        try await busy.value
        let last = try await within("a map without it") {
            await client.maps.first { $0[victim]?.isUp == false }
        }
        #expect(last.partitions.allSatisfy { $0.owner != nil && $0.owner?.node != victim })
        await running.stop()
    }

    /// Requests to all counters, which go on while something happens to their owners.
    private static func begin(at client: ClusterService) -> Task<Void, any Error> {
        Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, key) in Cluster.keys.enumerated() {
                    group.addTask {
                        for round in 0..<20 {
                            let sequence = UInt64(1_000 + round * 100 + number)
                            let count = try await Cluster.add(client, key, 1, sequence)
                            #expect(count == 6 + round)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("A40: a subscription follows its actor to the next owner")
    func subscriptions() async throws {
        let running = try Cluster()
        let map = try await running.startAll()
        let key = try #require(
            try Cluster.keys.first { key in
                let partition = map.constants.ring.partition(of: try Cluster.address("counter", key))
                return map[partition]?.owner?.node != ClusterLab.node(1)
            })
        let address = try Cluster.address("counter", key)
        let owner = try #require(map[map.constants.ring.partition(of: address)]?.owner?.node)
        let client = try running.service(1)
        let heard = Mutex<Int>(0)
        let subscription = try client.subscribe(to: "changed", of: address) { delivery in
            heard.withLock { $0 = max($0, Int(delivery.payload.text) ?? -1) }
        }
        // What happens before a subscription is attached is not told, so there is always more.
        for hasMoved in [false, true] {
            if hasMoved { try await running.lose(Int(owner.rawValue)) }
            let before = heard.withLock { $0 }
            try await within("an event") {
                var sequence: UInt64 = hasMoved ? 1_000_000 : 0
                while heard.withLock({ $0 }) == before {
                    sequence += 1
                    _ = try await Cluster.add(client, key, 1, sequence)
                }
            }
        }
        client.unsubscribe(subscription)
        await running.stop()
    }

    @Test("D14: all processes end at once; nothing is lost, and nobody goes on before a new grant (R5)")
    func allRestart() async throws {
        let running = try Cluster()
        let before = try await running.startAll()
        for (number, key) in Cluster.keys.enumerated() {
            let service = try running.service(number % 3 + 1)
            #expect(try await Cluster.add(service, key, 3, UInt64(number + 1)) == 3)
        }
        for number in 1...3 { await running.members.removeValue(forKey: number)?.abandon() }
        for number in 1...3 { try await running.start(number) }
        let board = try #require(running.members[1]).control.maps
        _ = try await within("new grants of everything") {
            await board.first { map in
                let epochs = zip(before.partitions, map.partitions)
                return ClusterLab.isSettled(map, nodes: 3) && epochs.allSatisfy { $0.epoch < $1.epoch }
            }
        }
        for number in 1...3 {
            let service = try running.service(number)
            for key in Cluster.keys { #expect(try await Cluster.count(service, key) == 3) }
        }
        for (number, key) in Cluster.keys.enumerated() {
            // The recorded reply.
            #expect(try await Cluster.add(try running.service(1), key, 3, UInt64(number + 1)) == 3)
        }
        await running.stop()
    }
}
