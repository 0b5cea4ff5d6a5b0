import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import Logging
import MailboxCore
import PartitionStore
import Synchronization
import TimeAndChance
import TimerCore
import WorkflowCore

/// An actor in memory: its typed instance, its run, its queues, and who waits for it.
///
/// Sound to share: constants aside, everything is touched on the thread of its shard only. What the
/// workflow's task calls (`RunDriver`) goes through `shard.executor.perform`.
final class LiveActor: @unchecked Sendable {
    enum Phase {
        case awake
        /// On the way out of memory; requests are parked until it is gone.
        case departing
        /// Its epoch is over: what its code still does goes nowhere.
        case lost
    }

    /// Wake time of a run that is parked until the next start of a process, which may have other code.
    static let wakeOnStart = UInt64.max
    /// Wake time of a run that was interrupted by an orderly stop: at once, and not counted as a crash.
    static let wakeAtOnce: UInt64 = 1

    /// A cycle while the actor is in memory; a shard lives as long as its process.
    let shard: Shard
    /// The kind's options, read once.
    let options: ActorOptions
    let asyncActions: Set<String>
    /// How many events of which name are kept for later subscribers.
    let retention: [String: Int]
    let address: ActorAddress
    /// The epoch of the partition that it lives in.
    let log: PartitionLog
    var partition: PartitionID { log.id }
    let kind: any ActorKindDefinition
    let instance: any ActorInstance
    let input: [UInt8]?
    var id: ActorID
    var createdAt: UInt64
    var lastPosition = LogPosition.zero
    var phase = Phase.awake

    var core: WorkflowCore
    /// `core.lastVisitedAt`, for the run's code, which may look from another thread.
    let passedAt = Atomic<UInt64>(0)
    /// Names the run in all the world; set before the run starts and constant from then on.
    private(set) var runName: [UInt8] = []
    var mailbox = MailboxCore()
    var deduplication = DeduplicationCore()
    var retainedEvents = RetainedEvents()
    /// nil: not read from storage yet.
    var undeliveredMessages: UndeliveredMessages?

    /// How the run stands, and what of it is stored.
    var run: RunRecord
    private var storedRun: RunRecord
    var storedWake: UInt64?
    /// When a stalled run is to be woken: at the next start, or never.
    var wakeOfStalled: UInt64? = LiveActor.wakeOnStart
    var isRunRecordDirty = false
    /// Whether the code of the run may go on in this life.
    var isRunClosed = false
    var isRunEnded: Bool { run.status.hasEnded || run.status == .stalled }
    var runTask: Task<Void, Never>?
    /// Ride with the next record.
    var pending: [TurnOperation] = []
    /// Attempts that run.
    var steps: [UInt64: StepExecution] = [:]
    /// Steps whose next attempt waits for a commit, or for what becomes of the partition.
    var startingSteps: [UInt64: StepExecution] = [:]
    var waits: [UInt64: RunWait] = [:]
    /// Calls of the run and of actions that have not returned.
    var calls = OpenSet<OpenCall>()
    var nextTicket: UInt64 = 1

    var actions: [UInt64: ActionExecution] = [:]
    /// What turns of actions without a reply have returned; nil: not read from storage yet.
    var actionTurns: [[UInt8]: [UInt8]]?
    var waiters: [ReplyWaiter] = []
    private(set) var parked: [ShardRequest] = []
    /// Messages that wait until the actor is gone.
    private var parkedMessages: [() -> Void] = []
    var lastActivity: UInt64
    private var armed: UInt64?
    var wakeAfterDeparture: UInt64?

    /// An actor that is about to be created.
    init(
        creating address: ActorAddress, kind: any ActorKindDefinition, input: [UInt8]?, shard: Shard,
        in log: PartitionLog
    ) {
        self.address = address
        self.kind = kind
        options = kind.options
        asyncActions = kind.asyncActions
        retention = kind.retainedEvents
        self.input = input
        self.shard = shard
        self.log = log
        instance = kind.makeInstance(key: address.key)
        let now = log.now(shard.reading).rawValue
        id = ActorID(rawValue: 0)
        createdAt = now
        core = WorkflowCore(startedAt: now)
        run = RunRecord(status: .running, since: now, startedAt: now)
        storedRun = run
        lastActivity = shard.reading.wall.rawValue
    }

    /// An actor from storage.
    init(
        restoring stored: StoredActor, kind: any ActorKindDefinition, shard: Shard, in log: PartitionLog
    ) throws {
        address = stored.address
        self.kind = kind
        options = kind.options
        asyncActions = kind.asyncActions
        retention = kind.retainedEvents
        self.shard = shard
        self.log = log
        let partition = log.id
        id = stored.id
        createdAt = stored.createdAt
        input = stored.input
        storedWake = stored.wakeAt
        wakeOfStalled = stored.wakeAt.map { _ in Self.wakeOnStart }
        instance = kind.makeInstance(key: stored.address.key)
        lastActivity = shard.reading.wall.rawValue
        run =
            try stored.run.map { bytes throws(WireError) in try RunRecord.decode(bytes) }
            ?? RunRecord(status: .pending, since: stored.createdAt, startedAt: stored.createdAt)
        storedRun = run
        core = WorkflowCore(startedAt: run.startedAt)
        do { try instance.restore(state: stored.state) } catch {
            shard.logger.error("the state of \(address) does not fit its type: \(error)")
            throw ActorError(
                "state_unreadable", "the stored state does not fit the kind's State; the node's log says how",
                group: "actor")
        }
        if !run.status.hasEnded {
            for item in try shard.store.items(of: id, in: partition, space: .history) {
                core.restore(try HistoryEntry.decode(item.body))
            }
        }
        for item in try shard.store.items(of: id, in: partition, space: .message) {
            mailbox.restore(try QueuedMessage.decode(item.body))
        }
        let memories = try shard.store.items(of: id, in: partition, space: .deduplication)
        for item in memories where shard.settings.rules.contains(.rememberedRequests) {
            try deduplication.restore(id: item.id, value: item.body)
        }
        if !retention.isEmpty {
            for item in try shard.store.items(of: id, in: partition, space: .event) {
                try retainedEvents.restore(id: item.id, value: item.body)
            }
        }
    }

    var now: Timestamp { log.now(shard.reading) }

    /// Cluster, actor, and which life of the actor.
    func nameRun() { runName = Self.runName(shard.store.identity, address, id) }

    static func runName(_ store: StoreIdentity, _ address: ActorAddress, _ id: ActorID) -> [UInt8] {
        var writer = ByteWriter(capacity: 96)
        writer.fixed(store.cluster.high)
        writer.fixed(store.cluster.low)
        writer.string(address.description)
        writer.varint(id.rawValue)
        return writer.bytes
    }

    // MARK: Life

    /// The record that creates the actor: its state after `onCreate`, its input, its run.
    /// - Parameter tombstone: what is left of the last actor of this key.
    func create(by identity: RequestIdentity?, replacing tombstone: Tombstone?) throws {
        let time = now
        var (_, turn) = try performTurn { ((), try instance.create(input: input, now: time)) }
        let (_, waking) = try performTurn { ((), try instance.wake(now: time)) }
        turn.operations += waking.operations
        turn.broadcasts += waking.broadcasts
        let posts = try checked(turn.posts + waking.posts)
        guard !turn.destroys, !waking.destroys else {
            throw ActorError("destroyed", "the actor \(address) ended itself at its creation", group: "actor")
        }
        var body = TurnBody(actor: tombstone?.id)
        if tombstone != nil { body.append(.destroy) }
        body.append(.create(address, time: time.rawValue))
        if let tombstone {
            let inherited = tombstone.memory.inheritance(
                bytesMax: Tombstone.inheritedBytesMax, Tombstone.surviving)
            deduplication = inherited.core
            for change in inherited.changes { body.append(TurnOperation(change)) }
        }
        if let input { body.append(.set(.input, input)) }
        body.append(.set(.run, run.encoded()))
        body.append(.wake(at: 0))
        storedWake = 0
        for operation in turn.operations + sending(posts) { body.append(operation) }
        if let identity {
            // A client that lost the reply asks again, and is no second creator (A13).
            for operation in remember(identity.identityInActor, .reply(ReplyRecord.creation)) {
                body.append(operation)
            }
        }
        lastPosition = shard.append(consume body, to: log)
        id = ActorID(rawValue: lastPosition.rawValue)
        if !turn.broadcasts.isEmpty {
            whenCommitted { [self] in shard.publish(turn.broadcasts, of: address) }
        }
    }

    /// After it came from storage: `onWake`, then the run.
    func wake() {
        let crashed = storedWake == 0 && !run.status.hasEnded
        if crashed {
            run.crashWakes += 1
            isRunRecordDirty = true
            // The wake is durable before anything of the run happens (W13): what the run does may end the
            // process.
            record([]) { [self] in startRun() }
        }
        do {
            let (_, turn) = try performTurn { ((), try instance.wake(now: now)) }
            if !turn.isEmpty { record(turn) {} }
        } catch {
            shard.logger.error("onWake of \(address) failed: \(error)")
        }
        if run.status == .stalled, shard.parkedRuns.contains(timerKey) {
            // It stalled in this process, whose code is the same still (W7).
            isRunClosed = true
        }
        if run.status.hasEnded || isRunClosed { arm() } else if !crashed { startRun() }
    }

    var timerKey: Shard.TimerKey { Shard.TimerKey(partition: partition, actor: id) }

    /// Appends a record of this actor, with whatever was to ride along, and calls `then` when it is
    /// committed.
    /// - Parameter keepsWake: the operations say themselves when a restart is to wake the actor.
    func record(_ operations: [TurnOperation], keepsWake: Bool = false, _ then: @escaping () -> Void) {
        record(operations, keepsWake: keepsWake, .call(then))
    }

    /// - Parameter entry: goes into the record behind the operations.
    func record(
        _ operations: [TurnOperation], noting entry: HistoryEntry? = nil, keepsWake: Bool = false,
        _ release: Release
    ) {
        guard !pending.isEmpty || !operations.isEmpty || entry != nil || isRunRecordDirty else {
            return shard.whenCommitted(log, release)
        }
        let mustWake =
            !isRunEnded && !keepsWake && phase == .awake && storedWake != 0
            && !onlyWaits(after: pending + operations)
        var body = TurnBody(actor: id)
        for operation in pending { body.append(operation) }
        pending.removeAll(keepingCapacity: true)
        for operation in operations { body.append(operation) }
        if let entry {
            entry.encode(to: &shard.scratch)
            body.appendPut(.history, number: entry.sequence, shard.scratch.bytes)
        }
        if isRunRecordDirty {
            body.append(.set(.run, run.encoded()))
            isRunRecordDirty = false
            storedRun = run
        }
        if mustWake {
            // From here on a crash interrupts the run, so a restart must wake it.
            storedWake = 0
            body.append(.wake(at: 0))
        }
        lastPosition = shard.append(consume body, to: log)
        shard.whenCommitted(log, release)
    }

    /// Calls `then` when everything that was appended to the partition so far is committed (R17), and never
    /// if the epoch ends first.
    func whenCommitted(_ then: @escaping () -> Void) { shard.whenCommitted(log, .call(then)) }

    /// Whether the run still does nothing but wait, so that the stored time to wake it stays right.
    private func onlyWaits(after operations: [TurnOperation]) -> Bool {
        guard !isStepping, !waits.isEmpty else { return false }
        return !operations.contains { if case .put(.message, _, _) = $0 { true } else { false } }
    }

    func touch() { lastActivity = shard.reading.wall.rawValue }

    // MARK: Hibernation

    var idleMicros: UInt64 {
        UInt64(clamping: (shard.settings.idleOverride ?? options.idle).wholeMicroseconds)
    }

    /// Whether nothing happens but waiting.
    var isQuiet: Bool {
        phase == .awake && !isStepping && actions.isEmpty && waiters.isEmpty
            && (isRunEnded || !waits.isEmpty)
            && log.isCommitted
    }

    /// Whether the run is at a step: an attempt runs, or is to begin.
    private var isStepping: Bool { !steps.isEmpty || !startingSteps.isEmpty }

    /// Whether something runs that a change of owner would cut off.
    var isWorking: Bool { phase == .awake && (!steps.isEmpty || !actions.isEmpty) }

    @discardableResult
    func hibernateIfPossible() -> Bool {
        guard isQuiet else { return false }
        hibernate()
        return true
    }

    /// Records how the run waits and leaves memory (A5, W35).
    func hibernate() {
        do {
            let (_, turn) = try performTurn { ((), try instance.sleep(now: now)) }
            if !turn.isEmpty { record(turn) {} }
        } catch {
            shard.logger.error("onSleep of \(address) failed: \(error)")
        }
        // It may have ended itself.
        guard phase == .awake else { return }
        phase = .departing
        settle()
        leave()
    }

    /// Stores what the run waits for, so that who reads the tables knows, and a restart does not wake it
    /// early.
    func settle() {
        var wake: UInt64?
        if !run.status.hasEnded {
            describeRun()
            pending += interruptSteps()
            // What ran is recorded with its attempts; what was to begin counts what was lost before it.
            if startingSteps.isEmpty { run.crashWakes = 0 }
            if run != storedRun { isRunRecordDirty = true }
            if run.status == .stalled {
                wake = wakeOfStalled
            } else if isStepping || waits.isEmpty {
                wake = Self.wakeAtOnce
            } else {
                wake = waits.values.compactMap(nextEvent).min()
            }
        }
        wakeAfterDeparture = wake == Self.wakeOnStart ? nil : wake
        var operations: [TurnOperation] = []
        if wake != storedWake {
            storedWake = wake
            operations.append(.wake(at: wake))
        }
        if !operations.isEmpty || !pending.isEmpty || isRunRecordDirty {
            record(operations, keepsWake: true) {}
        }
    }

    /// Ends the run's code, then leaves when all is committed and applied.
    func leave() {
        closeRun()
        let task = runTask
        whenCommitted { [self] in
            guard let task else { return shard.depart(self) }
            Task(executorPreference: shard.executor) { [self] in
                await task.value
                shard.executor.perform { self.shard.depart(self) }
            }
        }
    }

    /// Lets nothing more of the run happen in this life: every wait and later operation throws (W45).
    func closeRun() {
        guard !isRunClosed else { return }
        isRunClosed = true
        // In a fixed order, because the code that hears of it can tell.
        let steps = steps.merging(startingSteps) { first, _ in first }.sorted { $0.key < $1.key }.map(\.value)
        let waits = waits.sorted { $0.key < $1.key }.map(\.value)
        self.steps.removeAll()
        startingSteps.removeAll()
        self.waits.removeAll()
        for step in steps {
            step.task?.cancel()
            step.resume(.failure(RunClosed()))
        }
        for wait in waits { wait.close() }
        runTask?.cancel()
    }

    /// The epoch is over: the actor is what its last committed record says, which may be less than what is
    /// here, and belongs to whoever owns the partition next. Nothing more is recorded or told.
    func lose() {
        phase = .lost
        for request in takeParkedRequests() { request.reply(.failure(.notOwner)) }
        for body in takeParkedMessages() { body() }
        closeRun()
        for (_, execution) in actions.sorted(by: { $0.key < $1.key }) {
            execution.isOver = true
            execution.task?.cancel()
        }
        actions = [:]
        waiters = []
        pending = []
        for call in calls.all { call.lose() }
    }

    func park(_ request: ShardRequest) { parked.append(request) }

    func forgetParked(_ token: RequestToken) {
        for request in parked where request.token == token { request.abandon() }
        parked.removeAll { $0.token == token }
    }

    func takeParkedRequests() -> [ShardRequest] {
        defer { parked = [] }
        return parked
    }

    /// Calls `body` when the actor is out of memory.
    func whenGone(_ body: @escaping () -> Void) { parkedMessages.append(body) }

    func takeParkedMessages() -> [() -> Void] {
        defer { parkedMessages = [] }
        return parkedMessages
    }

    // MARK: Timers

    /// Makes sure that the shard's timer comes no later than the next thing that this actor must do.
    func arm() {
        var next = lastActivity &+ idleMicros
        if next < lastActivity { next = .max }
        var deadline = UInt64.max
        for wait in waits.values { deadline = min(deadline, nextEvent(wait) ?? .max) }
        for step in steps.values { deadline = min(deadline, step.deadline ?? .max) }
        for waiter in waiters { deadline = min(deadline, waiter.deadline ?? .max) }
        for action in actions.values { deadline = min(deadline, action.deadline) }
        next = min(next, deadline)
        guard armed.map({ next < $0 }) ?? true else { return }
        armed = next
        shard.timers.schedule(timerKey, at: next)
    }

    /// When a wait ends by itself, or may take a message that it may not take yet.
    private func nextEvent(_ wait: RunWait) -> UInt64? {
        guard case .message(let queues, _) = wait.goal, let visible = mailbox.nextVisible(in: queues) else {
            return wait.deadline
        }
        return min(visible, wait.deadline ?? .max)
    }

    func timerFired() {
        armed = nil
        guard phase == .awake else { return }
        // Without the rule, what is due within half a second counts as due.
        let time = now.rawValue + (shard.settings.rules.contains(.timersInTime) ? 0 : 500_000)
        expireWaiters(time)
        expireActions(time)
        for (ticket, step) in steps.sorted(by: { $0.key < $1.key }) where (step.deadline ?? .max) <= time {
            guard steps[ticket] != nil else { continue }
            attemptTimedOut(step)
        }
        offerMessages()
        for (ticket, wait) in waits.sorted(by: { $0.key < $1.key }) where (wait.deadline ?? .max) <= time {
            guard waits.removeValue(forKey: ticket) != nil else { continue }
            wait.due()
        }
        if isQuiet, shard.reading.wall.rawValue >= lastActivity &+ idleMicros {
            hibernate()
        } else {
            if shard.reading.wall.rawValue >= lastActivity &+ idleMicros { touch() }
            arm()
        }
    }
}
