import Identifiers

/// What the owner of an epoch does.
extension Replica {
    // MARK: Taking over (`cluster.md` 2.5.2)

    mutating func activate(
        _ configuration: PartitionConfiguration, _ now: UInt64, _ effects: inout [ReplicaEffect]
    ) {
        standDown(&effects)
        if configuration.epoch > promised { adopt(configuration.epoch, &effects) }
        lastOwned = configuration.epoch
        owner = Ownership(
            epoch: configuration.epoch, start: log.end.position,
            inSync: configuration.inSync.filter { $0 != me.replica }, since: now)
        arrangePeers(configuration, now)
        leadIfReady(&effects)
        dropLeaving(now, &effects)
    }

    /// The first record of the epoch may be written once the epoch and everything before it are on disk (R10,
    /// R18), and once nobody in sync has more (R20).
    mutating func leadIfReady(_ effects: inout [ReplicaEffect]) {
        guard let epoch = owner?.epoch, owner?.hasLed == false, promisedDurable >= epoch, knowsOfNoMore
        else { return }
        owner?.hasLed = true
        effects.append(.lead(epoch, after: log.end))
    }

    /// A new decision about the in-sync set in the owner's epoch. Whatever was asked for under an earlier
    /// revision cannot be applied any more.
    mutating func reconfigure(
        _ configuration: PartitionConfiguration, _ now: UInt64, _ effects: inout [ReplicaEffect]
    ) {
        owner?.pendingAdds = []
        owner?.inSync = configuration.inSync.filter { $0 != me.replica }
        owner?.nextProposalAt = 0
        arrangePeers(configuration, now)
        for index in owner?.peers.indices ?? 0..<0 { owner?.peers[index].isJoining = false }
        leadIfReady(&effects)
        advanceCommit(&effects)
        releaseReads(&effects)
        dropLeaving(now, &effects)
    }

    /// Who is gone, or no longer wanted, can change without the rest of the configuration.
    mutating func learn(
        from new: PartitionConfiguration, _ now: UInt64, _ effects: inout [ReplicaEffect]
    ) {
        guard let former = configuration, former != new else { return }
        configuration?.leaving = new.leaving
        configuration?.replaced = new.replaced
        configuration?.inSyncMin = new.inSyncMin
        if new.leaving.contains(where: { !former.leaving.contains($0) }) { owner?.nextProposalAt = 0 }
        advanceCommit(&effects)
        dropLeaving(now, &effects)
    }

    private mutating func arrangePeers(_ configuration: PartitionConfiguration, _ now: UInt64) {
        let wanted = Set(configuration.inSync + configuration.learners).subtracting([me.replica])
        var peers = (owner?.peers ?? []).filter { wanted.contains($0.replica) }
        for replica in wanted where !peers.contains(where: { $0.replica == replica }) {
            var progress = Progress(replica: replica, next: log.end.position.next)
            progress.behindSince = now
            peers.append(progress)
        }
        owner?.peers = peers.sorted { $0.replica < $1.replica }
    }

    mutating func append(_ records: [LogRecord], _ effects: inout [ReplicaEffect]) {
        // Records come only from the host that was told to lead, sealed behind one another.
        guard owner?.hasLed == true, !records.isEmpty else { return }
        for record in records { log.append(record) }
        write(.append(records), &effects)
        trim()
    }

    /// A record is committed when it is on disk at every member that counts, this one included (R1).
    mutating func advanceCommit(_ effects: inout [ReplicaEffect]) {
        guard let owner else { return }
        var position = durable
        if rules.contains(.allInSyncCommit) {
            for replica in owner.required {
                let progress = owner.peers.first { isSame($0.replica, replica) }
                position = min(position, progress?.match ?? .zero)
            }
        }
        for peer in owner.peers where peer.isJoining { position = min(position, peer.match) }
        if position > owner.start { self.owner?.knowsLog = true }
        // The set is as it is, so that another copy can be let in; but nobody is told anything.
        guard owner.inSync.count + 1 >= configuration?.inSyncMin ?? 1 else { return }
        guard position > committed || !owner.isServing else { return }
        if position > committed {
            committed = position
            effects.append(.committed(position))
            trim()
        }
        if !owner.isServing, committed > owner.start {
            self.owner?.isServing = true
            isProven = true
            effects.append(.serve(owner.epoch))
        }
    }

    func isSame(_ a: ReplicaID, _ b: ReplicaID) -> Bool {
        a.node == b.node && (a.store == b.store || !rules.contains(.membersAreStores))
    }

    // MARK: Answers

    private func peerIndex(_ sender: NodeLife) -> Int? {
        owner?.peers.firstIndex { isSame($0.replica, sender.replica) }
    }

    mutating func acknowledged(
        _ position: LogPosition, by sender: NodeLife, _ now: UInt64, _ effects: inout [ReplicaEffect]
    ) {
        // A store that is no member does not count, whatever its node is called (R12).
        guard let index = peerIndex(sender), position <= log.end.position else { return }
        owner?.peers[index].process = sender
        owner?.peers[index].advance(to: position, end: log.end.position, now)
        advanceCommit(&effects)
        trim()
    }

    mutating func mismatched(
        _ probe: UInt64, _ end: LogPosition, _ epochs: [EpochStart], at sender: NodeLife, _ now: UInt64
    ) {
        guard let index = peerIndex(sender), var peer = owner?.peers[index], probe == peer.probes else {
            return
        }
        peer.process = sender
        defer { owner?.peers[index] = peer }
        guard peer.state == .probe else { return peer.probe() }
        peer.hasAnswered = true
        let agreed = min(log.agreement(with: epochs, end: end), log.end.position)
        peer.waitingSince = nil
        peer.probes += 1
        peer.forgetInFlight()
        peer.next = min(agreed.next, LogPosition(rawValue: max(1, peer.next.rawValue - 1)))
        if agreed < peer.match {
            // It has acknowledged what it does not have: its disk has lost it (R13).
            peer.match = agreed
            peer.behindSince = 0
        }
    }

    mutating func linkChanged(_ node: NodeID, _ now: UInt64) {
        guard let count = owner?.peers.count else { return }
        forgetAnswer(of: node)
        for index in 0..<count where owner?.peers[index].replica.node == node {
            owner?.peers[index].probe()
        }
    }

    // MARK: Linearizable reads without clocks (`cluster.md` 2.5.4)

    mutating func confirmRead(_ id: UInt64, _ now: UInt64, _ effects: inout [ReplicaEffect]) {
        guard let owner, owner.isServing else { return effects.append(.readLost(id)) }
        let missing = owner.required
        guard !missing.isEmpty else { return effects.append(.readConfirmed(id)) }
        let round = owner.nextRound
        self.owner?.nextRound += 1
        self.owner?.reads.append(ReadRound(id: id, round: round, since: now, missing: missing))
        for replica in missing {
            effects.append(.send(.confirm(epoch: owner.epoch, round: round), to: replica.node))
        }
    }

    mutating func confirmed(_ round: UInt64, by sender: NodeLife, _ effects: inout [ReplicaEffect]) {
        var reads = owner?.reads ?? []
        for index in reads.indices where reads[index].round <= round {
            reads[index].missing.removeAll { isSame($0, sender.replica) }
        }
        finish(reads, &effects)
    }

    /// Who does not count any more cannot be granted the next epoch, so reads need not wait for it.
    private mutating func releaseReads(_ effects: inout [ReplicaEffect]) {
        var reads = owner?.reads ?? []
        let required = owner?.required ?? []
        for index in reads.indices { reads[index].missing.removeAll { !required.contains($0) } }
        finish(reads, &effects)
    }

    private mutating func finish(_ reads: [ReadRound], _ effects: inout [ReplicaEffect]) {
        for read in reads where read.missing.isEmpty { effects.append(.readConfirmed(read.id)) }
        owner?.reads = reads.filter { !$0.missing.isEmpty }
    }

    // MARK: Changes of the in-sync set (`cluster.md` 2.6.4)

    mutating func tick(_ now: UInt64, _ effects: inout [ReplicaEffect]) {
        guard let epoch = owner?.epoch, let configuration, configuration.epoch == epoch else { return }
        for index in owner?.peers.indices ?? 0..<0 {
            guard let since = owner?.peers[index].waitingSince,
                now >= since &+ settings.resendAfterMicros
            else { continue }
            owner?.peers[index].doubt()
        }
        noteCaughtUp(now)
        advanceCommit(&effects)
        handOverIfBehind(now, &effects)
        proposeChange(configuration, now, &effects)
        for read in owner?.reads ?? [] {
            for replica in read.missing {
                effects.append(.send(.confirm(epoch: epoch, round: read.round), to: replica.node))
            }
        }
    }

    private mutating func propose(
        _ change: InSyncChange, _ now: UInt64, _ effects: inout [ReplicaEffect]
    ) {
        guard let configuration else { return }
        owner?.nextProposalAt = now + settings.shrinkAfterMicros
        if case .add(let life) = change, owner?.pendingAdds.contains(life) == false,
            rules.contains(.maximalInSync)
        {
            owner?.pendingAdds.append(life)
        }
        if case .drop(let replica) = change, !rules.contains(.shrinkByControlPlane) {
            owner?.inSync.removeAll { $0 == replica }
            advanceCommit(&effects)
        }
        effects.append(
            .propose(
                MembershipRequest(
                    partition: partition, epoch: configuration.epoch, revision: configuration.revision,
                    change: change)))
    }

    /// Asks at once for the removal of a member that will not answer, so that all partitions of a node that
    /// went down ask in one round. Everything that was ever acknowledged is on this process's disk (R4), so
    /// it may: another node could only guess whose disk is still there (R19).
    private mutating func dropLeaving(_ now: UInt64, _ effects: inout [ReplicaEffect]) {
        guard let owner, let configuration, configuration.epoch == owner.epoch, now >= owner.nextProposalAt,
            let member = configuration.inSync.first(where: {
                $0 != me.replica && configuration.leaving.contains($0) && mayDoWithout($0, now)
            })
        else { return }
        propose(.drop(member), now, &effects)
    }

    private mutating func proposeChange(
        _ configuration: PartitionConfiguration, _ now: UInt64, _ effects: inout [ReplicaEffect]
    ) {
        guard let owner, now >= owner.nextProposalAt else { return }
        for peer in owner.peers
        where configuration.inSync.contains(peer.replica) && mayDoWithout(peer.replica, now) {
            let isStuck = peer.behindSince.map { now >= $0 &+ settings.shrinkAfterMicros } ?? false
            // Without anything to write, reads are what waits for it.
            let isDeaf = owner.reads.contains {
                now >= $0.since &+ settings.shrinkAfterMicros && $0.missing.contains(peer.replica)
            }
            guard isStuck || isDeaf || peer.needsSnapshot || configuration.leaving.contains(peer.replica)
            else {
                continue
            }
            return propose(.drop(peer.replica), now, &effects)
        }
        // An addition that was asked for is asked for again until its outcome is known (R3).
        for life in owner.pendingAdds {
            if let process = owner.peers.first(where: { $0.replica == life.replica })?.process {
                return propose(.add(process), now, &effects)
            }
        }
        // Before its own first record is committed, an owner does not know how far the log is: a learner that
        // has all of what it knows could still lack something that was acknowledged (R9).
        guard owner.knowsLog || !rules.contains(.caughtUpPastStart) else { return }
        let needed = rules.contains(.caughtUpPastStart) ? max(committed, owner.start.next) : committed
        for (index, peer) in owner.peers.enumerated() where !configuration.inSync.contains(peer.replica) {
            guard isCaughtUp(peer, now), !peer.needsSnapshot, let process = peer.process,
                !configuration.leaving.contains(peer.replica)
            else { continue }
            // What is committed without it is never more than it has from now on.
            self.owner?.peers[index].isJoining = peer.match < needed
            if peer.match >= needed { return propose(.add(process), now, &effects) }
        }
    }

    private func isCaughtUp(_ peer: Progress, _ now: UInt64) -> Bool {
        guard let since = peer.caughtUpSince else { return false }
        return now >= since &+ settings.expandAfterMicros
    }

    private mutating func noteCaughtUp(_ now: UInt64) {
        let end = log.end.position
        for index in owner?.peers.indices ?? 0..<0 {
            owner?.peers[index].noteCaughtUp(end: end, patience: settings.resendAfterMicros, now)
        }
    }

    /// A life that is over is not added any more, and neither are those before it; a later one may be.
    mutating func lost(_ change: MembershipRequest, _ now: UInt64) {
        guard let owner, change.epoch == owner.epoch, change.revision == configuration?.revision else {
            return
        }
        self.owner?.nextProposalAt = min(owner.nextProposalAt, now + settings.proposeAgainAfterMicros)
    }

    mutating func refused(_ change: MembershipRequest, _ effects: inout [ReplicaEffect]) {
        guard let configuration, change.epoch == owner?.epoch, change.revision == configuration.revision,
            case .add(let refused) = change.change, let owner
        else { return }
        func isOver(_ life: NodeLife) -> Bool {
            life.node == refused.node && life.incarnation <= refused.incarnation
        }
        self.owner?.pendingAdds.removeAll(where: isOver)
        // Its next life is asked for after it has shown itself.
        for index in owner.peers.indices where owner.peers[index].process.map(isOver) ?? false {
            self.owner?.peers[index].process = nil
            self.owner?.peers[index].probe()
        }
        releaseReads(&effects)
    }
}

extension Progress {
    /// Whoever keeps reaching where the log ended before is caught up.
    mutating func noteCaughtUp(end: LogPosition, patience: UInt64, _ now: UInt64) {
        if goal.map({ match >= $0 }) ?? true {
            if goal != nil, caughtUpSince == nil { caughtUpSince = now }
            (goal, goalSince) = (end, now)
        } else if now >= goalSince &+ patience {
            (caughtUpSince, isJoining) = (nil, false)
        }
    }

    /// Takes note of an acknowledgement.
    mutating func advance(to position: LogPosition, end: LogPosition, _ now: UInt64) {
        if position > match {
            match = position
            behindSince = position < end ? now : nil
        } else if match >= end {
            behindSince = nil
        }
        if next <= match { next = match.next }
        while let first = inFlight.first, first.end <= match {
            inFlightBytes -= first.bytes
            inFlight.removeFirst()
        }
        waitingSince = inFlight.isEmpty ? nil : now
        hasAnswered = true
        if state == .probe {
            guard !inFlight.isEmpty || next == match.next else {
                // It has less than it was asked about, and says so in answer to something older.
                next = match.next
                probes += 1
                return
            }
            state = .stream
            // It follows the log after all, perhaps because what it needed was already on its way.
            needsSnapshot = false
        }
    }
}
