import Identifiers

/// How the owner feeds its replicas: without records until a replica says something, one append at a time
/// until it is known where the logs agree, then as many as the window holds.
extension Replica {
    mutating func flush(_ now: UInt64, _ effects: inout [ReplicaEffect]) {
        askMembers(now, &effects)
        // Before its first record, an owner has nothing to say.
        guard let count = owner?.peers.count, let start = owner?.start, log.end.position > start else {
            return
        }
        for index in 0..<count { feed(index, now, &effects) }
    }

    private mutating func feed(_ index: Int, _ now: UInt64, _ effects: inout [ReplicaEffect]) {
        while let peer = owner?.peers[index] {
            switch peer.state {
            case .reading, .snapshot: return
            case .probe where peer.waitingSince != nil: return
            case .probe, .stream: break
            }
            let isBehind = peer.next <= log.end.position
            let mustProbe = peer.state == .probe
            let mustAnnounce =
                committed > peer.announced && now >= peer.lastSentAt &+ settings.announceAfterMicros
            let hasRoom = peer.inFlightBytes < settings.windowBytesMax
            guard mustProbe || isBehind && hasRoom || mustAnnounce && !isBehind else { return }
            if mustProbe, !peer.hasAnswered { return ask(index, now, &effects) }
            guard let append = nextAppend(peer) else { return read(index, &effects) }
            send(append, index, now, &effects)
            if append.records.isEmpty || mustProbe { return }
        }
    }

    /// Asks where the logs agree, without any records: behind what was sent last if its mark is known, else
    /// from what is in memory.
    private mutating func ask(_ index: Int, _ now: UInt64, _ effects: inout [ReplicaEffect]) {
        guard let owner else { return }
        let peer = owner.peers[index]
        let known = LogPosition(rawValue: peer.next.rawValue - 1)
        var previous = peer.sentMark
        if known == .zero || known != previous.position {
            if known > .zero, let mark = log.mark(at: known) {
                previous = mark
            } else {
                // An empty log is no answer: nothing is acknowledged of it.
                previous = log.base.position > .zero ? log.base : log.end
                self.owner?.peers[index].forgetInFlight()
            }
        }
        self.owner?.peers[index].next = previous.position.next
        send(
            Append(
                epoch: owner.epoch, probe: peer.probes, previous: previous, committed: committed,
                records: []), index, now, &effects)
    }

    /// What the replica needs next; nil if it is not in memory.
    private func nextAppend(_ peer: Progress) -> Append? {
        guard let owner, let previous = log.mark(at: LogPosition(rawValue: peer.next.rawValue - 1)) else {
            return nil
        }
        var records: [LogRecord] = []
        var bytes = 0
        var position = peer.next
        while let record = log.record(at: position) {
            guard !record.bytes.isEmpty else {
                if records.isEmpty { return nil }
                break
            }
            guard records.isEmpty || bytes + record.bytes.count <= settings.appendBytesMax else { break }
            records.append(record)
            bytes += record.bytes.count
            position = position.next
        }
        return Append(
            epoch: owner.epoch, probe: peer.probes, previous: previous, committed: committed, records: records
        )
    }

    private mutating func send(
        _ append: Append, _ index: Int, _ now: UInt64, _ effects: inout [ReplicaEffect]
    ) {
        guard let node = owner?.peers[index].replica.node else { return }
        owner?.peers[index].sent(append, now)
        effects.append(.send(.append(append), to: node))
    }

    // MARK: What is no longer in memory

    private mutating func read(_ index: Int, _ effects: inout [ReplicaEffect]) {
        guard let peer = owner?.peers[index] else { return }
        owner?.peers[index].state = .reading
        effects.append(
            .readLog(
                for: peer.replica, after: LogPosition(rawValue: peer.next.rawValue - 1),
                bytesMax: settings.appendBytesMax))
    }

    mutating func logRead(
        _ replica: ReplicaID, _ position: LogPosition, _ records: [LogRecord]?, _ now: UInt64,
        _ effects: inout [ReplicaEffect]
    ) {
        guard let owner, let index = owner.peers.firstIndex(where: { $0.replica == replica }),
            owner.peers[index].state == .reading
        else { return }
        guard let records, let first = records.first else {
            self.owner?.peers[index].state = .probe
            self.owner?.peers[index].waitingSince = now
            return needSnapshot(index, &effects)
        }
        self.owner?.peers[index].state = .probe
        self.owner?.peers[index].waitingSince = nil
        let previous = LogMark(
            position: position, epoch: log.epoch(at: position), hash: first.previousHash)
        send(
            Append(
                epoch: owner.epoch, probe: owner.peers[index].probes, previous: previous,
                committed: committed, records: records), index, now, &effects)
    }

    /// The journal does not reach back far enough, or what the replica has is damaged. A member is dropped
    /// first: a snapshot may lie before what it has acknowledged.
    private mutating func needSnapshot(_ index: Int, _ effects: inout [ReplicaEffect]) {
        guard let owner else { return }
        let peer = owner.peers[index]
        self.owner?.peers[index].needsSnapshot = true
        guard !owner.required.contains(peer.replica), peer.state != .snapshot else { return }
        self.owner?.peers[index].state = .snapshot
        effects.append(.sendSnapshot(to: peer.replica))
    }

    mutating func foundDamaged(_ sender: NodeLife, _ effects: inout [ReplicaEffect]) {
        guard let index = owner?.peers.firstIndex(where: { $0.replica == sender.replica }) else { return }
        owner?.peers[index].process = sender
        guard !isAsking else {
            owner?.peers[index].needsSnapshot = true
            return
        }
        needSnapshot(index, &effects)
    }

    mutating func snapshotEnded(_ replica: ReplicaID, _ now: UInt64) {
        guard let index = owner?.peers.firstIndex(where: { $0.replica == replica }),
            owner?.peers[index].state == .snapshot
        else { return }
        owner?.peers[index].state = .probe
        owner?.peers[index].needsSnapshot = false
        owner?.peers[index].probe()
        // Where the snapshot ends is known here only by its answer to the log's end.
        owner?.peers[index].next = log.end.position.next
    }
}

extension Progress {
    /// Takes note of what is on its way.
    mutating func sent(_ append: Append, _ now: UInt64) {
        if let last = append.records.last {
            let bytes = append.records.reduce(0) { $0 + $1.bytes.count }
            next = last.mark.position.next
            sentMark = last.mark
            inFlight.append((last.mark.position, bytes))
            inFlightBytes += bytes
            if behindSince == nil { behindSince = now }
        }
        if waitingSince == nil, !append.records.isEmpty || state == .probe { waitingSince = now }
        lastSentAt = now
        announced = append.committed
    }
}
