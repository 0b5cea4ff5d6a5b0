import ProtocolModel
import Testing

/// A scope that is too large to be searched to its end in every run.
struct LargeScope: CustomTestStringConvertible, Sendable {
    let name: String
    let scope: Scope

    init(_ name: String, _ change: (inout Scope) -> Void) {
        self.name = name
        scope = Scope().with(change)
    }

    var testDescription: String { name }

    static let all: [LargeScope] = [
        LargeScope("two nodes, three epochs") {
            ($0.nodes, $0.logLength, $0.values, $0.wipes) = (2, 1, 2, 1)
        },
        LargeScope("two nodes, longer logs") { ($0.nodes, $0.wipes) = (2, 1) },
        LargeScope("two of three nodes are members") {
            ($0.epochs, $0.logLength, $0.values, $0.wipes) = (2, 1, 2, 1)
        },
        LargeScope("three members") {
            ($0.members, $0.epochs, $0.logLength, $0.values, $0.wipes) = (3, 2, 1, 2, 1)
        },
        LargeScope("every fault") {
            ($0.crashes, $0.wipes, $0.images, $0.lostTails) = (3, 1, 1, 1)
            ($0.epochs, $0.logLength, $0.values, $0.messages, $0.additions) = (4, 3, 4, 3, 2)
        },
    ]

    /// What random walks roam: all faults, many times.
    static let roomy: [LargeScope] =
        [UInt8(2), 3].map { members in
            LargeScope("ISR of \(members)") {
                ($0.members, $0.epochs, $0.logLength, $0.values) = (members, 6, 3, 6)
                ($0.messages, $0.additions) = (4, 5)
                ($0.crashes, $0.wipes, $0.images, $0.lostTails) = (5, 2, 1, 1)
            }
        } + [
            LargeScope("images of the same life") {
                ($0.epochs, $0.logLength, $0.values) = (6, 3, 6)
                ($0.messages, $0.additions) = (4, 5)
                ($0.crashes, $0.wipes, $0.images, $0.restoresImageOfSameLife) = (5, 1, 3, true)
            }
        ]
}

@Suite("With all rules every promise is kept", .serialized)
struct SearchTests {
    @Test(arguments: LargeScope.all)
    func breadthFirst(large: LargeScope) {
        let report = Model(scope: large.scope).search(statesMax: Budget.states)
        let extent = report.isExhausted ? "all" : "the first"
        print(
            "\(large.name): \(extent) \(report.states) states, \(report.transitions) steps,",
            "depth \(report.depth)")
        guard let found = report.counterexample else { return }
        Issue.record(
            """
            \(found)
            Again: APUS_MODEL_STATES=\(report.states) swift test --filter ProtocolModelTests.SearchTests
            """)
    }

    @Test(arguments: LargeScope.roomy)
    func randomWalks(large: LargeScope) {
        let report = Model(scope: large.scope).walk(count: Budget.walks, seed: Budget.seed)
        print("\(large.name): \(report.walks) walks, \(report.steps) steps, from seed \(Budget.seed)")
        guard let found = report.counterexample, let seed = report.seed else { return }
        Issue.record(
            """
            \(found)
            Again: APUS_MODEL_SEED=\(seed) APUS_MODEL_WALKS=1 APUS_MODEL_STATES=1 swift test \
            --filter ProtocolModelTests.SearchTests
            """)
    }

    /// Walks find what they should find; R12, R18 and R20 hide from them, which is why there is a search.
    @Test(arguments: RuleCase.all)
    func walksFindMostMissingRules(example: RuleCase) {
        let model = Model(scope: example.scope, rules: .all.subtracting(example.rule))
        let report = model.walk(count: 20000, seed: 1)
        let hides = [Rules.membersNameStore, .epochIsDurable, .asksBeforeItBegins].contains(example.rule)
        #expect((report.counterexample == nil) == hides)
        guard let found = report.counterexample else { return }
        print(
            "without \(example.rule.names): found by walk \(report.walks) in \(found.steps.count) steps")
        #expect(model.replay(found.steps) == found.violation)
    }

    @Test func equalSeedsWalkAlike() {
        let model = Model(scope: LargeScope.roomy[0].scope)
        #expect(model.walk(count: 20, seed: 7).steps == model.walk(count: 20, seed: 7).steps)
        #expect(model.walk(count: 20, seed: 7).steps != model.walk(count: 20, seed: 8).steps)
    }
}
