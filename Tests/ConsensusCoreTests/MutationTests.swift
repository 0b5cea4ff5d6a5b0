import ConsensusCore
import Testing

/// Each rule of the protocol, switched off, is missed: by random faults within a budget of seeds here, or by
/// a script (`ScriptTests`).
@Suite("A rule switched off is missed")
struct MutationTests {
    struct Case: CustomTestStringConvertible {
        var name: String
        var mutation: Mutations
        /// Seeds to try, a few times what it takes.
        var budget: UInt64
        var testDescription: String { name }

        init(_ name: String, _ mutation: Mutations, _ budget: UInt64) {
            (self.name, self.mutation, self.budget) = (name, mutation, budget)
        }
    }

    static let cases = [
        Case("answers leave before the write", .answersBeforeWrite, 3000),
        Case("the leader counts what it has not written", .countsOwnUnwritten, 3000),
        Case("entries of older terms are counted", .commitsOlderTerms, 3000),
        Case("a voter votes twice", .votesTwice, 3000),
        Case("votes go to shorter logs", .votesForShorterLogs, 3000),
        Case("no pre-vote", .noPreVote, 3000),
        Case("no check-quorum", .noCheckQuorum, 3000),
        Case("disruption", .heedsDisruption, 3000),
        Case("reads without a round", .readsWithoutRound, 3000),
        Case("reads before the own term", .readsBeforeOwnTerm, 3000),
        Case("changes before own term", .changesBeforeOwnTerm, 3000),
        Case("a change while another is under way", .changesInParallel, 3000),
        Case("a wiped voter is taken for the old one", .ignoresStores, 3000),
        Case("late appends cut the log", .truncatesMatching, 3000),
        Case("followers commit what is not proven", .commitsUnproven, 3000),
    ]

    @Test(arguments: cases) func isCaught(_ mutant: Case) {
        for seed in 1...mutant.budget {
            let result = Simulation.run(seed: seed, mutations: mutant.mutation)
            if let first = result.violations.first {
                print("\(mutant.name): seed \(seed): \(first)")
                return
            }
        }
        Issue.record("\(mutant.name): nobody noticed in \(mutant.budget) seeds")
    }
}
