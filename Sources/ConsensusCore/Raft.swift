import TimeAndChance

/// One replica of a log that survives as long as a majority of its voters does: Raft (Ongaro and Ousterhout,
/// 2014; Ongaro's thesis, 2014) as a value.
///
/// It has no clock, network or disk. Something happens, `handle` says what to do about it, and the driver
/// does it:
///
/// 1. `write` goes to disk in one transaction, synchronous to the platter; writes keep their order. When it
///    is durable, the driver says `persisted`. Between the two, other events may be handled.
/// 2. `messages` leave, at once, in any order; losing or repeating them is allowed. Whatever rests on a write
///    is kept back in here until the write is durable, so there is nothing to wait for.
/// 3. `restore`, then `committed`, then `reads` go to the state machine, in this order.
/// 4. If a write fails, for whatever reason, the process stops (R14): there is no event for it. The entries
///    of a failed write may be on other replicas already, and a leader that went on could put others in
///    their place under the same term. A process that starts again is a follower, and leads in a later term.
/// 5. The same holds for `fault`.
///
/// After a start the value is made again from what is on disk.
public struct Raft: Sendable {
    public let id: Member
    public let settings: Settings
    var random: SplitMix64
    package var mutations: Mutations = []

    // Durable, as far as `persistence` says.
    var hardState: HardState
    var log: Log
    var snapshot: Snapshot
    var persistence: Persistence

    public internal(set) var role = Role.follower
    /// Who leads in the term, if it is known.
    public internal(set) var leader: Member?
    /// Everything up to here stays for ever.
    public internal(set) var commit: Index
    /// Up to here the state machine has been given the log.
    public internal(set) var applied: Index

    var electionElapsed = 0
    var electionDeadline = 0
    var ballot = Ballot()
    var leadership = Leadership()
    var incoming: IncomingSnapshot?
    /// An installed snapshot that the state machine has not been given, because it is not durable yet.
    var pendingRestore: Snapshot?
    var compactionAsked = false
    /// The size of the applied entries behind the snapshot.
    var appliedBytes = 0
    var output = Output()
    var fault: Fault?

    /// - Parameter state: what is on disk; `PersistentState()` for a disk that was only formatted.
    /// - Parameter seed: differs from replica to replica, or their elections collide.
    public init(
        id: Member, state: PersistentState, settings: Settings = Settings(), seed: UInt64
    ) throws(Inconsistency) {
        // An election time without a heartbeat in it would depose every leader; a setting, not an input.
        precondition(settings.electionTicks > settings.heartbeatTicks && settings.heartbeatTicks > 0)
        try state.check()
        self.id = id
        self.settings = settings
        random = SplitMix64(seed: seed)
        hardState = state.hardState
        snapshot = state.snapshot
        log = Log(snapshot: state.snapshot, entries: state.entries)
        persistence = Persistence(durable: log.last.index)
        commit = state.snapshot.position.index
        applied = state.snapshot.position.index
        restartElectionTimer()
    }

    public var term: Term { hardState.term }

    /// The members as of the end of the log.
    public var configuration: Configuration { log.configuration }

    /// The last entry that is in the snapshot on this replica.
    public var snapshotIndex: Index { snapshot.position.index }

    /// The end of the log, committed or not, durable or not.
    public var lastPosition: Position { log.last }

    /// The end of what is durable on this replica.
    public var durableIndex: Index { persistence.durable }

    /// The term of an entry; nil if it is compacted away or not there.
    package func term(at index: Index) -> Term? { log.term(at: index) }

    /// Takes what happened and says what to do about it.
    public mutating func handle(_ event: Event) -> Output {
        guard fault == nil else { return stopped() }
        switch event {
        case .tick: tick()
        case .message(let message): receive(message)
        case .propose(let proposals): propose(proposals)
        case .read(let token): read(token)
        case .change(let token, let change): self.change(token, change)
        case .transfer(let token, let target): transfer(token, to: target)
        case .compact(let index, let state): compact(through: index, state: state)
        case .persisted(let number): persisted(number)
        }
        return finish()
    }

    /// Everything that follows from the event is decided; this collects it.
    private mutating func finish() -> Output {
        if role == .leader, fault == nil { lead() }
        handOutCommitted()
        if fault != nil { return stopped() }
        output.write = persistence.takeWrite(hardState: hardState, snapshot: snapshot, log: log)
        output.messages += persistence.releaseMessages(heldMax: settings.heldMessagesMax)
        defer { output = Output() }
        return output
    }

    private func stopped() -> Output {
        var output = Output()
        output.fault = fault
        return output
    }

    /// Only what is durable here is applied: a state machine that shares the disk is never ahead of the log.
    private mutating func handOutCommitted() {
        if let restore = pendingRestore, persistence.durable >= restore.position.index {
            pendingRestore = nil
            output.restore = restore
            applied = restore.position.index
            (appliedBytes, compactionAsked) = (0, false)
        }
        let end = min(commit, persistence.durable)
        if pendingRestore == nil, applied < end {
            output.committed = Array(log.entries(applied + 1...end))
            applied = end
            appliedBytes += output.committed.reduce(0) { $0 + $1.costBytes }
        }
        if appliedBytes > settings.compactionBytes, !compactionAsked {
            compactionAsked = true
            output.compactionDue = true
        }
        output.reads += leadership.reads.takeReady(applied: applied)
    }

    /// - Parameter promising: rests on what has been written up to now, this event's write included.
    mutating func send(_ body: Message.Body, to member: Member, term: Term? = nil, promising: Bool) {
        let message = Message(from: id, to: member, term: term ?? self.term, body: body)
        if promising, !mutations.contains(.answersBeforeWrite) {
            persistence.hold(message)
        } else {
            output.messages.append(message)
        }
    }

    mutating func refuse(_ token: UInt64, _ reason: Refusal) {
        output.refused.append(Refused(token: token, reason: reason))
    }
}
