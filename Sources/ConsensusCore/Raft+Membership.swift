extension Raft {
    /// One voter at a time, one change at a time, and none before the leader has committed in its term; nor
    /// before those who are to commit it have said that they are there.
    ///
    /// A change of voters holds from when it is appended, and only its own quorum can commit it. If one
    /// whom that quorum needs is gone for good, and was heard of a moment ago, the group has stopped for
    /// ever, although the voters before the change could have gone on: so they are asked first.
    ///
    /// The last rule came after the thesis (raft-dev, "bug in single-server membership changes", 2015):
    /// without it two leaders, each with a change that the other does not have, commit with quorums that
    /// do not meet.
    mutating func change(_ token: UInt64, _ change: Change) {
        if let reason = obstacle(to: change) { return refuse(token, reason) }
        switch configuration.applying(change) {
        case .failure(let reason): refuse(token, reason)
        case .success(let next) where next.voters == configuration.voters || skipsAsking:
            enact(token, next)
        case .success:
            leadership.reads.round += 1
            leadership.heartbeatDue = true
            leadership.change = Leadership.AskedChange(
                token: token, change: change, round: leadership.reads.round)
        }
    }

    private var skipsAsking: Bool {
        !mutations.isDisjoint(with: [.changesUnasked, .changesInParallel, .changesBeforeOwnTerm])
    }

    /// The change that was asked about, once enough of its voters have answered.
    mutating func advanceChange() {
        guard let asked = leadership.change, let next = askedConfiguration else { return }
        let answered = leadership.followers.count { next.isVoter($0.member) && $0.round >= asked.round }
        guard answered + 1 >= next.quorum else { return }
        leadership.change = nil
        if let reason = obstacle(to: asked.change) { return refuse(asked.token, reason) }
        enact(asked.token, next)
    }

    /// What the members will be if those who are asked about a change answer.
    package var askedConfiguration: Configuration? {
        guard let asked = leadership.change, case .success(let next) = configuration.applying(asked.change)
        else { return nil }
        return next
    }

    mutating func tickChange() {
        leadership.change?.elapsed += 1
        guard let asked = leadership.change, asked.elapsed > settings.electionTicks else { return }
        leadership.change = nil
        refuse(asked.token, .quorumSilent)
    }

    private mutating func enact(_ token: UInt64, _ next: Configuration) {
        let position = appendOwn(.configuration(next))
        followMembers()
        output.accepted.append(Acceptance(token: token, position: position))
    }

    private func obstacle(to change: Change) -> Refusal? {
        guard role == .leader else { return .notLeader(leader: leader) }
        guard leadership.transfer == nil else { return .leadershipInTransfer }
        guard hasCommittedInTerm || mutations.contains(.changesBeforeOwnTerm) else {
            return .termNotCommitted
        }
        let isFree = leadership.change == nil && log.configurationIndex <= commit
        guard isFree || mutations.contains(.changesInParallel) else { return .changeInFlight }
        switch change {
        case .addLearner: return nil
        case .remove(let member):
            guard member != id else { return .isLeader }
            guard configuration.isVoter(member) else { return nil }
            // The removal itself needs the voters that remain: with too few of them there, it would never be
            // committed, and the voter that was to leave could not help any more when it comes back.
            let remaining = configuration.voters.count - 1
            // (A leader that may act before its term's first commit has heard nobody yet.)
            let isTried = mutations.contains(.changesBeforeOwnTerm)
            return isTried || activeVoters(without: member) > remaining / 2 ? nil : .quorumSilent
        case .promote(let member):
            // A new voter that lacks entries would stop the group if one of the others failed.
            guard let progress = leadership.followers.first(where: { $0.member == member }),
                configuration.learners.contains(member)
            else { return .notALearner }
            guard progress.match >= commit, progress.silentTicks <= settings.electionTicks else {
                return .learnerBehind
            }
            // With the new one, a quorum can be larger; those who are there must be one, or all would wait.
            return activeVoters() + 1 > (configuration.voters.count + 1) / 2 ? nil : .quorumSilent
        }
    }
}
