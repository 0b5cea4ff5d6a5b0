import ConsensusCore
import Identifiers

/// How scripts and traces write things down: nodes by number, with a letter for a store that is not the
/// first; positions as term/index.
extension Raft.Member {
    init(number: Int, generation: Int) {
        self.init(
            node: NodeID(rawValue: UInt64(number)),
            store: StoreID(high: UInt64(number), low: UInt64(generation)))
    }

    var number: Int { Int(node.rawValue) }
    var generation: Int { Int(store.low) }

    var name: String {
        guard generation > 0 else { return "\(number)" }
        return "\(number)" + String(UnicodeScalar(UInt8(ascii: "a") + UInt8(min(generation, 25))))
    }
}

extension Raft.Position {
    var name: String { "\(term)/\(index)" }
}

extension Raft.Configuration {
    var name: String {
        let voters = voters.map(\.name).joined(separator: " ")
        return learners.isEmpty ? voters : voters + " + " + learners.map(\.name).joined(separator: " ")
    }
}

extension Raft.Entry {
    var text: String {
        switch payload {
        case .noop: "\(position.name) noop"
        case .command(let bytes): "\(position.name) \(String(decoding: bytes, as: UTF8.self))"
        case .configuration(let configuration): "\(position.name) members(\(configuration.name))"
        }
    }
}

extension Raft.Message {
    var text: String {
        let head = "\(from.name)>\(to.name) t\(term) "
        switch body {
        case .preVote(let last): return head + "pre-vote? last \(last.name)"
        case .preVoteResponse(let granted): return head + "pre-vote \(granted ? "yes" : "no")"
        case .vote(let last, let transfer):
            return head + "vote? last \(last.name)" + (transfer ? " (transfer)" : "")
        case .voteResponse(let granted): return head + "vote \(granted ? "yes" : "no")"
        case .append(let append):
            let entries = append.entries.map(\.text).joined(separator: ", ")
            return head + "append after \(append.previous.name) [\(entries)] commit \(append.commit)"
                + roundText(append.round)
        case .appendResponse(let response):
            switch response.result {
            case .accepted(let match): return head + "accepted \(match)" + roundText(response.round)
            case .rejected(let previous, let hint): return head + "rejected \(previous), hint \(hint.name)"
            }
        case .snapshot(let chunk):
            return head + "snapshot \(chunk.position.name) bytes \(chunk.offset)+\(chunk.bytes.count)"
                + " of \(chunk.stateBytes)"
        case .snapshotResponse(let response):
            return head + "received \(response.receivedBytes) of \(response.position.name)"
        case .timeoutNow: return head + "timeout-now"
        }
    }

    private func roundText(_ round: UInt64) -> String { round == 0 ? "" : " round \(round)" }
}

extension Raft {
    var roleText: String {
        switch role {
        case .follower: "follows t\(term)"
        case .preCandidate: "asks before t\(term + 1)"
        case .candidate: "stands t\(term)"
        case .leader: "leads t\(term)"
        }
    }
}

extension Raft.PersistentState {
    /// Nil for an entry that is not there.
    func term(at index: Raft.Index) -> Raft.Term? {
        guard let first = entries.first?.index, index >= first, index - first < entries.count else {
            return nil
        }
        return entries[Int(index - first)].term
    }

    /// The members as of the end of the log.
    var configuration: Raft.Configuration {
        for entry in entries.reversed() where entry.index > snapshot.position.index {
            if case .configuration(let configuration) = entry.payload { return configuration }
        }
        return snapshot.configuration
    }
}

extension Raft.Change {
    var text: String {
        switch self {
        case .addLearner(let member): "add \(member.name)"
        case .promote(let member): "promote \(member.name)"
        case .remove(let member): "remove \(member.name)"
        }
    }
}

extension Raft.Refusal {
    var text: String {
        guard case .notLeader(let leader) = self else { return "\(self)" }
        return leader.map { "the leader is \($0.name)" } ?? "no leader"
    }
}
