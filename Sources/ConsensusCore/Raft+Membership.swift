extension Raft {
    /// One voter at a time, one change at a time, and none before the leader has committed in its term.
    ///
    /// The last rule came after the thesis (raft-dev, "bug in single-server membership changes", 2015):
    /// without it two leaders, each with a change that the other does not have, commit with quorums that
    /// do not meet.
    mutating func change(_ token: UInt64, _ change: Change) {
        if let reason = obstacle(to: change) { return refuse(token, reason) }
        switch configuration.applying(change) {
        case .failure(let reason): refuse(token, reason)
        case .success(let next):
            let position = appendOwn(.configuration(next))
            followMembers()
            output.accepted.append(Acceptance(token: token, position: position))
        }
    }

    private func obstacle(to change: Change) -> Refusal? {
        guard role == .leader else { return .notLeader(leader: leader) }
        guard leadership.transfer == nil else { return .leadershipInTransfer }
        guard hasCommittedInTerm || mutations.contains(.changesBeforeOwnTerm) else {
            return .termNotCommitted
        }
        guard log.configurationIndex <= commit || mutations.contains(.changesInParallel) else {
            return .changeInFlight
        }
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
