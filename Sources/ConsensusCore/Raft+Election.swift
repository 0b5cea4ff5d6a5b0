/// The votes of one election.
struct Ballot: Sendable {
    var granted: [Raft.Member] = []
    var rejected: [Raft.Member] = []
    /// The write that makes the candidate's own vote durable. Before that it does not count.
    var write: UInt64 = 0

    mutating func note(_ member: Raft.Member, granted isGranted: Bool) {
        guard !granted.contains(member), !rejected.contains(member) else { return }
        if isGranted { granted.append(member) } else { rejected.append(member) }
    }
}

extension Raft {
    enum Campaign { case preElection, election, transfer }

    mutating func tick() {
        guard role != .leader else { return tickLeader() }
        electionElapsed += 1
        guard electionElapsed >= electionDeadline, configuration.isVoter(id) else { return }
        campaign(mutations.contains(.noPreVote) ? .election : .preElection)
    }

    /// Between one and two election times, so that rarely two stand at once.
    mutating func restartElectionTimer() {
        electionElapsed = 0
        electionDeadline = Int.random(in: settings.electionTicks..<2 * settings.electionTicks, using: &random)
    }

    /// Whether this replica has good reason to think that the term has a leader (check-quorum).
    public var hearsLeader: Bool { leader != nil && electionElapsed < settings.electionTicks }

    mutating func campaign(_ kind: Campaign) {
        leader = nil
        ballot = Ballot()
        restartElectionTimer()
        let others = configuration.voters.filter { $0 != id }
        switch kind {
        case .preElection:
            role = .preCandidate
            ballot.note(id, granted: true)
            for member in others {
                send(.preVote(last: log.last), to: member, term: term + 1, promising: false)
            }
        case .election, .transfer:
            role = .candidate
            enter(term + 1, vote: id)
            ballot.write = persistence.nextNumber
            // Not before the own vote is durable: a candidate that forgets its candidacy could stand in the
            // same term again, with a shorter log, and be elected by answers to the first.
            for member in others {
                send(.vote(last: log.last, transfer: kind == .transfer), to: member, promising: true)
            }
        }
        count()
    }

    private mutating func enter(_ term: Term, vote: Member?) {
        hardState = HardState(term: term, vote: vote)
        persistence.changeHardState()
    }

    mutating func becomeFollower(_ newTerm: Term, leader newLeader: Member?) {
        if newTerm > term {
            enter(newTerm, vote: nil)
            incoming = nil
        }
        if role == .leader { resign(to: newLeader) }
        role = .follower
        leader = newLeader
        restartElectionTimer()
    }

    mutating func receivePreVote(_ last: Position, from candidate: Member, term candidacy: Term) {
        let isGranted = candidacy > term && isUpToDate(last) && knowsMembers
        // The consent names the term of the election, a refusal the own one, from which the other may learn.
        send(
            .preVoteResponse(granted: isGranted), to: candidate, term: isGranted ? candidacy : term,
            promising: true)
    }

    mutating func receiveVote(_ last: Position, from candidate: Member) {
        let isFree = hardState.vote == nil && leader == nil || mutations.contains(.votesTwice)
        let isGranted = (isFree || hardState.vote == candidate) && isUpToDate(last) && knowsMembers
        if isGranted {
            restartElectionTimer()
            if hardState.vote != candidate { enter(term, vote: candidate) }
        }
        send(.voteResponse(granted: isGranted), to: candidate, promising: true)
    }

    /// A leader has every committed entry because nobody votes for a log that ends earlier than the own.
    private func isUpToDate(_ last: Position) -> Bool {
        last >= log.last || mutations.contains(.votesForShorterLogs)
    }

    /// A disk without members was never part of the group: it has nothing to vouch with.
    private var knowsMembers: Bool {
        configuration != .empty || mutations.contains(.ignoresStores)
    }

    mutating func receiveBallot(from member: Member, granted: Bool) {
        ballot.note(member, granted: granted)
        count()
    }

    /// Only votes of voters count, each once.
    mutating func count() {
        let voters = configuration.voters
        let granted = voters.count { ballot.granted.contains($0) }
        if granted >= configuration.quorum, !voters.isEmpty {
            switch role {
            case .preCandidate: campaign(.election)
            case .candidate: becomeLeader()
            case .follower, .leader: break
            }
        } else if voters.count(where: { ballot.rejected.contains($0) }) > voters.count - configuration.quorum
        {
            becomeFollower(term, leader: nil)
        }
    }

    mutating func persisted(_ number: UInt64) {
        persistence.complete(number)
        if role == .candidate, number >= ballot.write {
            ballot.note(id, granted: true)
            count()
        }
    }
}
