/// Reads that wait: for a round to begin, for its answers, for the state machine.
///
/// One round serves all reads that came before it, and one round is under way at a time.
struct ReadQueue: Sendable {
    struct Confirmed: Sendable {
        var token: UInt64
        var index: Raft.Index
    }

    /// The last round that was begun.
    var round: UInt64 = 0
    var isRoundOpen = false
    var waiting: [UInt64] = []
    /// Of the open round, with the commit index of its beginning.
    var asked: [Confirmed] = []
    var confirmed: [Confirmed] = []

    var all: [UInt64] { confirmed.map(\.token) + asked.map(\.token) + waiting }
    var count: Int { waiting.count + asked.count + confirmed.count }

    mutating func takeReady(applied: Raft.Index) -> [UInt64] {
        guard !confirmed.isEmpty else { return [] }
        let ready = confirmed.filter { $0.index <= applied }
        confirmed.removeAll { $0.index <= applied }
        return ready.map(\.token)
    }
}

extension Raft {
    mutating func read(_ token: UInt64) {
        guard role == .leader else { return refuse(token, .notLeader(leader: leader)) }
        guard leadership.reads.count < settings.readsMax else { return refuse(token, .tooManyReads) }
        leadership.reads.waiting.append(token)
    }

    /// A read sees everything that was committed when it came if, after that, a quorum still takes this
    /// leader for the leader; and if the leader knew then what was committed (Raft, section 8).
    mutating func advanceReads() {
        confirmRound()
        guard !leadership.reads.isRoundOpen, !leadership.reads.waiting.isEmpty else { return }
        guard hasCommittedInTerm || mutations.contains(.readsBeforeOwnTerm) else { return }
        leadership.reads.round += 1
        leadership.reads.isRoundOpen = true
        leadership.reads.asked = leadership.reads.waiting.map {
            ReadQueue.Confirmed(token: $0, index: commit)
        }
        leadership.reads.waiting = []
        leadership.heartbeatDue = true
        confirmRound()
    }

    private mutating func confirmRound() {
        guard leadership.reads.isRoundOpen else { return }
        let round = leadership.reads.round
        let heard = 1 + leadership.followers.count { $0.round >= round && configuration.isVoter($0.member) }
        guard heard >= configuration.quorum || mutations.contains(.readsWithoutRound) else { return }
        leadership.reads.isRoundOpen = false
        leadership.reads.confirmed += leadership.reads.asked
        leadership.reads.asked = []
    }
}
