import Identifiers

/// What the owner of an epoch knows of its replicas.
public struct Ownership: Sendable {
    public let epoch: Epoch
    /// The end of the log when this process became the owner (R9).
    let start: LogPosition
    var hasLed = false
    /// Its first record is on disk at everybody who counts, and so is everything before (R9). It is not
    /// committed by that if they are too few.
    var knowsLog = false
    public internal(set) var isServing = false
    /// The lives whose addition was asked for: they count until it is known that they were not added (R3).
    /// Two lives of one replica can be asked for at once, and the refusal of one says nothing about the
    /// other.
    public internal(set) var pendingAdds: [NodeLife] = []
    /// The other in-sync replicas, and the learners, in order.
    public internal(set) var peers: [Progress] = []
    /// Members that count, besides this one; a copy of the configuration's, so that a broken rule shows.
    var inSync: [ReplicaID]
    var reads: [ReadRound] = []
    package var readCount: Int { reads.count }
    var nextRound: UInt64 = 1
    var nextProposalAt: UInt64 = 0
    /// When this process was granted the epoch.
    let since: UInt64
    /// By member, what it said of its log before the epoch's first record (R20).
    var answers: [ReplicaID: LogAnswer] = [:]
    var nextAskAt: UInt64 = 0

    /// Who must have a record before it is committed, besides this replica (R1, R3).
    var required: [ReplicaID] {
        var required = inSync
        for life in pendingAdds where !required.contains(life.replica) { required.append(life.replica) }
        return required
    }
}

/// How far the log of a member reaches, compared with this one.
struct LogAnswer: Sendable {
    var life: NodeLife
    var isAhead: Bool
}

/// How far another replica has come, and how it is fed.
public struct Progress: Sendable {
    enum State {
        /// One append is on its way, to learn where the logs agree.
        case probe
        case stream
        /// The journal is being read.
        case reading
        case snapshot
    }

    public let replica: ReplicaID
    /// The process that last answered; an addition names it (R8).
    public internal(set) var process: NodeLife?
    /// Everything up to here is on the replica's disk.
    public internal(set) var match = LogPosition.zero
    var next: LogPosition
    var state = State.probe
    /// How often probing has begun.
    var probes: UInt64 = 0
    /// Whether it has said anything since probing began. Nothing is read for it before, and no records are
    /// sent: it may be away for long.
    var hasAnswered = false
    /// The ends of the appends on their way, and their bytes.
    var inFlight: [(end: LogPosition, bytes: Int)] = []
    package internal(set) var inFlightBytes = 0
    /// The end of what was sent last.
    var sentMark = LogMark.origin
    /// Since when something is unanswered.
    var waitingSince: UInt64?
    /// Since when the replica is behind the log's end without any progress.
    var behindSince: UInt64?
    /// Where the log ended when the replica last was that far, and when that was: whoever keeps reaching
    /// it is caught up, although under load it never has everything.
    var goal: LogPosition?
    var goalSince: UInt64 = 0
    var caughtUpSince: UInt64?
    /// Nothing is committed without it any more, so that soon it has everything and can be asked for (R9).
    var isJoining = false
    var lastSentAt: UInt64 = 0
    var announced = LogPosition.zero
    /// The journal does not reach back to what it needs.
    var needsSnapshot = false

    init(replica: ReplicaID, next: LogPosition) {
        self.replica = replica
        self.next = next
    }

    /// Nothing was heard for a while: asks whether what was sent has arrived, which may only be slow.
    mutating func doubt() {
        guard state == .probe || state == .stream else { return }
        state = .probe
        probes += 1
        hasAnswered = false
        waitingSince = nil
    }

    /// Begins anew after what is known to have arrived.
    mutating func probe() {
        guard state == .probe || state == .stream else { return }
        state = .probe
        probes += 1
        hasAnswered = false
        next = LogPosition(rawValue: max(1, match.rawValue + 1))
        forgetInFlight()
        waitingSince = nil
    }

    mutating func forgetInFlight() {
        inFlight = []
        inFlightBytes = 0
    }
}

/// A read that waits until every replica that could be promoted has confirmed the epoch.
struct ReadRound: Sendable {
    var id: UInt64
    var round: UInt64
    /// When it was asked for.
    var since: UInt64
    var missing: [ReplicaID]
}
