import Testing

@Suite("Logs, step by step")
struct LogScriptTests {
    /// Raft, figure 8: an entry of an older term is on a majority, and not committed.
    @Test func figureEight() {
        expect(
            """
            > cluster 5
            > elect 1
            1 leads t2
            > propose 1 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            1 accepts xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx as 2/3
            > pass 1>2
            > drop
            > crash 1
            > restart 3 4
            > quietly timeout 5
            > pass 5>3 5>4 3>5 4>5 5>3 5>4 3>5 4>5
            5 stands t3
            3 follows t3
            4 follows t3
            5 leads t3
            > show 5
            5 leads t3 leader 5 last 3/3 durable 3 commit 2 members(1 2 3 4 5)
            > drop
            > crash 5
            > restart 1 2 3
            > timeout 1
            1 asks before t3
            > deliver 1>3 3>1
            1>3 t3 pre-vote? last 2/3
            3>1 t3 pre-vote no
            1 follows t3
            > drop
            > timeout 1
            1 asks before t4
            > pass 1>2 1>3 2>1 3>1 1>2 1>3 2>1 3>1
            1 stands t4
            2 follows t4
            3 follows t4
            1 leads t4
            > deliver 1>2 1>3 2>1 3>1 1>3 3>1
            1>2 t4 append after 2/3 [4/4 noop] commit 1
            1>3 t4 append after 2/3 [4/4 noop] commit 1
            2>1 t4 accepted 4
            3>1 t4 rejected 3, hint 2/2
            1>3 t4 append after 2/2 [2/3 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx] commit 1
            3>1 t4 accepted 3
            > show
            1 leads t4 leader 1 last 4/4 durable 4 commit 1 members(1 2 3 4 5)
            2 follows t4 leader 1 last 4/4 durable 4 commit 1 members(1 2 3 4 5)
            3 follows t4 leader 1 last 2/3 durable 3 commit 1 members(1 2 3 4 5)
            4 follows t3 leader - last 2/2 durable 2 commit 1 members(1 2 3 4 5)
            5 is down
            > drop
            > crash 1
            > restart 2 3 4 5
            > timeout 5
            5 asks before t4
            > pass 5>3 3>5
            5 follows t4
            > drop
            > elect 5
            5 leads t5
            > show
            1 is down
            2 follows t5 leader 5 last 5/4 durable 4 commit 4 members(1 2 3 4 5)
            3 follows t5 leader 5 last 5/4 durable 4 commit 4 members(1 2 3 4 5)
            4 follows t5 leader 5 last 5/4 durable 4 commit 4 members(1 2 3 4 5)
            5 leads t5 leader 5 last 5/4 durable 4 commit 4 members(1 2 3 4 5)
            """)
    }

    /// The same, where a leader counts copies of entries of older terms.
    @Test func figureEightWithoutTheRule() {
        expect(
            """
            > without older-terms-rule
            > cluster 5
            > elect 1
            1 leads t2
            > propose 1 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            1 accepts xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx as 2/3
            > pass 1>2
            > drop
            > crash 1
            > restart 3 4
            > quietly timeout 5
            > pass 5>3 5>4 3>5 4>5 5>3 5>4 3>5 4>5
            5 stands t3
            3 follows t3
            4 follows t3
            5 leads t3
            > show 5
            5 leads t3 leader 5 last 3/3 durable 3 commit 2 members(1 2 3 4 5)
            > drop
            > crash 5
            > restart 1 2 3
            > timeout 1
            1 asks before t3
            > deliver 1>3 3>1
            1>3 t3 pre-vote? last 2/3
            3>1 t3 pre-vote no
            1 follows t3
            > drop
            > timeout 1
            1 asks before t4
            > pass 1>2 1>3 2>1 3>1 1>2 1>3 2>1 3>1
            1 stands t4
            2 follows t4
            3 follows t4
            1 leads t4
            > deliver 1>2 1>3 2>1 3>1 1>3 3>1
            1>2 t4 append after 2/3 [4/4 noop] commit 1
            1>3 t4 append after 2/3 [4/4 noop] commit 1
            2>1 t4 accepted 4
            3>1 t4 rejected 3, hint 2/2
            1>3 t4 append after 2/2 [2/3 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx] commit 1
            3>1 t4 accepted 3
            1 applies 2/2 noop
            1 applies 2/3 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            > show
            1 leads t4 leader 1 last 4/4 durable 4 commit 3 members(1 2 3 4 5)
            2 follows t4 leader 1 last 4/4 durable 4 commit 1 members(1 2 3 4 5)
            3 follows t4 leader 1 last 2/3 durable 3 commit 1 members(1 2 3 4 5)
            4 follows t3 leader - last 2/2 durable 2 commit 1 members(1 2 3 4 5)
            5 is down
            > drop
            > crash 1
            > restart 2 3 4 5
            > timeout 5
            5 asks before t4
            > pass 5>3 3>5
            5 follows t4
            > drop
            > elect 5
            5 leads t5
            VIOLATION leader completeness: 5, leader of term 5, lacks 2/3
            """)
    }

    /// A rejection's hint skips a whole term at once, in either log.
    @Test func logsAreRepairedInFewSteps() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 1
            > propose 1 a b c d e f
            1 accepts a as 2/3
            1 accepts b as 2/4
            1 accepts c as 2/5
            1 accepts d as 2/6
            1 accepts e as 2/7
            1 accepts f as 2/8
            > drop
            > restart 3
            > elect 2
            2 leads t3
            > propose 2 g h i
            2 accepts g as 3/4
            2 accepts h as 3/5
            2 accepts i as 3/6
            > settle
            2 applies 3/4 g
            2 applies 3/5 h
            2 applies 3/6 i
            3 applies 3/4 g
            3 applies 3/5 h
            3 applies 3/6 i
            > transfer 2 3
            > settle
            3 stands t4
            2 follows t4
            3 leads t4
            3 applies 4/7 noop
            2 applies 4/7 noop
            > show
            1 leads t2 leader 1 last 2/8 durable 8 commit 2 members(1 2 3)
            2 follows t4 leader 3 last 4/7 durable 7 commit 7 members(1 2 3)
            3 leads t4 leader 3 last 4/7 durable 7 commit 7 members(1 2 3)
            > heal
            > tick 3
            > deliver
            3>1 t4 append after 3/6 [] commit 7
            1 follows t4
            3>2 t4 append after 4/7 [] commit 7
            1>3 t4 rejected 6, hint 2/6
            2>3 t4 accepted 7
            3>1 t4 append after 2/2 [3/3 noop, 3/4 g] commit 7
            1 applies 3/3 noop
            1 applies 3/4 g
            1>3 t4 accepted 4
            3>1 t4 append after 3/4 [3/5 h, 3/6 i] commit 7
            1 applies 3/5 h
            1 applies 3/6 i
            3>1 t4 append after 3/6 [4/7 noop] commit 7
            1 applies 4/7 noop
            1>3 t4 accepted 6
            1>3 t4 accepted 7
            > show 1
            1 follows t4 leader 3 last 4/7 durable 7 commit 7 members(1 2 3)
            """)
    }

    /// Log matching: an append that is repeated behind later ones changes nothing.
    @Test func aLateAppendCutsNothing() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 3
            > propose 1 a
            1 accepts a as 2/3
            > keep 1>2
            > deliver 1>2
            1>2 t2 append after 2/2 [2/3 a] commit 2
            > propose 1 b
            1 accepts b as 2/4
            > deliver 1>2
            1>2 t2 append after 2/3 [2/4 b] commit 2
            > deliver 2>1
            2>1 t2 accepted 3
            1 applies 2/3 a
            2>1 t2 accepted 4
            1 applies 2/4 b
            > drop
            > again
            > deliver 1>2
            1>2 t2 append after 2/2 [2/3 a] commit 2
            > show 2
            2 follows t2 leader 1 last 2/4 durable 4 commit 2 members(1 2 3)
            > crash 1
            > heal
            > restart 3
            > elect 2
            2 leads t3
            > show 2
            2 leads t3 leader 2 last 3/5 durable 5 commit 5 members(1 2 3)
            """)
    }

    /// The same, where an append cuts whatever stands behind it.
    @Test func withoutTheRuleALateAppendLosesAnEntry() {
        expect(
            """
            > without match-rule
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 3
            > propose 1 a
            1 accepts a as 2/3
            > keep 1>2
            > deliver 1>2
            1>2 t2 append after 2/2 [2/3 a] commit 2
            > propose 1 b
            1 accepts b as 2/4
            > deliver 1>2
            1>2 t2 append after 2/3 [2/4 b] commit 2
            > deliver 2>1
            2>1 t2 accepted 3
            1 applies 2/3 a
            2>1 t2 accepted 4
            1 applies 2/4 b
            > drop
            > again
            > deliver 1>2
            1>2 t2 append after 2/2 [2/3 a] commit 2
            > show 2
            2 follows t2 leader 1 last 2/3 durable 3 commit 2 members(1 2 3)
            > crash 1
            > heal
            > restart 3
            > elect 2
            2 leads t3
            VIOLATION leader completeness: 2, leader of term 3, lacks 2/4
            > show 2
            2 leads t3 leader 2 last 3/4 durable 4 commit 4 members(1 2 3)
            """)
    }

    /// Appends leave before the leader's own write; it counts once it is durable.
    @Test func theLeaderWritesInParallelAndCountsItselfAfterwards() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > hold 1
            > isolate 3
            > propose 1 a
            1 accepts a as 2/3
            > deliver
            1>2 t2 append after 2/2 [2/3 a] commit 2
            1>3 t2 append after 2/2 [2/3 a] commit 2 (lost)
            2>1 t2 accepted 3
            > show 1
            1 leads t2 leader 1 last 2/3 durable 2 commit 2 members(1 2 3)
            > flush 1
            1 applies 2/3 a
            > heal
            > hold 1
            > propose 1 b
            1 accepts b as 2/4
            > deliver
            1>2 t2 append after 2/3 [] commit 3
            2 applies 2/3 a
            1>3 t2 append after 2/3 [] commit 3
            1>2 t2 append after 2/3 [2/4 b] commit 3
            1>3 t2 append after 2/3 [2/4 b] commit 3
            2>1 t2 accepted 3
            3>1 t2 rejected 3, hint 2/2
            2>1 t2 accepted 4
            3>1 t2 rejected 3, hint 2/2
            1>3 t2 append after 2/2 [2/3 a, 2/4 b] commit 3
            3 applies 2/3 a
            3>1 t2 accepted 4
            1>2 t2 append after 2/4 [] commit 4
            2 applies 2/4 b
            1>3 t2 append after 2/4 [] commit 4
            3 applies 2/4 b
            2>1 t2 accepted 4
            3>1 t2 accepted 4
            > show
            1 leads t2 leader 1 last 2/4 durable 3 commit 4 members(1 2 3)
            2 follows t2 leader 1 last 2/4 durable 4 commit 4 members(1 2 3)
            3 follows t2 leader 1 last 2/4 durable 4 commit 4 members(1 2 3)
            > flush 1
            1 applies 2/4 b
            """)
    }

    /// D17, canonical/raft #320: the leader fails with an entry that others have. It comes back as a
    /// follower, and that entry stays or is replaced under a later term.
    @Test func anUnwrittenEntryIsNotReplacedInItsTerm() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > hold 1
            > propose 1 x
            1 accepts x as 2/3
            > deliver 1>2
            1>2 t2 append after 2/2 [2/3 x] commit 2
            > crash 1
            > restart 1
            > show
            1 follows t2 leader - last 2/2 durable 2 commit 1 members(1 2 3)
            2 follows t2 leader 1 last 2/3 durable 3 commit 2 members(1 2 3)
            3 follows t2 leader 1 last 2/2 durable 2 commit 2 members(1 2 3)
            > drop
            > restart 2
            > timeout 1
            1 asks before t3
            > deliver 1>2
            1>2 t3 pre-vote? last 2/2
            > deliver 2>1
            2>1 t2 pre-vote no
            > drop
            > timeout 2
            2 asks before t3
            > settle
            2 stands t3
            1 follows t3
            2 leads t3
            3 follows t3
            2 applies 2/2 noop
            2 applies 2/3 x
            2 applies 3/4 noop
            1 applies 2/2 noop
            1 applies 2/3 x
            1 applies 3/4 noop
            3 applies 2/3 x
            3 applies 3/4 noop
            > show
            1 follows t3 leader 2 last 3/4 durable 4 commit 4 members(1 2 3)
            2 leads t3 leader 2 last 3/4 durable 4 commit 4 members(1 2 3)
            3 follows t3 leader 2 last 3/4 durable 4 commit 4 members(1 2 3)
            """)
    }

    /// Where the leader counts itself at once, its crash takes a committed entry along.
    @Test func withoutItsOwnWriteALeaderLosesWhatItCommitted() {
        expect(
            """
            > without own-durability
            > cluster 3
            > elect 1
            1 leads t2
            > hold 1
            > propose 1 x
            1 accepts x as 2/3
            > deliver 1>2
            1>2 t2 append after 2/2 [2/3 x] commit 2
            > deliver 2>1
            2>1 t2 accepted 3
            > show 1
            1 leads t2 leader 1 last 2/3 durable 2 commit 3 members(1 2 3)
            > crash 1 2
            > drop
            > restart 1
            > restart 3
            > timeout 1
            1 asks before t3
            > settle
            1 stands t3
            3 follows t3
            1 leads t3
            1 applies 2/2 noop
            1 applies 3/3 noop
            3 applies 2/2 noop
            3 applies 3/3 noop
            VIOLATION leader completeness: 1, leader of term 3, lacks 2/3
            """)
    }

    /// R10: also for entries that a repeated message brings while they are being written.
    @Test func aFollowerAnswersOnceItIsOnDisk() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 3
            > hold 2
            > propose 1 a
            1 accepts a as 2/3
            > keep 1>2
            > deliver 1>2
            1>2 t2 append after 2/2 [2/3 a] commit 2
            > again
            > deliver 1>2
            1>2 t2 append after 2/2 [2/3 a] commit 2
            > deliver 2>1
            > tick 1
            > deliver 1>2
            1>2 t2 append after 2/3 [] commit 2
            > deliver 2>1
            > flush 2
            > deliver 2>1
            2>1 t2 accepted 3
            1 applies 2/3 a
            2>1 t2 accepted 3
            2>1 t2 accepted 3
            > show 1
            1 leads t2 leader 1 last 2/3 durable 3 commit 3 members(1 2 3)
            """)
    }

    /// What was never committed gives way, and its proposer sees another term at that index.
    @Test func aDeposedLeadersTailIsReplaced() {
        expect(
            """
            > cluster 3
            > elect 1
            1 leads t2
            > isolate 1
            > propose 1 lost
            1 accepts lost as 2/3
            > settle
            > restart 3
            > elect 2
            2 leads t3
            > propose 2 kept
            2 accepts kept as 3/4
            > settle
            2 applies 3/4 kept
            3 applies 3/4 kept
            > heal
            > tick 2
            > settle
            1 follows t3
            1 applies 3/3 noop
            1 applies 3/4 kept
            > show
            1 follows t3 leader 2 last 3/4 durable 4 commit 4 members(1 2 3)
            2 leads t3 leader 2 last 3/4 durable 4 commit 4 members(1 2 3)
            3 follows t3 leader 2 last 3/4 durable 4 commit 4 members(1 2 3)
            """)
    }
}
