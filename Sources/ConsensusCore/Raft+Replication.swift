extension Raft {
    /// Sends every follower what it lacks and may be sent now.
    mutating func replicate() {
        let isHeartbeat = leadership.heartbeatDue
        if isHeartbeat { (leadership.heartbeatDue, leadership.heartbeatElapsed) = (false, 0) }
        for place in leadership.followers.indices {
            if log.term(at: leadership.followers[place].next - 1) == nil { beginSnapshot(place) }
            let sent = sendNews(place)
            if isHeartbeat, !sent { sendHeartbeat(place) }
        }
    }

    private mutating func sendNews(_ place: Int) -> Bool {
        switch leadership.followers[place].mode {
        case .snapshot(let transfer):
            guard !transfer.sent else { return false }
            sendChunk(place, transfer)
            return true
        case .probe(let sent):
            guard !sent else { return false }
            leadership.followers[place].mode = .probe(sent: true)
            sendAppend(place, nextEntries(place))
            return true
        case .replicate(let inFlight):
            return stream(place, inFlight)
        }
    }

    private mutating func stream(_ place: Int, _ before: [Index]) -> Bool {
        var inFlight = before
        while inFlight.count < settings.appendsInFlightMax {
            let entries = nextEntries(place)
            guard let last = entries.last else { break }
            sendAppend(place, entries)
            leadership.followers[place].next = last.index + 1
            inFlight.append(last.index)
        }
        guard inFlight.count == before.count else {
            leadership.followers[place].mode = .replicate(inFlight: inFlight)
            return true
        }
        // Nothing new but the commit index: whoever is up to date may apply at once.
        let follower = leadership.followers[place]
        guard follower.commitSent < commit, follower.commitSent < follower.next - 1 else { return false }
        sendAppend(place, [])
        return true
    }

    private func nextEntries(_ place: Int) -> [Entry] {
        log.entries(from: leadership.followers[place].next, bytesMax: settings.appendBytesMax)
    }

    /// Leaves at once, in parallel to the leader's own write: it promises nothing about the leader's disk.
    private mutating func sendAppend(_ place: Int, _ entries: [Entry]) {
        let follower = leadership.followers[place]
        let previous = Position(term: log.term(at: follower.next - 1) ?? 0, index: follower.next - 1)
        let append = Append(
            previous: previous, entries: entries, commit: commit, round: leadership.reads.round)
        leadership.followers[place].commitSent = min(commit, previous.index + Index(entries.count))
        send(.append(append), to: follower.member, promising: false)
    }

    private mutating func sendHeartbeat(_ place: Int) {
        guard case .snapshot(var transfer) = leadership.followers[place].mode else {
            return sendAppend(place, [])
        }
        transfer.heartbeats += 1
        leadership.followers[place].mode = .snapshot(transfer)
        send(
            .snapshot(chunk(of: transfer, bytes: [])), to: leadership.followers[place].member,
            promising: false)
    }

    private mutating func beginSnapshot(_ place: Int) {
        if case .snapshot = leadership.followers[place].mode { return }
        leadership.followers[place].mode = .snapshot(Progress.Transfer(snapshot: snapshot))
    }

    private mutating func sendChunk(_ place: Int, _ before: Progress.Transfer) {
        var transfer = before
        transfer.sent = true
        transfer.heartbeats = 0
        leadership.followers[place].mode = .snapshot(transfer)
        let state = transfer.snapshot.state
        let end = min(state.count, transfer.offset + settings.snapshotChunkBytes)
        send(
            .snapshot(chunk(of: transfer, bytes: Array(state[transfer.offset..<end]))),
            to: leadership.followers[place].member, promising: false)
    }

    private func chunk(of transfer: Progress.Transfer, bytes: [UInt8]) -> SnapshotChunk {
        SnapshotChunk(
            position: transfer.snapshot.position, configuration: transfer.snapshot.configuration,
            stateBytes: transfer.snapshot.state.count, offset: transfer.offset, bytes: bytes,
            round: leadership.reads.round)
    }
}
