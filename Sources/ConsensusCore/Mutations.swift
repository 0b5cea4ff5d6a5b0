/// Rules that a test switches off, to see that it would notice (`cluster.md` 4.5). Empty in every program.
package struct Mutations: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Answers leave before what they promise is durable.
    package static let answersBeforeWrite = Mutations(rawValue: 1 << 0)
    /// A leader counts itself for entries that are not durable on it.
    package static let countsOwnUnwritten = Mutations(rawValue: 1 << 1)
    /// Entries of older terms are committed by counting (Raft, figure 8).
    package static let commitsOlderTerms = Mutations(rawValue: 1 << 2)
    /// A voter forgets that it voted in the term.
    package static let votesTwice = Mutations(rawValue: 1 << 3)
    /// A vote goes to a candidate whose log is behind.
    package static let votesForShorterLogs = Mutations(rawValue: 1 << 4)
    package static let noPreVote = Mutations(rawValue: 1 << 5)
    /// A leader stays without hearing a quorum.
    package static let noCheckQuorum = Mutations(rawValue: 1 << 6)
    /// Voters that hear a leader heed other candidates.
    package static let heedsDisruption = Mutations(rawValue: 1 << 7)
    /// A leader answers reads without asking whether it still leads.
    package static let readsWithoutRound = Mutations(rawValue: 1 << 8)
    /// A leader answers reads before it has committed in its term.
    package static let readsBeforeOwnTerm = Mutations(rawValue: 1 << 9)
    /// Members change before the leader has committed in its term.
    package static let changesBeforeOwnTerm = Mutations(rawValue: 1 << 10)
    /// Members change while a change is under way.
    package static let changesInParallel = Mutations(rawValue: 1 << 11)
    /// A node is the same voter under any store.
    package static let ignoresStores = Mutations(rawValue: 1 << 12)
    /// A follower drops what stands behind an append that it has already.
    package static let truncatesMatching = Mutations(rawValue: 1 << 13)
    /// A follower commits what the append did not prove to be the leader's.
    package static let commitsUnproven = Mutations(rawValue: 1 << 14)
    /// Voters change without those being asked who are to commit it.
    package static let changesUnasked = Mutations(rawValue: 1 << 15)
}
