import Identifiers

extension Raft {
    mutating func receive(_ message: Message) {
        var message = message
        if mutations.contains(.ignoresStores) { message = withoutStores(message) }
        // Said to a disk that was here before, or came back from another cluster.
        guard message.to == id, message.from.node != id.node else { return }
        guard agreeOnTerm(message) else { return }
        switch message.body {
        case .preVote(let last):
            receivePreVote(last, from: message.from, term: message.term)
        case .preVoteResponse(let granted):
            guard role == .preCandidate, !granted || message.term == term + 1 else { return }
            receiveBallot(from: message.from, granted: granted)
        case .vote(let last, _):
            receiveVote(last, from: message.from)
        case .voteResponse(let granted):
            guard role == .candidate else { return }
            receiveBallot(from: message.from, granted: granted)
        case .append(let append):
            guard hear(message.from) else { return }
            receive(append, from: message.from)
        case .snapshot(let chunk):
            guard hear(message.from) else { return }
            receive(chunk, from: message.from)
        case .appendResponse(let response):
            guard role == .leader else { return }
            receive(response, from: message.from)
        case .snapshotResponse(let response):
            guard role == .leader else { return }
            receive(response, from: message.from)
        case .timeoutNow:
            guard role != .leader, configuration.isVoter(id) else { return }
            campaign(.transfer)
        }
    }

    /// Makes this replica's term the message's, where that is greater and counts.
    /// - Returns: whether there is anything more to the message.
    private mutating func agreeOnTerm(_ message: Message) -> Bool {
        if message.term < term {
            answerStale(message)
            return false
        }
        guard message.term > term else { return true }
        switch message.body {
        case .preVote, .vote(_, transfer: false):
            // Whoever cannot hear the leader, or was removed, does not disturb those that do.
            if hearsLeader, !mutations.contains(.heedsDisruption) { return false }
            if case .preVote = message.body { return true }
            becomeFollower(message.term, leader: nil)
        case .preVoteResponse(granted: true):
            return true
        case .append, .snapshot:
            becomeFollower(message.term, leader: message.from)
        case .preVoteResponse, .vote, .voteResponse, .appendResponse, .snapshotResponse, .timeoutNow:
            becomeFollower(message.term, leader: nil)
        }
        return true
    }

    /// The answer brings the newer term to a leader that does not know that it was replaced, and to one who
    /// would stand for election in a term gone by.
    private mutating func answerStale(_ message: Message) {
        switch message.body {
        case .append(let append):
            answer(message.from, .rejected(previous: append.previous.index, hint: log.last), 0)
        case .snapshot(let chunk):
            answer(message.from, .rejected(previous: chunk.position.index, hint: log.last), 0)
        case .preVote:
            send(.preVoteResponse(granted: false), to: message.from, promising: true)
        default: break
        }
    }

    /// The sender leads the term.
    private mutating func hear(_ sender: Member) -> Bool {
        if role == .leader {
            fault = .twoLeaders(term)
            return false
        }
        if role == .follower {
            leader = sender
            electionElapsed = 0
        } else {
            becomeFollower(term, leader: sender)
        }
        return true
    }

    private func withoutStores(_ message: Message) -> Message {
        var message = message
        if message.to.node == id.node { message.to = id }
        let node = message.from.node
        message.from = configuration.members.first { $0.node == node } ?? message.from
        return message
    }
}
