import Foundation
import Testing
import TimeAndChance

/// Tests with the real programs as processes; one after the other, as they want the whole machine.
@Suite("The programs as processes", .serialized)
enum ProcessTests {}

extension ProcessTests {
    @Suite("SIGKILL under load", .serialized)
    struct SigkillTests {
        /// W2: no completed step again. W3: records whole or not at all. W10: effects at least once. W13:
        /// attempts counted. W31, W33: no message lost or taken twice. A12: what was seen stays. A13: no
        /// request twice. R6: what was acknowledged is on disk.
        @Test(
            "W2 W3 W10 W13 W31 W33 A12 A13 R6: a node killed again and again loses and doubles nothing",
            .timeLimit(.minutes(10)))
        func killedUnderLoad() async throws {
            let environment = ProcessInfo.processInfo.environment
            let kills = environment["APUS_KILLS"].flatMap { Int($0) } ?? 200
            let seed = environment["APUS_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0..<1_000_000)
            let again = "APUS_SEED=\(seed) APUS_KILLS=\(kills) swift test --filter killedUnderLoad"
            do {
                // Most of a trial is waiting for a start: two nodes share the kills, side by side.
                let halves = [kills - kills / 2, kills / 2].filter { $0 > 0 }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (index, kills) in halves.enumerated() {
                        group.addTask {
                            let (verdict, starting) = try await ProcessFixture.with { fixture in
                                try await Self.trial(fixture, kills: kills, seed: seed &+ UInt64(index))
                            }
                            Self.judge(verdict, kills: kills, starting, again: again)
                        }
                    }
                    try await group.waitForAll()
                }
            } catch {
                Issue.record("\(error); again: \(again)")
            }
        }

        private static func judge(_ verdict: Verdict, kills: Int, _ starting: Duration, again: String) {
            print(
                """
                \(kills) kills, \(verdict.runs) runs (\(verdict.exhausted) out of attempts), \
                \(verdict.changes) counter changes, \(verdict.effects) effects, \
                \(verdict.repeated) repeated, \(verdict.lost) lost, \(verdict.doubled) doubled; \
                a start took \(starting) (\(again))
                """)
            for fault in verdict.faults.prefix(20) { Issue.record("\(fault.sentence); again: \(again)") }
            #expect(verdict.faults.isEmpty, "again: \(again)")
            #expect(verdict.contradictions.isEmpty, "again: \(again)")
            #expect(verdict.changes > kills)
            #expect(verdict.runs > kills / 2)
            #expect(verdict.repeated > 0 || kills < 50, "no kill met an effect in flight")
            #expect(verdict.exhausted <= verdict.runs / 20)
        }

        /// - Returns: what the evidence says, and how long a start took in the mean.
        private static func trial(
            _ fixture: ProcessFixture, kills: Int, seed: UInt64
        ) async throws -> (Verdict, Duration) {
            try await fixture.startNode()
            let load = Load(fixture, seed: seed)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await load.run() }
                group.addTask {
                    // However it ends: the load does not end by itself.
                    defer { load.finish() }
                    var random = SplitMix64(seed: seed)
                    for number in 1...max(1, kills) {
                        // The random moment is what is tested; nothing is waited for.
                        let pause = Int.random(in: 100...500, using: &random)
                        try await Task.sleep(for: .milliseconds(pause))
                        try await fixture.killNode()
                        try await fixture.startNode()
                        if number % 50 == 0 { print("\(number) of \(kills) kills") }
                    }
                }
                // The first error ends the others.
                try await group.waitForAll()
            }
            // What everybody has seen must be there in one more life.
            try await fixture.killNode()
            try await fixture.startNode()
            return (Verdict(try await load.evidence()), fixture.meanStart)
        }
    }
}
