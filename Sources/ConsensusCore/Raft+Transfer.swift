extension Raft {
    /// Nothing is accepted from here on. Once the other has the whole log, it is told to stand (thesis,
    /// 3.10).
    mutating func transfer(_ token: UInt64, to target: Member) {
        guard role == .leader else { return refuse(token, .notLeader(leader: leader)) }
        guard target != id else { return refuse(token, .isLeader) }
        guard configuration.isVoter(target) else { return refuse(token, .notAVoter) }
        guard leadership.transfer == nil else { return refuse(token, .leadershipInTransfer) }
        leadership.transfer = Leadership.Handover(target: target)
        completeTransfer()
    }

    mutating func completeTransfer() {
        guard let transfer = leadership.transfer, !transfer.sent,
            let progress = leadership.followers.first(where: { $0.member == transfer.target }),
            progress.match == log.last.index
        else { return }
        leadership.transfer?.sent = true
        send(.timeoutNow, to: transfer.target, promising: false)
    }

    /// A target that does not stand in time is given up, and the leader goes on.
    mutating func tickTransfer() {
        guard role == .leader, leadership.transfer != nil else { return }
        leadership.transfer?.elapsed += 1
        if let elapsed = leadership.transfer?.elapsed, elapsed >= settings.electionTicks {
            leadership.transfer = nil
        }
    }
}
