import Foundation
import NIOCore
import NIOHTTP1
import Testing

extension ProcessTests {
    /// What every cluster meets one day, with real processes and TLS, by name: docs/guarantees.md lists them.
    @Suite("Named situations", .serialized, .timeLimit(.minutes(5)))
    struct SituationTests {
        private let client = HTTPClient()

        // MARK: Beginnings

        @Test(
            "D29: nodes that start at the same moment, and a cluster that is started twice and at two nodes")
        func startedTwice() async throws {
            var setup = ClusterFixture.Setup()
            setup.isFormed = false
            setup.founding = #"{"partitions": 16}"#
            try await ClusterFixture.with(setup) { fixture in
                // They started at the same moment, and nobody founded anything by itself.
                for member in fixture.all {
                    let answer = try await client.send(.GET, "/cluster", port: member.port)
                    #expect(answer.json["member"] as? Bool == false, "\(answer.text)")
                }
                let founded = try await Self.found(fixture, at: [0, 0, 0, 1, 1])
                #expect(founded.clusters.count == 2 && founded.clusters[0] != founded.clusters[1])
                #expect(founded.refusals.count == 3)
                for refusal in founded.refusals { #expect(refusal.contains("already"), "\(refusal)") }
                try await stayApart(fixture, founded.clusters)
                // The one too many is given up: its node starts with an empty directory, and joins at the
                // same moment as the third one.
                try await fixture.kill(1)
                try FileManager.default.removeItem(atPath: fixture.all[1].data)
                try await fixture.start(1)
                let token = try await fixture.token(client)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for member in fixture.all.dropFirst() {
                        group.addTask { try await fixture.join(HTTPClient(), member, with: token) }
                    }
                    try await group.waitForAll()
                }
                try await fixture.waitUntilWhole(client)
                var nodes: Set<Int> = []
                for member in fixture.all {
                    let answer = try await client.send(.GET, "/cluster", port: member.port)
                    #expect(answer.json["cluster"] as? String == founded.clusters[0])
                    nodes.insert(answer.json["node"] as? Int ?? 0)
                }
                #expect(nodes.count == 3)
                let counting = Counting(fixture)
                for node in fixture.all.indices { try await counting.goOn(at: [node]) }
                try await counting.check()
            }
        }

        /// Founds a cluster at each of the nodes at the same moment.
        private static func found(
            _ fixture: ClusterFixture, at nodes: [Int]
        ) async throws -> (clusters: [String], refusals: [String]) {
            let answers = try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
                for node in nodes {
                    group.addTask {
                        let port = fixture.all[node].port
                        let body = fixture.setup.founding
                        return (
                            node, try await HTTPClient().send(.POST, "/cluster/init", body, port: port)
                        )
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let founded = answers.filter { $0.1.status == 200 }.sorted { $0.0 < $1.0 }
            return (
                founded.compactMap { $0.1.json["cluster"] as? String },
                answers.filter { $0.1.status != 200 }.map(\.1.text)
            )
        }

        /// Two clusters that were founded never become one, and the member of one is none of the other.
        private func stayApart(_ fixture: ClusterFixture, _ clusters: [String]) async throws {
            let token = try await fixture.token(client)
            let body = #"{"seed": "127.0.0.1:\#(fixture.all[0].port)", "token": "\#(token)"}"#
            let answer = try await client.send(.POST, "/cluster/join", body, port: fixture.all[1].port)
            #expect(answer.status == 409 && answer.text.contains("empty data directory"), "\(answer.text)")
            for index in 0...1 {
                let now = try await client.send(.GET, "/cluster", port: fixture.all[index].port)
                #expect(now.json["cluster"] as? String == clusters[index], "\(now.text)")
                #expect(now.json["nodesUp"] as? Int ?? 0 <= 1, "\(now.text)")
            }
        }

        // MARK: Cuts, power, and a long absence

        @Test("D14 D22 D24 D25: halves, thirds, a mute and a deaf node, no power, a node back after long")
        func cutsAndPower() async throws {
            var setup = ClusterFixture.Setup()
            setup.hasNetwork = true
            setup.founding = #"{"partitions": 16}"#
            setup.arguments = ["--journal-mib", "1"]
            setup.log = "info"
            try await ClusterFixture.with(setup) { fixture in
                let counting = Counting(fixture)
                let attempted = Counting(fixture, "attempted")
                try await counting.goOn(at: [0, 1, 2])
                // A majority of two goes on without the third, which serves nothing. The first one leads the
                // control plane and owns most.
                try await cut(fixture, counting, attempted, "cut n0 *", lonely: [0], isLong: true)
                // The journals do not reach back far enough: it gets whole partitions, and says so.
                let returned = try #require(fixture.all[0].process)
                _ = try await returned.line(containing: ": installed", within: .seconds(60))
                // What the node that was away so long has got is served by it now.
                try await cut(fixture, counting, attempted, "set n1 * cut", lonely: [1])
                try await cut(fixture, counting, attempted, "set * n2 cut", lonely: [2])
                try await cut(fixture, counting, attempted, "cut * *", lonely: [0, 1, 2])
                try await powerCut(fixture, counting)
            }
        }

        private func cut(
            _ fixture: ClusterFixture, _ counting: Counting, _ attempted: Counting, _ command: String,
            lonely: [Int], isLong: Bool = false
        ) async throws {
            let network = try #require(fixture.network)
            try await network.tell(command)
            let others = fixture.all.indices.filter { !lonely.contains($0) }
            async let attempt = attempted.attempt(at: lonely, within: .seconds(3))
            // Whatever the lonely node owned has another owner when this returns.
            if !others.isEmpty { try await counting.goOn(at: others) }
            if isLong { try await forget(fixture, counting, at: others) }
            let (served, keys) = await attempt
            #expect(served.isEmpty, "during \(command)")
            try await network.tell("heal")
            try await fixture.waitUntilWhole(client, isSupervised: true)
            try await attempted.make(keys)
            try await attempted.check()
            for node in fixture.all.indices { try await counting.goOn(at: [node]) }
            try await counting.check()
        }

        /// SIGKILL to all at once, in the middle of calls.
        private func powerCut(_ fixture: ClusterFixture, _ counting: Counting) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await counting.goOnUntilFinished() }
                group.addTask {
                    defer { counting.finish() }
                    try await Self.wait(for: counting.total + 40, counting)
                    try await fixture.killAll()
                    try await fixture.startAll()
                    try await Self.wait(for: counting.total + 40, counting)
                }
                try await group.waitForAll()
            }
            try await fixture.waitUntilWhole(client)
            try await counting.check()
        }

        private static func wait(for total: Int, _ counting: Counting) async throws {
            let limit = Duration.seconds(60)
            let deadline = ContinuousClock.now + limit
            while counting.total < total {
                guard ContinuousClock.now < deadline else {
                    throw DeadlineExceeded(what: "\(total) changes, not \(counting.total)", limit: limit)
                }
                try await Task.sleep(for: .milliseconds(5))
            }
        }

        /// The others write several times what their journals keep, so that the node that is away gets whole
        /// partitions when it is back.
        private func forget(_ fixture: ClusterFixture, _ counting: Counting, at others: [Int]) async throws {
            let filling = String(repeating: "x", count: 60_000)
            // In rounds: journals forget what has reached the tables when more is written.
            for round in 0..<4 {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for actor in 0..<32 {
                        group.addTask {
                            let answer = try await fixture.settle(
                                HTTPClient(), .POST, "/actors/agent/f\(actor)/queues/prompts",
                                #"{"body": {"content": "\#(filling)"}}"#, key: "f\(round)", at: others)
                            #expect(answer.status == 200, "\(answer.text.prefix(200))")
                        }
                    }
                    try await group.waitForAll()
                }
                try await counting.goOn(at: others)
            }
        }
    }
}
