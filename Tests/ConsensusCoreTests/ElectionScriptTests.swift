import Testing

@Suite("Elections, step by step")
struct ElectionScriptTests {
    /// A pre-vote, a vote, and an entry of the own term.
    @Test func aLeaderIsElectedAndCommitsInItsTerm() {
        expect(
            """
            > cluster 3
            > timeout 1
            1 asks before t2
            > deliver
            1>2 t2 pre-vote? last 1/1
            1>3 t2 pre-vote? last 1/1
            2>1 t2 pre-vote yes
            1 stands t2
            3>1 t2 pre-vote yes
            1>2 t2 vote? last 1/1
            2 follows t2
            1>3 t2 vote? last 1/1
            3 follows t2
            2>1 t2 vote yes
            1 leads t2
            3>1 t2 vote yes
            1>2 t2 append after 1/1 [2/2 noop] commit 1
            1>3 t2 append after 1/1 [2/2 noop] commit 1
            2>1 t2 accepted 2
            1 applies 2/2 noop
            3>1 t2 accepted 2
            1>2 t2 append after 2/2 [] commit 2
            2 applies 2/2 noop
            1>3 t2 append after 2/2 [] commit 2
            3 applies 2/2 noop
            2>1 t2 accepted 2
            3>1 t2 accepted 2
            > tick 1
            > deliver
            1>2 t2 append after 2/2 [] commit 2
            1>3 t2 append after 2/2 [] commit 2
            2>1 t2 accepted 2
            3>1 t2 accepted 2
            > show
            1 leads t2 leader 1 last 2/2 durable 2 commit 2 members(1 2 3)
            2 follows t2 leader 1 last 2/2 durable 2 commit 2 members(1 2 3)
            3 follows t2 leader 1 last 2/2 durable 2 commit 2 members(1 2 3)
            """)
    }

    /// The answer waits for the write; a crash before it leaves no promise behind.
    @Test func aVoteLeavesOnceItIsOnDisk() {
        expect(
            """
            > cluster 3
            > timeout 1
            1 asks before t2
            > hold 2
            > deliver
            1>2 t2 pre-vote? last 1/1
            1>3 t2 pre-vote? last 1/1
            2>1 t2 pre-vote yes
            1 stands t2
            3>1 t2 pre-vote yes
            1>2 t2 vote? last 1/1
            2 follows t2
            1>3 t2 vote? last 1/1
            3 follows t2
            3>1 t2 vote yes
            1 leads t2
            1>2 t2 append after 1/1 [2/2 noop] commit 1
            1>3 t2 append after 1/1 [2/2 noop] commit 1
            3>1 t2 accepted 2
            1 applies 2/2 noop
            1>3 t2 append after 2/2 [] commit 2
            3 applies 2/2 noop
            3>1 t2 accepted 2
            > crash 2
            > restart 2
            > show 2
            2 follows t1 leader - last 1/1 durable 1 commit 1 members(1 2 3)
            > drop
            > timeout 3
            3 asks before t3
            > deliver 3>2
            3>2 t3 pre-vote? last 2/2
            > deliver 2>3
            2>3 t3 pre-vote yes
            3 stands t3
            > deliver 3>2
            3>2 t3 vote? last 2/2
            2 follows t3
            > deliver 2>3
            2>3 t3 vote yes
            3 leads t3
            > show
            1 leads t2 leader 1 last 2/2 durable 2 commit 2 members(1 2 3)
            2 follows t3 leader - last 1/1 durable 1 commit 1 members(1 2 3)
            3 leads t3 leader 3 last 3/3 durable 3 commit 2 members(1 2 3)
            """)
    }

    /// Before that nobody hears of the candidacy, and a single voter does not lead.
    @Test func aCandidateAsksOnceItsOwnVoteIsOnDisk() {
        expect(
            """
            > cluster 3
            > hold 1
            > timeout 1
            1 asks before t2
            > deliver 1>2
            1>2 t2 pre-vote? last 1/1
            > deliver 2>1
            2>1 t2 pre-vote yes
            1 stands t2
            > deliver 1>2
            > flush 1
            > deliver 1>2
            1>2 t2 vote? last 1/1
            2 follows t2
            > deliver 2>1
            2>1 t2 vote yes
            1 leads t2
            > show 1
            1 leads t2 leader 1 last 2/2 durable 2 commit 1 members(1 2 3)
            > cluster 1
            > hold 1
            > timeout 1
            1 stands t2
            > show
            1 stands t2 leader - last 1/1 durable 1 commit 1 members(1)
            > flush 1
            1 leads t2
            1 applies 2/2 noop
            > show
            1 leads t2 leader 1 last 2/2 durable 2 commit 2 members(1)
            """)
    }

    /// Leader completeness: the voters that have a committed entry refuse whoever lacks it.
    @Test func aShorterLogIsNotElected() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 3
            > propose 1 a
            1 accepts a as 2/3
            > settle
            1 applies 2/3 a
            2 applies 2/3 a
            > show
            1 leads t2 leader 1 last 2/3 durable 3 commit 3 members(1 2 3)
            2 follows t2 leader 1 last 2/3 durable 3 commit 3 members(1 2 3)
            3 follows t2 leader 1 last 2/2 durable 2 commit 2 members(1 2 3)
            > crash 1
            > heal
            > restart 2
            > timeout 3
            3 asks before t3
            > deliver
            3>1 t3 pre-vote? last 2/2 (lost)
            3>2 t3 pre-vote? last 2/2
            2>3 t2 pre-vote no
            > elect 2
            2 leads t3
            > show
            1 is down
            2 leads t3 leader 2 last 3/4 durable 4 commit 4 members(1 2 3)
            3 follows t3 leader 2 last 3/4 durable 4 commit 4 members(1 2 3)
            """)
    }

    /// The same without the rule.
    @Test func withoutTheOrderOfLogsACommittedEntryIsLost() {
        expect(
            """
            > without log-order
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 3
            > propose 1 a
            1 accepts a as 2/3
            > settle
            1 applies 2/3 a
            2 applies 2/3 a
            > crash 1
            > heal
            > restart 2
            > timeout 3
            3 asks before t3
            > settle
            3 stands t3
            2 follows t3
            3 leads t3
            2 applies 2/2 noop
            3 applies 3/3 noop
            2 applies 3/3 noop
            VIOLATION leader completeness: 3, leader of term 3, lacks 2/3
            """)
    }

    /// Pre-vote: an isolated voter's term stays, and its return changes nothing.
    @Test func whoWasCutOffDoesNotDisturb() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 3
            > timeout 3
            3 asks before t3
            > tick 3 40
            > show 3
            3 asks before t3 leader - last 2/2 durable 2 commit 2 members(1 2 3)
            > drop
            > heal
            > tick 1
            > deliver
            1>2 t2 append after 2/2 [] commit 2
            1>3 t2 append after 2/2 [] commit 2
            3 follows t2
            2>1 t2 accepted 2
            3>1 t2 accepted 2
            > show
            1 leads t2 leader 1 last 2/2 durable 2 commit 2 members(1 2 3)
            2 follows t2 leader 1 last 2/2 durable 2 commit 2 members(1 2 3)
            3 follows t2 leader 1 last 2/2 durable 2 commit 2 members(1 2 3)
            """)
    }

    /// The same without pre-vote.
    @Test func withoutPreVoteAReturnDeposesTheLeader() {
        expect(
            """
            > without pre-vote
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 3
            > timeout 3
            3 stands t3
            > tick 3 20
            3 stands t4
            > drop
            > heal
            > tick 1
            > deliver
            1>2 t2 append after 2/2 [] commit 2
            1>3 t2 append after 2/2 [] commit 2
            2>1 t2 accepted 2
            3>1 t4 rejected 2, hint 2/2
            1 follows t4
            > show 1
            1 follows t4 leader - last 2/2 durable 2 commit 2 members(1 2 3)
            """)
    }

    /// Who hears a leader heeds no other candidate (Raft, section 6).
    @Test func aRemovedVoterDoesNotDisturb() {
        expect(
            """
            > without pre-vote
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 3
            > remove 1 3
            > settle
            1 accepts remove 3 as 2/3
            1 applies 2/3 members(1 2)
            2 applies 2/3 members(1 2)
            > drop
            > heal
            > timeout 3
            3 stands t3
            > deliver
            3>1 t3 vote? last 2/2
            3>2 t3 vote? last 2/2
            > show
            1 leads t2 leader 1 last 2/3 durable 3 commit 3 members(1 2)
            2 follows t2 leader 1 last 2/3 durable 3 commit 3 members(1 2)
            3 stands t3 leader - last 2/2 durable 2 commit 2 members(1 2 3)
            """)
    }

    /// The same, where voters that hear a leader heed candidates.
    @Test func withoutStickinessARemovedVoterDeposesTheLeader() {
        expect(
            """
            > without pre-vote
            > without stickiness
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 3
            > remove 1 3
            > settle
            1 accepts remove 3 as 2/3
            1 applies 2/3 members(1 2)
            2 applies 2/3 members(1 2)
            > drop
            > heal
            > timeout 3
            3 stands t3
            > deliver
            3>1 t3 vote? last 2/2
            1 follows t3
            3>2 t3 vote? last 2/2
            2 follows t3
            1>3 t3 vote no
            2>3 t3 vote no
            3 follows t3
            > show 1
            1 follows t3 leader - last 2/3 durable 3 commit 3 members(1 2)
            """)
    }

    /// Check-quorum.
    @Test func aLeaderThatHearsNoQuorumStepsDown() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 1
            > tick 1 10
            > tick 1 10
            1 follows t2
            > show 1
            1 follows t2 leader - last 2/2 durable 2 commit 2 members(1 2 3)
            > propose 1 a
            1 refuses a: no leader
            """)
    }

    /// The same without the rule.
    @Test func withoutCheckQuorumItStays() {
        expect(
            """
            > without check-quorum
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 1
            > tick 1 40
            > show 1
            1 leads t2 leader 1 last 2/2 durable 2 commit 2 members(1 2 3)
            > propose 1 a
            1 accepts a as 2/3
            """)
    }

    /// The target is told once it has everything, and does not wait for a timeout.
    @Test func aTransferHasNoPause() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > propose 1 a
            1 accepts a as 2/3
            > drop
            > transfer 1 2
            > propose 1 b
            1 refuses b: leadershipInTransfer
            > tick 1
            > deliver
            1>2 t2 append after 2/3 [] commit 2
            1>3 t2 append after 2/3 [] commit 2
            2>1 t2 rejected 3, hint 2/2
            3>1 t2 rejected 3, hint 2/2
            1>2 t2 append after 2/2 [2/3 a] commit 2
            1>3 t2 append after 2/2 [2/3 a] commit 2
            2>1 t2 accepted 3
            1 applies 2/3 a
            3>1 t2 accepted 3
            1>2 t2 timeout-now
            2 stands t3
            1>2 t2 append after 2/3 [] commit 3
            1>3 t2 append after 2/3 [] commit 3
            3 applies 2/3 a
            2>1 t3 vote? last 2/3 (transfer)
            1 follows t3
            2>3 t3 vote? last 2/3 (transfer)
            3 follows t3
            2>1 t3 rejected 3, hint 2/3
            3>1 t2 accepted 3
            1>2 t3 vote yes
            2 leads t3
            3>2 t3 vote yes
            2>1 t3 append after 2/3 [3/4 noop] commit 2
            2>3 t3 append after 2/3 [3/4 noop] commit 2
            1>2 t3 accepted 4
            2 applies 2/3 a
            2 applies 3/4 noop
            3>2 t3 accepted 4
            2>1 t3 append after 3/4 [] commit 4
            1 applies 3/4 noop
            2>3 t3 append after 3/4 [] commit 4
            3 applies 3/4 noop
            1>2 t3 accepted 4
            3>2 t3 accepted 4
            > show
            1 follows t3 leader 2 last 3/4 durable 4 commit 4 members(1 2 3)
            2 leads t3 leader 2 last 3/4 durable 4 commit 4 members(1 2 3)
            3 follows t3 leader 2 last 3/4 durable 4 commit 4 members(1 2 3)
            """)
    }

    /// After an election time the leader takes proposals again.
    @Test func aLostTransferIsGivenUp() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 2
            > transfer 1 2
            > transfer 1 1
            1 refuses transfer to 1: isLeader
            > propose 1 a
            1 refuses a: leadershipInTransfer
            > tick 1 9
            > propose 1 b
            1 refuses b: leadershipInTransfer
            > settle
            > tick 1
            > settle
            > propose 1 c
            1 accepts c as 2/3
            > settle
            1 applies 2/3 c
            3 applies 2/3 c
            > show 1
            1 leads t2 leader 1 last 2/3 durable 3 commit 3 members(1 2 3)
            """)
    }
}
