import ConsensusCore
import Testing

/// Each rule of the protocol, switched off, is missed (`cluster.md` 4.5): by random faults within a budget of
/// seeds here, and those that need a rare schedule by a script (`withoutTheOwnTermRuleQuorumsDoNotMeet`).
@Suite("A rule switched off is missed")
struct MutationTests {
    struct Mutant: CustomTestStringConvertible {
        var testDescription: String
        var mutation: Mutations
        /// The words that the violation begins with.
        var violation: String

        init(_ description: String, _ mutation: Mutations, _ violation: String) {
            (testDescription, self.mutation, self.violation) = (description, mutation, violation)
        }
    }

    /// Several times what the slowest takes.
    static let seedsMax: UInt64 = 400

    static let mutants = [
        Mutant("answers leave before the write", .answersBeforeWrite, "durability"),
        Mutant("a leader counts what it has not written", .countsOwnUnwritten, "leader completeness"),
        Mutant("a voter votes twice", .votesTwice, "votes"),
        Mutant("votes go to shorter logs", .votesForShorterLogs, "leader completeness"),
        Mutant("reads are answered without a round", .readsWithoutRound, "linearizable reads"),
        Mutant("reads are answered before the own term", .readsBeforeOwnTerm, "linearizable reads"),
        Mutant("a wiped voter is taken for the old one", .ignoresStores, "leader completeness"),
        Mutant("late appends cut the log", .truncatesMatching, ""),
        Mutant("followers commit what is not proven", .commitsUnproven, "state-machine safety"),
    ]

    @Test(arguments: mutants) func isCaught(_ mutant: Mutant) {
        for seed in 1...Self.seedsMax {
            let result = Simulation.run(seed: seed, mutations: mutant.mutation)
            if result.violations.contains(where: { $0.hasPrefix(mutant.violation) }) { return }
        }
        Issue.record("nobody noticed in \(Self.seedsMax) seeds")
    }
}
