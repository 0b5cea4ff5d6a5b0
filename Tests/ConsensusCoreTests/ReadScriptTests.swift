import Testing

@Suite("Reads and snapshots, step by step")
struct ReadScriptTests {
    /// One round for all that wait; the next begins when it is answered.
    @Test func aReadNeedsAQuorum() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > read 1 r1
            > read 1 r2
            > read 1 r3
            > deliver
            1>2 t2 append after 2/2 [] commit 2 round 1
            1>3 t2 append after 2/2 [] commit 2 round 1
            2>1 t2 accepted 2 round 1
            1 reads r1 at 2
            3>1 t2 accepted 2 round 1
            1>2 t2 append after 2/2 [] commit 2 round 2
            1>3 t2 append after 2/2 [] commit 2 round 2
            2>1 t2 accepted 2 round 2
            1 reads r2 at 2
            1 reads r3 at 2
            3>1 t2 accepted 2 round 2
            > read 2 r4
            2 refuses r4: the leader is 1
            """)
    }

    /// A leader that was replaced learns of it before it answers.
    @Test func anOldLeaderAnswersNoRead() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 1
            > restart 2
            > restart 3
            > elect 2
            2 leads t3
            > propose 2 new
            2 accepts new as 3/4
            > settle
            2 applies 3/4 new
            3 applies 3/4 new
            > drop
            > read 1 stale
            > tick 1 3
            > deliver
            1>2 t2 append after 2/2 [] commit 2 round 1 (lost)
            1>3 t2 append after 2/2 [] commit 2 round 1 (lost)
            1>2 t2 append after 2/2 [] commit 2 round 1 (lost)
            1>3 t2 append after 2/2 [] commit 2 round 1 (lost)
            1>2 t2 append after 2/2 [] commit 2 round 1 (lost)
            1>3 t2 append after 2/2 [] commit 2 round 1 (lost)
            1>2 t2 append after 2/2 [] commit 2 round 1 (lost)
            1>3 t2 append after 2/2 [] commit 2 round 1 (lost)
            > heal
            > tick 1
            > deliver
            1>2 t2 append after 2/2 [] commit 2 round 1
            1>3 t2 append after 2/2 [] commit 2 round 1
            2>1 t3 rejected 2, hint 3/4
            1 follows t3
            1 refuses stale: no leader
            3>1 t3 rejected 2, hint 3/4
            > show 1
            1 follows t3 leader - last 2/2 durable 2 commit 2 members(1 2 3)
            """)
    }

    /// The same without the round.
    @Test func withoutTheRoundAReadIsStale() {
        expect(
            """
            > without read-round
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 1
            > restart 2
            > restart 3
            > elect 2
            2 leads t3
            > propose 2 new
            2 accepts new as 3/4
            > settle
            2 applies 3/4 new
            3 applies 3/4 new
            > read 1 stale
            1 reads stale at 2
            VIOLATION linearizable reads: 1 shows 2, applied was 4
            """)
    }

    /// Before that it does not know what is committed.
    @Test func aNewLeaderReadsAfterItsFirstCommit() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > propose 1 a
            1 accepts a as 2/3
            > deliver 1>2
            1>2 t2 append after 2/2 [2/3 a] commit 2
            > deliver 2>1
            2>1 t2 accepted 3
            1 applies 2/3 a
            > drop
            > show
            1 leads t2 leader 1 last 2/3 durable 3 commit 3 members(1 2 3)
            2 follows t2 leader 1 last 2/3 durable 3 commit 2 members(1 2 3)
            3 follows t2 leader 1 last 2/2 durable 2 commit 2 members(1 2 3)
            > crash 1
            > restart 3
            > timeout 2
            2 asks before t3
            > deliver 2>3
            2>3 t3 pre-vote? last 2/3
            > deliver 3>2
            3>2 t3 pre-vote yes
            2 stands t3
            > deliver 2>3
            2>3 t3 vote? last 2/3
            3 follows t3
            > deliver 3>2
            3>2 t3 vote yes
            2 leads t3
            > read 2 early
            > deliver
            2>1 t3 pre-vote? last 2/3 (lost)
            2>1 t3 vote? last 2/3 (lost)
            2>1 t3 append after 2/3 [3/4 noop] commit 2 (lost)
            2>3 t3 append after 2/3 [3/4 noop] commit 2
            3>2 t3 rejected 3, hint 2/2
            2>3 t3 append after 2/2 [2/3 a, 3/4 noop] commit 2
            3 applies 2/2 noop
            3>2 t3 accepted 4
            2 applies 2/3 a
            2 applies 3/4 noop
            2>1 t3 append after 2/3 [] commit 4 round 1 (lost)
            2>3 t3 append after 3/4 [] commit 4 round 1
            3 applies 2/3 a
            3 applies 3/4 noop
            3>2 t3 accepted 4 round 1
            2 reads early at 4
            """)
    }

    /// The same without the rule.
    @Test func withoutTheOwnTermAReadIsStale() {
        expect(
            """
            > without read-term
            > cluster 3
            > elect 1
            1 leads t2
            > propose 1 a
            1 accepts a as 2/3
            > deliver 1>2
            1>2 t2 append after 2/2 [2/3 a] commit 2
            > deliver 2>1
            2>1 t2 accepted 3
            1 applies 2/3 a
            > drop
            > crash 1
            > restart 3
            > timeout 2
            2 asks before t3
            > deliver 2>3
            2>3 t3 pre-vote? last 2/3
            > deliver 3>2
            3>2 t3 pre-vote yes
            2 stands t3
            > deliver 2>3
            2>3 t3 vote? last 2/3
            3 follows t3
            > deliver 3>2
            3>2 t3 vote yes
            2 leads t3
            > drop
            > read 2 early
            > tick 2
            > deliver
            2>1 t3 append after 2/3 [] commit 2 round 1 (lost)
            2>3 t3 append after 2/3 [] commit 2 round 1
            2>1 t3 append after 2/3 [] commit 2 round 1 (lost)
            2>3 t3 append after 2/3 [] commit 2 round 1
            3>2 t3 rejected 3, hint 2/2
            2 reads early at 2
            3>2 t3 rejected 3, hint 2/2
            2>3 t3 append after 2/2 [2/3 a, 3/4 noop] commit 2 round 1
            3 applies 2/2 noop
            3>2 t3 accepted 4 round 1
            2 applies 2/3 a
            2 applies 3/4 noop
            2>3 t3 append after 3/4 [] commit 4 round 1
            3 applies 2/3 a
            3 applies 3/4 noop
            3>2 t3 accepted 4 round 1
            VIOLATION linearizable reads: 2 shows 2, applied was 3
            """)
    }

    /// It is the quorum.
    @Test func aSingleVoterReadsAtOnce() {
        expect(
            """
            > cluster 1
            > timeout 1
            1 stands t2
            1 leads t2
            1 applies 2/2 noop
            > propose 1 a
            1 accepts a as 2/3
            1 applies 2/3 a
            > read 1 r
            1 reads r at 3
            """)
    }

    /// In chunks, each answered; a lost one is sent again; then the log goes on.
    @Test func whoIsFarBehindGetsASnapshot() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 3
            > propose 1 a b c d e
            1 accepts a as 2/3
            1 accepts b as 2/4
            1 accepts c as 2/5
            1 accepts d as 2/6
            1 accepts e as 2/7
            > quietly settle
            > compact 1
            > propose 1 f
            1 accepts f as 2/8
            > quietly settle
            > heal
            > tick 1
            > pass 1>2 2>1
            > deliver 1>3 3>1 1>3 3>1
            1>3 t2 append after 2/7 [] commit 8
            3>1 t2 rejected 7, hint 2/2
            1>3 t2 snapshot 2/7 bytes 0+16 of 40
            3>1 t2 received 16 of 2/7
            > drop 1>3
            > tick 1 2
            > pass 1>2 2>1
            > deliver 1>3 3>1
            1>3 t2 snapshot 2/7 bytes 16+0 of 40
            1>3 t2 snapshot 2/7 bytes 16+0 of 40
            3>1 t2 received 16 of 2/7
            3>1 t2 received 16 of 2/7
            > deliver
            1>3 t2 snapshot 2/7 bytes 16+16 of 40
            3>1 t2 received 32 of 2/7
            1>3 t2 snapshot 2/7 bytes 32+8 of 40
            3 restores 2/7
            3>1 t2 accepted 7
            1>3 t2 append after 2/7 [2/8 f] commit 8
            3 applies 2/8 f
            3>1 t2 accepted 8
            > restart 3
            > show
            1 leads t2 leader 1 last 2/8 durable 8 commit 8 members(1 2 3)
            2 follows t2 leader 1 last 2/8 durable 8 commit 8 members(1 2 3)
            3 follows t2 leader - last 2/8 durable 8 commit 7 members(1 2 3)
            """)
    }

    /// It is neither answered nor applied before.
    @Test func aSnapshotCountsOnceItIsOnDisk() {
        expect(
            """
            > cluster 1 1
            > timeout 1
            1 stands t2
            1 leads t2
            1 applies 2/2 noop
            > propose 1 a b c d
            1 accepts a as 2/3
            1 accepts b as 2/4
            1 accepts c as 2/5
            1 accepts d as 2/6
            1 applies 2/3 a
            1 applies 2/4 b
            1 applies 2/5 c
            1 applies 2/6 d
            > compact 1
            > add 1 2
            1 accepts add 2 as 2/7
            1 applies 2/7 members(1 + 2)
            > deliver 1>2 2>1 1>2 2>1 1>2 2>1
            1>2 t2 append after 2/7 [] commit 6
            2 follows t2
            2>1 t2 rejected 7, hint 0/0
            1>2 t2 snapshot 2/6 bytes 0+16 of 40
            2>1 t2 received 16 of 2/6
            1>2 t2 snapshot 2/6 bytes 16+16 of 40
            2>1 t2 received 32 of 2/6
            > hold 2
            > deliver 1>2
            1>2 t2 snapshot 2/6 bytes 32+8 of 40
            > deliver 2>1
            > show 2
            2 follows t2 leader 1 last 2/6 durable 0 commit 6 members(1)
            > crash 2
            > restart 2
            > show 2
            2 follows t2 leader - last 0/0 durable 0 commit 0 members()
            > tick 1
            > settle
            > tick 1
            > settle
            2 restores 2/6
            2 applies 2/7 members(1 + 2)
            > tick 1
            > settle
            > show 2
            2 follows t2 leader 1 last 2/7 durable 7 commit 7 members(1 + 2)
            """)
    }

    /// The last entries before the snapshot are kept.
    @Test func aShortLagNeedsNoSnapshot() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 3
            > propose 1 a b
            1 accepts a as 2/3
            1 accepts b as 2/4
            > settle
            1 applies 2/3 a
            1 applies 2/4 b
            2 applies 2/3 a
            2 applies 2/4 b
            > compact 1
            > heal
            > tick 1
            > deliver
            1>2 t2 append after 2/4 [] commit 4
            1>3 t2 append after 2/4 [] commit 4
            2>1 t2 accepted 4
            3>1 t2 rejected 4, hint 2/2
            1>3 t2 append after 2/2 [2/3 a, 2/4 b] commit 4
            3 applies 2/3 a
            3 applies 2/4 b
            3>1 t2 accepted 4
            > show 3
            3 follows t2 leader 1 last 2/4 durable 4 commit 4 members(1 2 3)
            """)
    }
}
