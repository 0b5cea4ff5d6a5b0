import ProtocolModel
import Testing

/// A rule, and a scope that is just large enough to show what happens without it.
struct RuleCase: CustomTestStringConvertible, Sendable {
    let rule: Rules
    let scope: Scope
    /// The fewest steps that break a promise.
    let depth: Int

    init(_ rule: Rules, depth: Int, _ change: (inout Scope) -> Void) {
        self.rule = rule
        self.depth = depth
        // One write, two nodes, no faults.
        scope = Scope().with {
            ($0.nodes, $0.epochs, $0.logLength, $0.values, $0.crashes) = (2, 1, 1, 1, 0)
            change(&$0)
        }
    }

    var testDescription: String { rule.names }

    static let all: [RuleCase] = [
        RuleCase(.commitNeedsEveryMember, depth: 3) { $0.epochs = 2 },
        RuleCase(.isrThroughControlPlane, depth: 4) { $0.epochs = 2 },
        RuleCase(.maximalISR, depth: 7) { $0.epochs = 2 },
        RuleCase(.promoteFromISR, depth: 6) { $0.epochs = 2 },
        RuleCase(.oneLifePerEpoch, depth: 10) { ($0.crashes, $0.values) = (1, 2) },
        RuleCase(.acknowledgeAfterSync, depth: 6) { _ in },
        RuleCase(.truncateByMatch, depth: 9) { $0.crashes = 1 },
        RuleCase(.identitiesInChanges, depth: 13) { ($0.crashes, $0.wipes) = (1, 1) },
        RuleCase(.caughtUpPastEpochStart, depth: 9) { $0.epochs = 2 },
        RuleCase(.flushBeforeVouching, depth: 9) { $0.epochs = 2 },
        RuleCase(.grantsNameStore, depth: 11) { ($0.crashes, $0.wipes, $0.values) = (1, 1, 2) },
        RuleCase(.membersNameStore, depth: 14) {
            ($0.epochs, $0.crashes, $0.wipes, $0.values) = (2, 1, 1, 2)
        },
        RuleCase(.logEndIsNoProof, depth: 9) { ($0.crashes, $0.lostTails) = (1, 1) },
        RuleCase(.stopOnJournalError, depth: 8) { ($0.journalErrors, $0.values) = (1, 2) },
        RuleCase(.noGoingBack, depth: 12) { ($0.crashes, $0.images) = (2, 1) },
        RuleCase(.outputGate, depth: 1) { _ in },
        RuleCase(.epochIsDurable, depth: 12) { ($0.epochs, $0.crashes, $0.values) = (3, 1, 2) },
        RuleCase(.ownerShrinks, depth: 3) { ($0.epochs, $0.crashes, $0.wipes) = (2, 1, 1) },
        RuleCase(.asksBeforeItBegins, depth: 14) {
            ($0.epochs, $0.crashes, $0.values) = (2, 1, 2)
            ($0.images, $0.restoresImageOfSameLife) = (1, true)
        },
    ]
}

@Suite("Every rule of replication is needed", .serialized)
struct RuleTests {
    @Test func everyRuleHasItsCase() {
        #expect(RuleCase.all.reduce(into: Rules()) { $0.insert($1.rule) } == .all)
        #expect(RuleCase.all.count == Rules.all.rawValue.nonzeroBitCount)
    }

    @Test(arguments: RuleCase.all)
    func withoutTheRuleAPromiseIsBroken(example: RuleCase) throws {
        let rules = Rules.all.subtracting(example.rule)
        let report = Model(scope: example.scope, rules: rules).search(statesMax: 1_000_000)
        let found = try #require(
            report.counterexample, "\(example.rule.names) is not needed in its scope")
        print(
            "without \(example.rule.names): \(found.steps.count) steps, \(report.states) states;",
            "\(found.violation)")
        if Budget.printsTraces { print(found) }
        #expect(found.steps.count == example.depth)
        // Whoever follows the trace by hand comes to the same end.
        #expect(found.model.replay(found.steps) == found.violation)
        #expect(found.model.replay(found.steps.dropLast()) == nil)
    }

    @Test(arguments: RuleCase.all)
    func withAllRulesTheSameScopeKeepsEveryPromise(example: RuleCase) {
        let report = Model(scope: example.scope).search(statesMax: 1_000_000)
        if let found = report.counterexample { Issue.record("\(found)") }
        #expect(report.isExhausted)
        print("\(example.rule.names): all \(report.states) states of its scope, depth \(report.depth)")
    }

    /// R12, the hardest to find: an empty disk vouches under the name of the disk that it replaced.
    @Test func aTraceTellsWhatHappenedMessageByMessage() throws {
        let example = try #require(RuleCase.all.first { $0.rule == .membersNameStore })
        let model = Model(scope: example.scope, rules: .all.subtracting(example.rule))
        let found = try #require(model.search(statesMax: 1_000_000).counterexample)
        #expect(
            "\(found)" == """
                1. n0 takes a write, #1
                2. n0 sends n1 #1=v1@1 of epoch 1
                3. n0 flushes its log [v1@1]
                4. control plane promotes n1 to epoch 2, ISR {n0 n1}
                5. n1 begins to own epoch 2
                6. n1 takes a write, #1
                7. n1 sends n0 #1=v2@2 of epoch 2
                8. n1 crashes
                9. n1 gets an empty disk
                10. n1 starts and registers
                11. arrives: append #1=v1@1 of epoch 1, n0 to n1
                12. arrives: acknowledgement of #1 in epoch 1 by store 2, n1 to n0
                13. n0 commits what it can and answers its clients
                14. arrives: append #1=v2@2 of epoch 2, n1 to n0
                Then the acknowledged entry #1 is not on the disk of member n0.
                n0: follower, epoch 2, log [v2@2], disk [v2@2] of store 1
                n1: follower, epoch 1, log [v1@1], disk [v1@1] of store 2
                control plane: epoch 2, owner nobody, ISR {n0 n1}
                acknowledged: [v1@1]
                """)
    }
}
