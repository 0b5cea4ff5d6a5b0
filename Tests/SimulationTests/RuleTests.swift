import Simulator
import Testing

/// Each rule taken away must show (`cluster.md` 4.5). The others, which no schedule of whole clusters
/// breaks in reasonable time, are searched for by `ProtocolModelTests` and by the cores' own tests: see
/// docs/simulation.md.
@Suite("Clusters without one of their rules") struct RuleTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var rule: String
        /// Where it is some way to the first violation, the search begins near it. A change of what is
        /// simulated moves that, which costs time and not the verdict.
        var from: UInt64 = 0
        /// Several times as many as it takes.
        var seeds: UInt64
        var testDescription: String { rule }
    }

    static let cases = [
        Case(rule: "R1", from: 5, seeds: 20), Case(rule: "R2", from: 18, seeds: 150),
        Case(rule: "R3", from: 61, seeds: 150),
        Case(rule: "R4", from: 6, seeds: 60), Case(rule: "R5", from: 105, seeds: 700),
        Case(rule: "R6", seeds: 20),
        Case(rule: "R7", from: 49, seeds: 150), Case(rule: "R8", from: 87, seeds: 900),
        Case(rule: "R10", from: 30, seeds: 150), Case(rule: "R11", from: 85, seeds: 250),
        Case(rule: "R12", from: 32, seeds: 150), Case(rule: "R15", from: 139, seeds: 900),
        Case(rule: "R16", from: 8, seeds: 60), Case(rule: "R17", seeds: 20),
        Case(rule: "R18", from: 176, seeds: 900), Case(rule: "R19", from: 139, seeds: 600),
        Case(rule: "R20", from: 37, seeds: 120),
        Case(rule: "raft-answers-before-write", from: 12, seeds: 400),
        Case(rule: "raft-votes-twice", from: 40, seeds: 500),
        Case(rule: "raft-votes-for-shorter-logs", from: 6, seeds: 50),
        Case(rule: "raft-ignores-stores", from: 25, seeds: 600),
        Case(rule: "raft-commits-unproven", seeds: 150),
        Case(rule: "raft-changes-unasked", from: 5_456, seeds: 300),
    ]

    @Test(arguments: cases) func isCaught(example: Case) async {
        #expect(SimulationSettings.ruleNames.contains(example.rule))
        let found = await Budget.firstFailure(example.from..<example.from + example.seeds) { seed in
            var settings = SimulationSettings.swarm(seed: seed)
            settings.leaveOut(rule: example.rule)
            return settings
        }
        if let found { return print("without \(example.rule), seed \(found.seed): \(found.violation)") }
        let seeds = "\(example.seeds) seeds from \(example.from)"
        Issue.record("nobody notices in \(seeds) that \(example.rule) is missing")
    }
}
