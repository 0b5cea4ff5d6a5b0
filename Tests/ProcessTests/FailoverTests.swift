import Foundation
import Testing
import TimeAndChance

extension ProcessTests {
    @Suite("Failover", .serialized)
    struct FailoverTests {
        private static let rounds =
            ProcessInfo.processInfo.environment["APUS_ROUNDS"].flatMap { Int($0) } ?? 10

        /// R1 to R18 as far as real processes and SIGKILL can show them; W2, W3, W31, A12, A13 over a change
        /// of owner.
        @Test(
            "R1 R4 R5 R17 A12 A13 W2: nodes killed and stopped, others take over, nothing lost or doubled",
            .timeLimit(.minutes(10 + rounds / 2)))
        func killedAndPromoted() async throws {
            let environment = ProcessInfo.processInfo.environment
            let rounds = Self.rounds
            let seed = environment["APUS_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0..<1_000_000)
            let again = "APUS_SEED=\(seed) APUS_ROUNDS=\(rounds) swift test --filter killedAndPromoted"
            do {
                let verdict = try await ClusterFixture.with { fixture in
                    try await Self.trial(fixture, rounds: rounds, seed: seed)
                }
                print(
                    """
                    \(rounds) rounds of kill and failover, \(verdict.runs) runs (\(verdict.exhausted) out of \
                    attempts), \(verdict.changes) counter changes, \(verdict.effects) effects, \
                    \(verdict.repeated) repeated, \(verdict.lost) lost, \(verdict.doubled) doubled \
                    (seed \(seed))
                    """)
                for fault in verdict.faults.prefix(20) { Issue.record("\(fault.sentence); again: \(again)") }
                #expect(verdict.faults.isEmpty, "again: \(again)")
                #expect(verdict.contradictions.isEmpty, "again: \(again)")
                #expect(verdict.changes > rounds)
                #expect(verdict.runs > rounds / 2)
            } catch {
                Issue.record("\(error); again: \(again)")
            }
        }

        private static func trial(
            _ fixture: ClusterFixture, rounds: Int, seed: UInt64
        ) async throws -> Verdict {
            let load = Load(fixture, seed: seed)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await load.run() }
                group.addTask {
                    // However it ends: the load does not end by itself.
                    defer { load.finish() }
                    let client = HTTPClient()
                    var random = SplitMix64(seed: seed)
                    for number in 1...max(1, rounds) {
                        let victim = Int.random(in: 0..<fixture.all.count, using: &random)
                        // The random moments are what is tested; nothing is waited for.
                        try await Task.sleep(for: .milliseconds(Int.random(in: 100...400, using: &random)))
                        switch Int.random(in: 0..<4, using: &random) {
                        case 0:
                            try await fixture.kill(victim)
                            try await fixture.declareDown(client, victim)
                        // The cluster finds out by itself.
                        case 1:
                            try await fixture.kill(victim)
                            try await fixture.waitUntilDown(client, victim)
                        // It is back before anybody has found out.
                        case 2: try await fixture.kill(victim)
                        // It gives what it owns away first.
                        default: try await fixture.stop(victim)
                        }
                        try await Task.sleep(for: .milliseconds(Int.random(in: 0...400, using: &random)))
                        try await fixture.start(victim)
                        // The next death would otherwise meet partitions with one copy, which then wait.
                        try await fixture.waitUntilWhole(client)
                        if number % 20 == 0 { print("\(number) of \(rounds) rounds") }
                    }
                }
                // The first error ends the others.
                try await group.waitForAll()
            }
            return Verdict(try await load.evidence())
        }
    }
}
