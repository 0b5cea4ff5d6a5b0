/// What a leader knows of one follower or learner.
struct Progress: Sendable {
    /// How the leader sends to it.
    enum Mode: Sendable {
        /// One message at a time, until it is known where the logs agree.
        case probe(sent: Bool)
        /// A stream: the last indices of messages that are not answered yet, ascending.
        case replicate(inFlight: [Raft.Index])
        case snapshot(Transfer)
    }

    /// A snapshot under way, one chunk at a time.
    struct Transfer: Sendable {
        var snapshot: Raft.Snapshot
        /// What the follower is known to have.
        var offset = 0
        var sent = false
        /// Heartbeats since the chunk was sent. Only an old chunk is sent again, or answers to heartbeats
        /// would multiply it.
        var heartbeats = 0
    }

    let member: Raft.Member
    /// Up to here its log is the leader's, and durable.
    var match: Raft.Index = 0
    /// The first entry that it has not been sent.
    var next: Raft.Index
    var mode = Mode.probe(sent: false)
    /// Ticks since it was heard; many for one that never was.
    var silentTicks = Int.max >> 1
    /// The last round of confirmation that it answered.
    var round: UInt64 = 0
    /// The last commit index that it was sent.
    var commitSent: Raft.Index = 0

    init(_ member: Raft.Member, next: Raft.Index) {
        self.member = member
        self.next = next
    }

    /// - Parameter logStart: the index of the first entry that can be sent.
    mutating func accept(match accepted: Raft.Index, logStart: Raft.Index) {
        match = max(match, accepted)
        next = max(next, match + 1)
        switch mode {
        case .probe:
            next = match + 1
            mode = .replicate(inFlight: [])
        case .replicate(let inFlight):
            mode = .replicate(inFlight: Array(inFlight.drop { $0 <= match }))
        case .snapshot(let transfer):
            if match + 1 >= logStart {
                next = match + 1
                mode = .replicate(inFlight: [])
            } else if match >= transfer.snapshot.position.index {
                // The log was compacted further meanwhile: another snapshot follows.
                next = match + 1
                mode = .probe(sent: false)
            }
        }
    }

    /// - Parameter agreement: where the leader's log and the follower's can agree at the latest.
    mutating func reject(previous: Raft.Index, agreement: Raft.Index) {
        guard previous > match else { return }
        switch mode {
        case .probe:
            // Any other is the late answer to an earlier probe.
            guard previous + 1 == next else { return }
            next = max(match + 1, min(previous, agreement + 1))
            mode = .probe(sent: false)
        case .replicate:
            // A message was lost. What the follower has accepted stays.
            next = match + 1
            mode = .probe(sent: false)
        case .snapshot: break
        }
    }

    mutating func hear(_ response: Raft.SnapshotResponse) {
        guard case .snapshot(var transfer) = mode, response.position == transfer.snapshot.position,
            response.receivedBytes <= transfer.snapshot.state.count
        else { return }
        guard response.receivedBytes > transfer.offset || transfer.heartbeats > 1 else { return }
        transfer.offset = response.receivedBytes
        transfer.sent = false
        mode = .snapshot(transfer)
    }
}
