/// What a leader keeps beyond its log; begins anew with each term that it leads.
struct Leadership: Sendable {
    /// Everybody else, in ascending order of members.
    var followers: [Progress] = []
    var reads = ReadQueue()
    var transfer: Handover?
    var change: AskedChange?
    var heartbeatElapsed = 0
    var heartbeatDue = false
    /// The size of the entries that are not committed.
    var uncommittedBytes = 0

    /// A leadership transfer under way.
    struct Handover: Sendable {
        var target: Raft.Member
        var elapsed = 0
        var sent = false
    }

    /// A change of voters, about which they are asked.
    struct AskedChange: Sendable {
        var token: UInt64
        var change: Raft.Change
        /// Whoever answers this round of confirmation was there after the question.
        var round: UInt64
        var elapsed = 0
    }
}

extension Raft {
    mutating func becomeLeader() {
        role = .leader
        leader = id
        electionElapsed = 0
        leadership = Leadership()
        followMembers()
        if commit < log.last.index {
            leadership.uncommittedBytes = log.entries(commit + 1...log.last.index)
                .reduce(0) { $0 + $1.costBytes }
        }
        appendOwn(.noop)
    }

    /// What was asked of this leader, and not promised yet, it can no longer promise.
    mutating func resign(to newLeader: Member?) {
        let tokens = leadership.reads.all + (leadership.change.map { [$0.token] } ?? [])
        for token in tokens { refuse(token, .notLeader(leader: newLeader)) }
        leadership = Leadership()
    }

    mutating func tickLeader() {
        leadership.heartbeatElapsed += 1
        for place in leadership.followers.indices { leadership.followers[place].silentTicks += 1 }
        if leadership.heartbeatElapsed >= settings.heartbeatTicks { leadership.heartbeatDue = true }
        electionElapsed += 1
        if electionElapsed >= settings.electionTicks {
            electionElapsed = 0
            checkQuorum()
        }
        tickTransfer()
        tickChange()
    }

    /// A leader that hears no quorum may have been replaced, and in any case can do nothing.
    private mutating func checkQuorum() {
        if activeVoters() < configuration.quorum, !mutations.contains(.noCheckQuorum) {
            becomeFollower(term, leader: nil)
        }
    }

    /// Voters that were heard within an election timeout, this one included.
    func activeVoters(without other: Member? = nil) -> Int {
        1
            + leadership.followers.count {
                $0.silentTicks <= settings.electionTicks && configuration.isVoter($0.member)
                    && $0.member != other
            }
    }

    /// Whether the leader knows what is committed: everything before an entry of its own term that is.
    var hasCommittedInTerm: Bool { log.term(at: commit) == term }

    @discardableResult
    mutating func appendOwn(_ payload: Entry.Payload) -> Position {
        let entry = Entry(position: Position(term: term, index: log.last.index + 1), payload: payload)
        append(entry)
        leadership.uncommittedBytes += entry.costBytes
        return entry.position
    }

    mutating func propose(_ proposals: [Proposal]) {
        for proposal in proposals {
            let token = proposal.token
            if role != .leader {
                refuse(token, .notLeader(leader: leader))
            } else if leadership.transfer != nil {
                refuse(token, .leadershipInTransfer)
            } else if proposal.command.count > settings.commandBytesMax {
                refuse(token, .commandTooLong)
            } else if leadership.uncommittedBytes + proposal.command.count > settings.uncommittedBytesMax {
                refuse(token, .tooMuchUncommitted)
            } else {
                let position = appendOwn(.command(proposal.command))
                output.accepted.append(Acceptance(token: token, position: position))
            }
        }
    }

    /// After every event: what can be committed, what can be read, what is to be sent.
    mutating func lead() {
        advanceCommit()
        advanceReads()
        advanceChange()
        replicate()
    }

    /// The last entry that a quorum of voters has on disk is committed, and all before it; but only through
    /// an entry of this term, since one of an older term can still be replaced (Raft, 5.4.2).
    private mutating func advanceCommit() {
        let own = mutations.contains(.countsOwnUnwritten) ? log.last.index : persistence.durable
        let others = leadership.followers.filter { configuration.isVoter($0.member) }.map(\.match)
        let index = (others + [own]).sorted(by: >)[configuration.quorum - 1]
        guard index > commit, log.term(at: index) == term || mutations.contains(.commitsOlderTerms)
        else { return }
        leadership.uncommittedBytes -= log.entries(commit + 1...index).reduce(0) { $0 + $1.costBytes }
        commit = index
    }

    mutating func receive(_ response: AppendResponse, from member: Member) {
        let start = log.base.index + 1
        let last = log.last.index
        switch response.result {
        case .accepted(let match):
            guard match <= last else { return }
            update(member, round: response.round) { $0.accept(match: match, logStart: start) }
            completeTransfer()
        case .rejected(let previous, let hint):
            let agreement = log.agreement(with: hint, notBelow: 0).index
            update(member, round: response.round) { $0.reject(previous: previous, agreement: agreement) }
        }
    }

    mutating func receive(_ response: SnapshotResponse, from member: Member) {
        update(member, round: response.round) { $0.hear(response) }
    }

    private mutating func update(_ member: Member, round: UInt64, _ change: (inout Progress) -> Void) {
        guard let place = leadership.followers.firstIndex(where: { $0.member == member }) else { return }
        leadership.followers[place].silentTicks = 0
        leadership.followers[place].round = max(leadership.followers[place].round, round)
        change(&leadership.followers[place])
    }

    /// Keeps the list of followers that of the configuration.
    mutating func followMembers() {
        let known = leadership.followers
        leadership.followers = configuration.members.filter { $0 != id }.map { member in
            known.first { $0.member == member } ?? Progress(member, next: log.last.index + 1)
        }
        if let target = leadership.transfer?.target, !configuration.isVoter(target) {
            leadership.transfer = nil
        }
    }
}
