import Simulator
import Testing

/// Real hosts with real actors, workflows and messages in every process of a simulated cluster.
@Suite("Whole nodes in virtual time") struct WholeTests {
    private static let seeds = Budget.number("APUS_SIMULATION_WHOLE") ?? 16

    /// I1 to I20: replies, effects and messages after their commit, each request and message once, timers in
    /// time, each item of a queue until it is done, each result of a step once, and no money made or lost.
    @Test func nothingIsLostMadeOrDoneTwice() async {
        let seeds = Budget.from..<Budget.from + Self.seeds
        let (totals, failures) = await Budget.run(seeds) { SimulationSettings.whole(seed: $0) }
        for failure in failures.prefix(3) { Issue.record("\(failure)") }
        #expect(failures.isEmpty)
        print("\(totals.runs) whole plans, \(Int(totals.virtualSeconds)) virtual s, \(totals.acknowledged)")
        print("answers, \(totals.records) turns, \(totals.effects) effects; faults: \(totals.faultsByKind)")
        print(totals.routing)
        // Nothing is shown by clusters in which nothing happens.
        #expect(totals.acknowledged > totals.runs * 20)
        #expect(totals.records > totals.runs * 100)
        #expect(totals.effects > totals.runs * 5)
        #expect(totals.faults["clockJump", default: 0] > 0)
        #expect(totals.redirects > 0 && totals.timedOut > 0)
    }

    /// Everything follows from the seed, user code included: nothing of it runs on other threads, and no
    /// order depends on how dictionaries hash.
    @Test func theSameSeedDoesTheSame() throws {
        var hashes: Set<UInt64> = []
        // The second one has real files.
        for seed: UInt64 in [2, 4] {
            let settings = SimulationSettings.whole(seed: seed)
            let first = try Simulation.run(settings)
            #expect(try Simulation.run(settings) == first)
            hashes.insert(first.traceHash)
        }
        #expect(hashes.count == 2)
    }

    @Test func aFailingPlanShrinks() throws {
        var failing = SimulationSettings.whole(seed: 0)
        failing.leaveOut(rule: "host-remembered-requests")
        let all = try #require(violation(of: failing)).faults
        let smallest = Simulation.shrink(failing)
        #expect(violation(of: smallest) != nil)
        #expect(try #require(smallest.keptFaults).isSubset(of: all))
        #expect(smallest.command().contains("--whole --seed 0 --without host-remembered-requests --faults"))
    }

    private func violation(of settings: SimulationSettings) -> Violation? {
        do { _ = try Simulation.run(settings) } catch { return error }
        return nil
    }

    struct Case: CustomTestStringConvertible, Sendable {
        var rule: String
        /// The number of the invariant that notices.
        /// Any of them.
        var invariants: [String]
        /// Several times as many as it takes.
        var seeds: UInt64
        /// Plans that do not show it are left out, to save time.
        var from: UInt64 = 0
        var testDescription: String { rule }
    }

    static let cases = [
        Case(rule: "R17", invariants: ["I17"], seeds: 5),
        Case(rule: "disk-syncs", invariants: ["I17"], seeds: 30, from: 10),
        Case(rule: "host-outbox-after-commit", invariants: ["I17"], seeds: 20),
        Case(rule: "host-inbox-positions", invariants: ["I13"], seeds: 30),
        Case(rule: "host-remembered-requests", invariants: ["I12"], seeds: 10),
        Case(rule: "host-timers-in-time", invariants: ["I14"], seeds: 10),
        Case(rule: "host-wakes-due-actors", invariants: ["I14", "I15"], seeds: 60, from: 13),
        Case(rule: "host-recorded-steps", invariants: ["I16"], seeds: 10),
        Case(rule: "host-taken-with-record", invariants: ["I15"], seeds: 10),
        Case(rule: "client-newer-only", invariants: ["A60"], seeds: 60, from: 38),
        Case(rule: "clock-follows-jumps", invariants: ["I14"], seeds: 60, from: 23),
    ]

    /// Each rule of a host taken away must show.
    @Test(arguments: cases) func aMissingRuleIsCaught(example: Case) async {
        #expect(SimulationSettings.ruleNames.contains(example.rule))
        let found = await Budget.firstFailure(example.from..<example.from + example.seeds) { seed in
            var settings = SimulationSettings.whole(seed: seed)
            settings.leaveOut(rule: example.rule)
            return settings
        }
        guard let found else {
            Issue.record("nobody notices in \(example.seeds) seeds that \(example.rule) is missing")
            return
        }
        #expect(example.invariants.contains { found.violation.description.contains($0) })
        print("without \(example.rule), seed \(found.seed): \(found.violation)")
    }
}
