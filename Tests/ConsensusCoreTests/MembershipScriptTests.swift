import Testing

@Suite("Members, step by step")
struct MembershipScriptTests {
    /// Learner first; one change at a time; a voter when it has what is committed.
    @Test func aLearnerJoinsCatchesUpAndVotes() {
        expect(
            """
            > cluster 1 1
            > elect 1
            1 leads t2
            > propose 1 a
            1 accepts a as 2/3
            1 applies 2/3 a
            > settle
            > promote 1 2
            1 refuses promote 2: notALearner
            > add 1 2
            1 accepts add 2 as 2/4
            1 applies 2/4 members(1 + 2)
            > add 1 2
            1 refuses add 2: nodeIsAMember
            > promote 1 2
            1 refuses promote 2: learnerBehind
            > settle
            2 follows t2
            2 restores 1/1
            2 applies 2/2 noop
            2 applies 2/3 a
            2 applies 2/4 members(1 + 2)
            > propose 1 b
            1 accepts b as 2/5
            1 applies 2/5 b
            > drop
            > promote 1 2
            1 refuses promote 2: learnerBehind
            > tick 1
            > deliver
            1>2 t2 append after 2/5 [] commit 5
            2>1 t2 rejected 5, hint 2/4
            1>2 t2 append after 2/4 [2/5 b] commit 5
            2 applies 2/5 b
            2>1 t2 accepted 5
            > promote 1 2
            > settle
            1 accepts promote 2 as 2/6
            1 applies 2/6 members(1 2)
            2 applies 2/6 members(1 2)
            > show
            1 leads t2 leader 1 last 2/6 durable 6 commit 6 members(1 2)
            2 follows t2 leader 1 last 2/6 durable 6 commit 6 members(1 2)
            """)
    }

    /// It hands over first; then it can leave.
    @Test func theLeaderIsNotRemoved() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > remove 1 1
            1 refuses remove 1: isLeader
            > transfer 1 2
            > settle
            2 stands t3
            1 follows t3
            3 follows t3
            2 leads t3
            2 applies 3/3 noop
            1 applies 3/3 noop
            3 applies 3/3 noop
            > remove 2 1
            > settle
            2 accepts remove 1 as 3/4
            2 applies 3/4 members(2 3)
            3 applies 3/4 members(2 3)
            > show 2
            2 leads t3 leader 2 last 3/4 durable 4 commit 4 members(2 3)
            > remove 2 1
            2 refuses remove 1: notAMember
            """)
    }

    /// Of three voters one was not heard of lately. Without the second, the leader could not even commit the
    /// second one's removal, and it could not help any more when it came back.
    @Test func nobodyIsRemovedWhoIsNeeded() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 3
            > quietly tick 1 8
            > quietly settle
            > quietly tick 1 8
            > quietly settle
            > remove 1 2
            1 refuses remove 2: quorumSilent
            > remove 1 3
            > settle
            1 accepts remove 3 as 2/3
            1 applies 2/3 members(1 2)
            2 applies 2/3 members(1 2)
            > show 1
            1 leads t2 leader 1 last 2/3 durable 3 commit 3 members(1 2)
            """)
    }

    /// The own-term rule (raft-dev, 2015): a new leader changes nothing before it has committed.
    @Test func twoLeadersDoNotChangeMembersApart() {
        expect(
            """
            > cluster 4 1
            > elect 1
            1 leads t2
            > add 1 5
            1 accepts add 5 as 2/3
            > quietly settle
            > promote 1 5
            > pass 1>2 2>1 1>5 5>1
            1 accepts promote 5 as 2/4
            > deliver 1>5
            1>5 t2 append after 2/3 [2/4 members(1 2 3 4 5)] commit 3 round 1
            > drop
            > show 1
            1 leads t2 leader 1 last 2/4 durable 4 commit 3 members(1 2 3 4 5)
            > restart 3 4
            > timeout 2
            2 asks before t3
            > pass 2>3 2>4 3>2 4>2 2>3 2>4 3>2 4>2
            2 stands t3
            3 follows t3
            4 follows t3
            2 leads t3
            > show 2
            2 leads t3 leader 2 last 3/4 durable 4 commit 3 members(1 2 3 4 + 5)
            > remove 2 1
            2 refuses remove 1: termNotCommitted
            """)
    }

    /// The same without the rule.
    @Test func withoutTheOwnTermRuleQuorumsDoNotMeet() {
        expect(
            """
            > without own-term-rule
            > cluster 4 1
            > elect 1
            1 leads t2
            > add 1 5
            1 accepts add 5 as 2/3
            > quietly settle
            > promote 1 5
            1 accepts promote 5 as 2/4
            > deliver 1>5
            1>5 t2 append after 2/3 [2/4 members(1 2 3 4 5)] commit 3
            > drop
            > restart 3 4
            > timeout 2
            2 asks before t3
            > pass 2>3 2>4 3>2 4>2 2>3 2>4 3>2 4>2
            2 stands t3
            3 follows t3
            4 follows t3
            2 leads t3
            > drop
            > remove 2 1
            2 accepts remove 1 as 3/5
            > tick 2
            > deliver 2>3 3>2 2>3 3>2
            2>3 t3 append after 2/3 [] commit 3
            3 applies 2/2 noop
            3 applies 2/3 members(1 2 3 4 + 5)
            3>2 t3 accepted 3
            2>3 t3 append after 2/3 [3/4 noop] commit 3
            2>3 t3 append after 3/4 [3/5 members(2 3 4 + 5)] commit 3
            3>2 t3 accepted 4
            2 applies 3/4 noop
            3>2 t3 accepted 5
            2 applies 3/5 members(2 3 4 + 5)
            > show
            1 leads t2 leader 1 last 2/4 durable 4 commit 3 members(1 2 3 4 5)
            2 leads t3 leader 2 last 3/5 durable 5 commit 5 members(2 3 4 + 5)
            3 follows t3 leader 2 last 3/5 durable 5 commit 3 members(2 3 4 + 5)
            4 follows t3 leader - last 2/3 durable 3 commit 1 members(1 2 3 4 + 5)
            5 follows t2 leader 1 last 2/4 durable 4 commit 3 members(1 2 3 4 5)
            > drop
            > crash 2 3
            > restart 1 4 5
            > elect 1
            1 follows t3
            > elect 1
            1 leads t4
            VIOLATION leader completeness: 1, leader of term 4, lacks 3/4
            """)
    }

    /// Where changes overlap, a leader's quorum and the next leader's have nobody in common.
    @Test func twoChangesInFlightSplitTheGroup() {
        expect(
            """
            > without one-change
            > cluster 5
            > elect 1
            1 leads t2
            > isolate 5
            > isolate 4
            > isolate 3
            > remove 1 5
            1 accepts remove 5 as 2/3
            > remove 1 4
            1 accepts remove 4 as 2/4
            > settle
            1 applies 2/3 members(1 2 3 4)
            1 applies 2/4 members(1 2 3)
            2 applies 2/3 members(1 2 3 4)
            2 applies 2/4 members(1 2 3)
            > show 1
            1 leads t2 leader 1 last 2/4 durable 4 commit 4 members(1 2 3)
            > remove 1 3
            1 accepts remove 3 as 2/5
            > settle
            1 applies 2/5 members(1 2)
            2 applies 2/5 members(1 2)
            > crash 1 2
            > heal
            > restart 3 4 5
            > timeout 3
            3 asks before t3
            > settle
            3 stands t3
            4 follows t3
            5 follows t3
            3 leads t3
            3 applies 2/2 noop
            3 applies 3/3 noop
            4 applies 2/2 noop
            4 applies 3/3 noop
            5 applies 2/2 noop
            5 applies 3/3 noop
            VIOLATION leader completeness: 3, leader of term 3, lacks 2/3
            """)
    }

    /// The same with the rule.
    @Test func changesDoNotOverlap() {
        expect(
            """
            > cluster 5
            > elect 1
            1 leads t2
            > isolate 5
            > isolate 4
            > remove 1 5
            > remove 1 4
            1 refuses remove 4: changeInFlight
            > pass 1>2 2>1 1>3 3>1
            1 accepts remove 5 as 2/3
            > isolate 3
            > remove 1 4
            1 refuses remove 4: changeInFlight
            > settle
            > show 1
            1 leads t2 leader 1 last 2/3 durable 3 commit 2 members(1 2 3 4)
            """)
    }

    /// Of three voters one has lost its disk a moment ago, which nobody can know yet. The other two go on;
    /// a removal of one of them does not come to pass.
    @Test func whoIsToCommitAChangeIsAskedFirst() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > wipe 3
            > remove 1 2
            > propose 1 a
            1 accepts a as 2/3
            > settle
            1 applies 2/3 a
            2 applies 2/3 a
            > tick 1 11
            1 refuses remove 2: quorumSilent
            > show 1
            1 leads t2 leader 1 last 2/3 durable 3 commit 3 members(1 2 3)
            """)
    }

    /// The same without the question: nothing is decided any more, whatever comes back.
    @Test func aChangeThatNobodyIsAskedAboutStopsTheGroup() {
        expect(
            """
            > without asking
            > cluster 3
            > elect 1
            1 leads t2
            > wipe 3
            > remove 1 2
            1 accepts remove 2 as 2/3
            > propose 1 a
            1 accepts a as 2/4
            > settle
            > show 1
            1 leads t2 leader 1 last 2/4 durable 4 commit 2 members(1 3)
            """)
    }

    /// R12: it is not heard under its old name, gives no vote, and comes back as a learner.
    @Test func aWipedVoterIsAnother() {
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
            > crash 1
            > wipe 2
            > heal
            > restart 3
            > timeout 3
            3 asks before t3
            > deliver
            3>1 t3 pre-vote? last 2/2 (lost)
            3>2 t3 pre-vote? last 2/2
            > show
            1 is down
            2b follows t0 leader - last 0/0 durable 0 commit 0 members()
            3 asks before t3 leader - last 2/2 durable 2 commit 1 members(1 2 3)
            > restart 1
            > elect 1
            1 leads t3
            > elect 1
            1 leads t3
            > remove 1 2
            > settle
            1 accepts remove 2 as 3/5
            1 applies 3/5 members(1 3)
            3 applies 3/5 members(1 3)
            > add 1 2b
            1 accepts add 2b as 3/6
            > settle
            2b follows t3
            1 applies 3/6 members(1 3 + 2b)
            3 applies 3/6 members(1 3 + 2b)
            2b restores 1/1
            2b applies 2/2 noop
            2b applies 2/3 a
            2b applies 3/4 noop
            2b applies 3/5 members(1 3)
            2b applies 3/6 members(1 3 + 2b)
            > promote 1 2b
            > settle
            1 accepts promote 2b as 3/7
            1 applies 3/7 members(1 2b 3)
            2b applies 3/7 members(1 2b 3)
            3 applies 3/7 members(1 2b 3)
            > show
            1 leads t3 leader 1 last 3/7 durable 7 commit 7 members(1 2b 3)
            2b follows t3 leader 1 last 3/7 durable 7 commit 7 members(1 2b 3)
            3 follows t3 leader 1 last 3/7 durable 7 commit 7 members(1 2b 3)
            """)
    }

    /// Where a node is the same voter under any store, a committed entry is lost.
    @Test func withoutStoresAWipedVoterVotesAgain() {
        expect(
            """
            > without store-identity
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
            > wipe 2
            > heal
            > restart 3
            > timeout 3
            3 asks before t3
            > settle
            3 stands t3
            2b follows t3
            3 leads t3
            2b restores 1/1
            3 applies 2/2 noop
            3 applies 3/3 noop
            2b applies 2/2 noop
            2b applies 3/3 noop
            VIOLATION leader completeness: 3, leader of term 3, lacks 2/3
            """)
    }
}
