import Testing

/// What other implementations got wrong, and rules of the paper that are easily lost, step by step.
@Suite("Errata, step by step")
struct ErrataScriptTests {
    /// It has all entries, but what it has and says counts for nothing until it votes.
    @Test func aLearnerNeitherStandsNorCounts() {
        expect(
            """
            > cluster 3 1
            > elect 1
            1 leads t2
            > add 1 4
            1 accepts add 4 as 2/3
            > settle
            4 follows t2
            1 applies 2/3 members(1 2 3 + 4)
            2 applies 2/3 members(1 2 3 + 4)
            3 applies 2/3 members(1 2 3 + 4)
            4 restores 1/1
            4 applies 2/2 noop
            4 applies 2/3 members(1 2 3 + 4)
            > isolate 2
            > isolate 3
            > propose 1 a
            1 accepts a as 2/4
            > settle
            > show 1
            1 leads t2 leader 1 last 2/4 durable 4 commit 3 members(1 2 3 + 4)
            > timeout 4
            > tick 4 40
            > show 4
            4 follows t2 leader 1 last 2/4 durable 4 commit 3 members(1 2 3 + 4)
            """)
    }

    /// canonical/raft 250 and 323: a configuration counts from the moment that it is in the log, and no more
    /// once it is cut off.
    @Test func aConfigurationThatIsCutOffIsTakenBack() {
        expect(
            """
            > cluster 3 1
            > elect 1
            1 leads t2
            > isolate 1
            > add 1 4
            1 accepts add 4 as 2/3
            > show 1
            1 leads t2 leader 1 last 2/3 durable 3 commit 2 members(1 2 3 + 4)
            > crash 2 3
            > restart 2 3
            > elect 2
            2 leads t3
            > heal
            > propose 2 a
            2 accepts a as 3/4
            > tick 2
            > settle
            1 follows t3
            2 applies 3/4 a
            3 applies 3/4 a
            1 applies 3/3 noop
            1 applies 3/4 a
            > show 1
            1 follows t3 leader 2 last 3/4 durable 4 commit 4 members(1 2 3)
            """)
    }

    /// The same for a snapshot: it names the members as of its position, and not those of a change that is
    /// under way.
    @Test func aSnapshotNamesTheMembersOfItsPosition() {
        expect(
            """
            > cluster 3 1
            > elect 1
            1 leads t2
            > propose 1 a
            1 accepts a as 2/3
            > settle
            1 applies 2/3 a
            2 applies 2/3 a
            3 applies 2/3 a
            > isolate 1
            > add 1 4
            1 accepts add 4 as 2/4
            > compact 1
            > crash 1
            > restart 1
            > show 1
            1 follows t2 leader - last 2/4 durable 4 commit 3 members(1 2 3 + 4)
            > crash 2 3
            > restart 2 3
            > elect 2
            2 leads t3
            > heal
            > propose 2 b
            2 accepts b as 3/5
            > tick 2
            > settle
            1 follows t3
            2 applies 3/5 b
            3 applies 3/5 b
            1 applies 3/4 noop
            1 applies 3/5 b
            > show 1
            1 follows t3 leader 2 last 3/5 durable 5 commit 5 members(1 2 3)
            """)
    }

    /// Proposals that come together are one write, and as few messages as may carry them (batching).
    @Test func proposalsThatComeTogetherGoTogether() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > drop
            > propose 1 a b c
            1 accepts a as 2/3
            1 accepts b as 2/4
            1 accepts c as 2/5
            > deliver
            1>2 t2 append after 2/2 [2/3 a, 2/4 b] commit 2
            1>2 t2 append after 2/4 [2/5 c] commit 2
            1>3 t2 append after 2/2 [2/3 a, 2/4 b] commit 2
            1>3 t2 append after 2/4 [2/5 c] commit 2
            2>1 t2 accepted 4
            1 applies 2/3 a
            1 applies 2/4 b
            2>1 t2 accepted 5
            1 applies 2/5 c
            3>1 t2 accepted 4
            3>1 t2 accepted 5
            1>2 t2 append after 2/5 [] commit 4
            2 applies 2/3 a
            2 applies 2/4 b
            1>3 t2 append after 2/5 [] commit 4
            3 applies 2/3 a
            3 applies 2/4 b
            1>2 t2 append after 2/5 [] commit 5
            2 applies 2/5 c
            1>3 t2 append after 2/5 [] commit 5
            3 applies 2/5 c
            2>1 t2 accepted 5
            3>1 t2 accepted 5
            2>1 t2 accepted 5
            3>1 t2 accepted 5
            """)
    }

    /// Two stand at once and nobody wins; the term is spent, and a later one decides.
    @Test func splitVotesAreDecidedInALaterTerm() {
        expect(
            """
            > cluster 4
            > timeout 1
            1 asks before t2
            > timeout 2
            2 asks before t2
            > pass 1>3 1>4 2>3 2>4 3>1 4>1 3>2 4>2
            1 stands t2
            2 stands t2
            > pass 1>3 2>4
            3 follows t2
            4 follows t2
            > deliver
            1>2 t2 pre-vote? last 1/1
            2>1 t2 pre-vote? last 1/1
            1>2 t2 vote? last 1/1
            1>4 t2 vote? last 1/1
            2>1 t2 vote? last 1/1
            2>3 t2 vote? last 1/1
            3>1 t2 vote yes
            4>2 t2 vote yes
            2>1 t2 pre-vote no
            1>2 t2 pre-vote no
            2>1 t2 vote no
            4>1 t2 vote no
            1 follows t2
            1>2 t2 vote no
            3>2 t2 vote no
            2 follows t2
            > show
            1 follows t2 leader - last 1/1 durable 1 commit 1 members(1 2 3 4)
            2 follows t2 leader - last 1/1 durable 1 commit 1 members(1 2 3 4)
            3 follows t2 leader - last 1/1 durable 1 commit 1 members(1 2 3 4)
            4 follows t2 leader - last 1/1 durable 1 commit 1 members(1 2 3 4)
            > timeout 3
            3 asks before t3
            > settle
            3 stands t3
            1 follows t3
            2 follows t3
            4 follows t3
            3 leads t3
            3 applies 3/2 noop
            1 applies 3/2 noop
            2 applies 3/2 noop
            4 applies 3/2 noop
            """)
    }

    /// With pre-vote and check-quorum, who has the higher term could neither win nor be led: its answer must
    /// tell the leader of the term.
    @Test func aHigherTermIsNotLockedOut() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > propose 1 a
            1 accepts a as 2/3
            > settle
            1 applies 2/3 a
            2 applies 2/3 a
            3 applies 2/3 a
            > transfer 1 3
            > deliver 1>3
            1>3 t2 timeout-now
            3 stands t3
            > isolate 3
            > settle
            > show 3
            3 stands t3 leader - last 2/3 durable 3 commit 3 members(1 2 3)
            > propose 1 b
            1 refuses b: leadershipInTransfer
            > tick 1 10
            > settle
            > propose 1 b
            1 accepts b as 2/4
            > settle
            1 applies 2/4 b
            2 applies 2/4 b
            > heal
            > tick 1
            > deliver
            1>2 t2 append after 2/4 [] commit 4
            1>3 t2 append after 2/4 [] commit 4
            2>1 t2 accepted 4
            3>1 t3 rejected 4, hint 2/3
            1 follows t3
            > settle
            > tick 1 10
            > settle
            > timeout 1
            1 asks before t4
            > settle
            1 stands t4
            3 follows t4
            1 leads t4
            2 follows t4
            1 applies 4/5 noop
            2 applies 4/5 noop
            3 applies 2/4 b
            3 applies 4/5 noop
            > show
            1 leads t4 leader 1 last 4/5 durable 5 commit 5 members(1 2 3)
            2 follows t4 leader 1 last 4/5 durable 5 commit 5 members(1 2 3)
            3 follows t4 leader 1 last 4/5 durable 5 commit 5 members(1 2 3)
            """)
    }
}
