import Identifiers

/// What an owner does before its epoch's first record if its process has only its disk's word for its log
/// (R20).
///
/// A disk that was set back to an image of the same life, or copied from a process that ran on, looks like
/// the disk of a process that crashed: no incarnation tells them apart (R15). The other members can: whatever
/// was acknowledged is on their disks (R1). So the process asks each of them how far its log reaches, and if
/// one reaches further, has the epoch after this one granted to that one. An election in Raft asks the same
/// (Ongaro, "Consensus: Bridging Theory and Practice", 3.6.1). Who was a member all along, in this life,
/// need not ask: it knows what it has acknowledged.
extension Replica {
    /// A place in the log that nobody has: whoever is asked what follows it says where its log ends.
    static let nowhere = LogPosition(rawValue: 1 << 62)
    /// No attempt to find out where logs agree has this number, so a late answer is not taken for one.
    static let askingProbe: UInt64 = 1 << 62

    /// Whether this process owns the epoch and must not begin it yet.
    var isAsking: Bool {
        guard let owner, !owner.hasLed else { return false }
        return rules.contains(.asksBeforeItBegins) && !isProven
    }

    /// Whether every other member's log is known to end where this one does, or before.
    var knowsOfNoMore: Bool {
        guard isAsking, let owner else { return true }
        return owner.inSync.allSatisfy { owner.answers[$0]?.isAhead == false }
    }

    /// Whether the owner may ask for the member's removal. Before it begins, only if the member's log is
    /// known to be no longer than its own, or nobody can be asked for it any more.
    func mayDoWithout(_ member: ReplicaID, _ now: UInt64) -> Bool {
        guard isAsking, let owner, let configuration else { return true }
        if let answer = owner.answers[member] { return !answer.isAhead }
        return configuration.replaced.contains(member) || now >= owner.since &+ settings.askPatienceMicros
            || owner.peers.contains { $0.replica == member && $0.needsSnapshot }
    }

    /// It is said in the epoch, so the epoch is on disk before (R18). Who hears it takes part in the epoch
    /// from then on, so nothing comes to its log that this process does not send.
    mutating func askMembers(_ now: UInt64, _ effects: inout [ReplicaEffect]) {
        guard isAsking, let owner, promisedDurable >= owner.epoch, now >= owner.nextAskAt else { return }
        self.owner?.nextAskAt = now &+ settings.resendAfterMicros
        for member in owner.inSync where owner.answers[member] == nil {
            let append = Append(
                epoch: owner.epoch, probe: Self.askingProbe,
                previous: LogMark(position: Self.nowhere, epoch: owner.epoch, hash: 0),
                committed: committed, records: [])
            effects.append(.send(.append(append), to: member.node))
        }
    }

    /// A member said where its log ends, all of it on disk. Logs are compared by the epoch of their last
    /// record first, as in Raft: an epoch's first record comes after everything that was committed before.
    mutating func heard(
        _ end: LogPosition, _ epochs: [EpochStart], from sender: NodeLife, _ now: UInt64,
        _ effects: inout [ReplicaEffect]
    ) {
        guard let member = owner?.inSync.first(where: { isSame($0, sender.replica) }) else { return }
        let (mine, theirs) = (log.end, epochs.last?.epoch ?? Epoch(rawValue: 0))
        let isAhead = (theirs, end) > (mine.epoch, mine.position)
        owner?.answers[member] = LogAnswer(life: sender, isAhead: isAhead)
        if isAhead { return handOverIfBehind(now, &effects) }
        leadIfReady(&effects)
    }

    /// The control plane compares and sets (R4): the other one must still be in sync, in the same life.
    mutating func handOverIfBehind(_ now: UInt64, _ effects: inout [ReplicaEffect]) {
        guard isAsking, let owner, let configuration else { return }
        // Who was heard does not answer anything until the epoch begins.
        for index in owner.peers.indices where owner.answers[owner.peers[index].replica] != nil {
            self.owner?.peers[index].behindSince = now
        }
        guard now >= owner.nextProposalAt,
            let answer = owner.inSync.lazy.compactMap({ owner.answers[$0] }).first(where: \.isAhead)
        else { return }
        self.owner?.nextProposalAt = now &+ settings.shrinkAfterMicros
        effects.append(.handOver(to: answer.life, revision: configuration.revision))
    }

    /// The node may have another process by now, with another log.
    mutating func forgetAnswer(of node: NodeID) {
        guard isAsking, let owner else { return }
        for member in owner.answers.keys where member.node == node { self.owner?.answers[member] = nil }
        self.owner?.nextAskAt = 0
    }
}
