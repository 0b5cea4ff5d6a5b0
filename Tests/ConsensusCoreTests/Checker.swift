import ConsensusCore

/// Sees every replica and every disk, and says what Raft never lets happen (`cluster.md` 4.3, I8).
struct Checker {
    private struct Key: Hashable {
        var number: UInt64
        var member: Raft.Member
    }

    private(set) var violations: [String] = []
    /// Member and life of the leader of each term.
    private var leaders: [Raft.Term: (member: Raft.Member, life: Int)] = [:]
    /// What stands before each entry that was ever written, and in it.
    private var written: [Raft.Position: (previous: Raft.Term, payload: Raft.Entry.Payload)] = [:]
    private var votes: [Key: Raft.Member] = [:]
    /// The term of each entry that any replica ever called committed.
    private(set) var committed: [Raft.Index: Raft.Term] = [:]
    /// The state after each entry that was ever applied.
    private var states: [Raft.Index: UInt64] = [:]
    /// The members from each applied change on.
    private var configurations: [Raft.Index: Raft.Configuration] = [:]
    private(set) var lastApplied: Raft.Index = 0
    /// What was applied, and with that acknowledged, when a read came.
    private var reads: [UInt64: Raft.Index] = [:]

    mutating func forget() { violations = [] }

    mutating func report(_ violation: String) { violations.append(violation) }

    // MARK: Election safety and leader completeness

    mutating func lead(_ node: Node) {
        guard let raft = node.raft else { return }
        if let other = leaders[raft.term] {
            if other.member != node.member || other.life != node.life {
                report("election safety: \(other.member.name) and \(node.member.name) lead term \(raft.term)")
            }
            return
        }
        leaders[raft.term] = (node.member, node.life)
        for (index, term) in committed.sorted(by: { $0.key < $1.key }) { require(raft, index, term) }
    }

    private mutating func require(_ leader: Raft, _ index: Raft.Index, _ term: Raft.Term) {
        guard index > leader.snapshotIndex, leader.term(at: index) != term else { return }
        report(
            "leader completeness: \(leader.id.name), leader of term \(leader.term), lacks \(term)/\(index)")
    }

    // MARK: Log matching

    mutating func write(_ write: Raft.Write, of raft: Raft) {
        for entry in write.entries {
            guard let previous = raft.term(at: entry.index - 1) else { continue }
            if let known = written[entry.position] {
                if known.previous != previous || known.payload != entry.payload {
                    report("log matching: \(raft.id.name) has another entry at \(entry.position.name)")
                }
            } else {
                written[entry.position] = (previous, entry.payload)
            }
        }
    }

    // MARK: State-machine safety

    mutating func commit(_ raft: Raft, from before: Raft.Index, leaders: [Raft]) {
        guard before < raft.commit else { return }
        for index in before + 1...raft.commit {
            guard let term = raft.term(at: index) else { continue }
            if let known = committed[index] {
                if known != term {
                    report("state-machine safety: \(raft.id.name) commits \(term)/\(index), not \(known)")
                }
            } else {
                committed[index] = term
                for leader in leaders where leader.term > raft.term { require(leader, index, term) }
            }
        }
    }

    mutating func apply(
        _ entry: Raft.Entry, giving machine: Machine, at node: Node, after before: Raft.Index
    ) {
        if case .configuration(let members) = entry.payload { configurations[entry.index] = members }
        if machine.index != before + 1 {
            report("apply: \(node.member.name) applies \(machine.index) after \(before)")
        }
        agree(machine, node)
    }

    mutating func agree(_ machine: Machine, _ node: Node) {
        lastApplied = max(lastApplied, machine.index)
        if let known = states[machine.index], known != machine.digest {
            report("state-machine safety: \(node.member.name) has another state at \(machine.index)")
        }
        states[machine.index] = machine.digest
    }

    // MARK: Disks

    /// What a replica takes to be on its disk is there.
    mutating func compare(_ raft: Raft, with disk: Raft.PersistentState) {
        let end = raft.durableIndex
        guard end > disk.snapshot.position.index else { return }
        if disk.term(at: end) != raft.term(at: end) {
            report("durability: \(raft.id.name) counts on \(raft.term(at: end) ?? 0)/\(end), not on its disk")
        }
    }

    /// The members in force are the last in the log, after entries were cut off as well.
    mutating func compareMembers(of raft: Raft, with state: Raft.PersistentState) {
        if raft.configuration != state.configuration {
            report("members: \(raft.id.name) has \(raft.configuration.name), its log another")
        }
    }

    /// A snapshot names the members as of its last entry, and not later ones.
    mutating func compareMembers(in snapshot: Raft.Snapshot, at node: Node) {
        guard snapshot.position.index > 1 else { return }
        let last = configurations.keys.filter { $0 <= snapshot.position.index }.max() ?? 0
        if let known = configurations[last], known != snapshot.configuration {
            report("members: the snapshot of \(node.member.name) has \(snapshot.configuration.name)")
        }
    }

    // MARK: Promises

    /// What leaves a node rests on what is on its disk.
    mutating func leave(_ message: Raft.Message, disk: Raft.PersistentState) {
        let name = message.from.name
        switch message.body {
        case .preVote, .preVoteResponse(granted: true): return
        default: break
        }
        if message.term > disk.hardState.term {
            report("durability: \(name) speaks in term \(message.term), on disk is \(disk.hardState.term)")
        }
        switch message.body {
        case .voteResponse(granted: true):
            let key = Key(number: message.term, member: message.from)
            if let known = votes[key], known != message.to {
                report(
                    "votes: \(name) voted for \(known.name) and \(message.to.name) in term \(message.term)")
            }
            votes[key] = message.to
            if disk.hardState.term == message.term, disk.hardState.vote != message.to {
                report("durability: the vote of \(name) for \(message.to.name) is not on its disk")
            }
        case .appendResponse(let response):
            guard case .accepted(let match) = response.result, disk.hardState.term == message.term else {
                return
            }
            let end = disk.entries.last?.index ?? disk.snapshot.position.index
            if end < match { report("durability: \(name) accepts \(match), on disk is \(end)") }
        default: return
        }
    }

    // MARK: Reads

    mutating func ask(_ token: UInt64) { reads[token] = lastApplied }

    mutating func answer(_ token: UInt64, by node: Node) {
        guard let floor = reads[token], node.machine.index < floor else { return }
        report("linearizable reads: \(node.member.name) shows \(node.machine.index), applied was \(floor)")
    }
}
