import ApusClient
import ClientProtocol
import Foundation
import Identifiers
import NIOHTTP1
import Synchronization
import Testing

extension ProcessTests {
    @Suite("A client of a cluster", .serialized, .timeLimit(.minutes(3)))
    struct RoutedClientTests {
        private static let counters = 4

        /// What was acknowledged, and when to end.
        private final class Tally: Sendable {
            let totals = Mutex(Array(repeating: 0, count: RoutedClientTests.counters))
            let isOver = Atomic<Bool>(false)
            let isHeard = Atomic<Bool>(false)
        }

        /// Nobody declares the dead node down, nobody tells the client, and nobody asks again by hand.
        @Test("A13, A40, A60, A63: the owner is killed; calls, a waiting request and events go on")
        func ownerKilled() async throws {
            try await ClusterFixture.with { fixture in
                let client = try ApusConnection(
                    nodes: fixture.all.map { "http://127.0.0.1:\($0.port)" })
                let tally = Tally()
                let waiter = try Self.actor("counter", "waiter")
                let agent = try await Self.agent(beside: waiter, fixture)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<Self.counters {
                        group.addTask {
                            let counter = try Self.actor("counter", "c\(number)")
                            while !tally.isOver.load(ordering: .relaxed) {
                                _ = try await client.call(counter, "increment", Payload("1"))
                                tally.totals.withLock { $0[number] += 1 }
                            }
                        }
                    }
                    group.addTask {
                        defer { tally.isOver.store(true, ordering: .relaxed) }
                        try await Self.killOwner(of: waiter, agent, client, fixture)
                    }
                    try await group.waitForAll()
                }
                for (number, total) in tally.totals.withLock({ $0 }).enumerated() {
                    let state = try await client.call(try Self.actor("counter", "c\(number)"), "getState")
                    #expect(state.text == "{\"count\":\(total)}", "c\(number)")
                    #expect(total > 1)
                }
                await client.close()
            }
        }

        private static func killOwner(
            of waiter: ActorAddress, _ agent: ActorAddress, _ client: ApusConnection,
            _ fixture: ClusterFixture
        ) async throws {
            var events = client.events(agent, "replied").makeAsyncIterator()
            // A subscription is in place before its requests are performed: the same connection, in order.
            try await client.send(agent, "prompts", Payload(#"{"content":"before"}"#))
            _ = try await events.next()
            // It is taken only after the owner's death.
            async let response = client.request(
                waiter, "requests", Payload(#"{"delta":5}"#), options: MessageOptions(delayMillis: 2_000),
                timeout: .seconds(60))
            try await waitForMessage(of: waiter, client)
            try await fixture.kill(try await owner(of: waiter, fixture))
            let reply = try await response
            #expect(reply?.text == #"{"count":5}"#)
            // One that comes while nobody is subscribed is not repeated.
            let tally = Tally()
            async let prompts: Void = {
                while !tally.isHeard.load(ordering: .relaxed) {
                    try await client.send(agent, "prompts", Payload(#"{"content":"after"}"#))
                }
            }()
            let event = try await events.next()
            #expect(event != nil)
            tally.isHeard.store(true, ordering: .relaxed)
            try await prompts
        }

        /// Until the request's message is in the queue.
        private static func waitForMessage(of actor: ActorAddress, _ client: ApusConnection) async throws {
            while true {
                let document = try? await client.describe(actor)
                if document?.text.contains(#""requests":1"#) == true { return }
            }
        }

        private static func actor(_ kind: String, _ key: String) throws -> ActorAddress {
            ActorAddress(kind: try ActorKind(kind), key: try ActorKey([key]))
        }

        private static func map(_ fixture: ClusterFixture) async throws -> RoutingMap {
            let answer = try await HTTPClient().send(.GET, "/cluster/map", port: fixture.all[0].port)
            return try RoutingMap.decode(Payload(answer.text))
        }

        /// An agent that the same node owns.
        private static func agent(
            beside other: ActorAddress, _ fixture: ClusterFixture
        ) async throws -> ActorAddress {
            let map = try await map(fixture)
            let owner = map.entries[Int(map.ring.partition(of: other).rawValue)].owner
            for number in 0..<1000 {
                let agent = try actor("agent", "a\(number)")
                if map.entries[Int(map.ring.partition(of: agent).rawValue)].owner == owner { return agent }
            }
            throw DeadlineExceeded(what: "an agent beside \(other)", limit: .zero)
        }

        private static func owner(of actor: ActorAddress, _ fixture: ClusterFixture) async throws -> Int {
            let map = try await map(fixture)
            let owner = map.entries[Int(map.ring.partition(of: actor).rawValue)].owner
            return try #require(fixture.all.firstIndex { UInt64($0.node) == owner?.rawValue })
        }
    }
}
