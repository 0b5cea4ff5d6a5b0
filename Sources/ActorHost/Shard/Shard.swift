import Apus
import ByteCoding
import CAllocator
import ClientProtocol
import Identifiers
import Logging
import MailboxCore
import PartitionStore
import Synchronization
import TimeAndChance
import TimerCore

/// A share of a node's partitions and the actors in them, all on one thread.
///
/// Sound to share: apart from `executor`, which is made for it, and constants, everything is touched on the
/// shard's thread only; the public ways in (`post`, `perform`) lead there.
final class Shard: @unchecked Sendable {
    struct TimerKey: Hashable, Sendable {
        var partition: PartitionID
        var actor: ActorID
    }

    let index: Int
    let executor = ShardExecutor()
    let watch: ShardWatch
    let store: any HostStore
    let clock: any HostClock
    let ring: HashRing
    let kinds: [String: any ActorKindDefinition]
    let settings: HostSettings
    let logger: Logger

    var partitions: [PartitionID: PartitionLog] = [:]
    var live: [ActorAddress: LiveActor] = [:]
    var subscribers: [ActorAddress: [Subscriber]] = [:]
    /// Subscriptions that wait until what is retained is committed.
    var subscribing: Set<SubscriptionID> = []
    var timers = TimerCore<TimerKey>()
    /// Actors that leave memory once everything of them is applied.
    var departing: [PartitionID: [LiveActor]] = [:]
    /// Partitions that are about to have another owner, and who still does something in them.
    var handingOver: [PartitionID: [LiveActor]] = [:]
    /// Runs that stalled in this process; only other code can continue them, and that comes with another
    /// process.
    var parkedRuns: Set<TimerKey> = []
    /// Brings messages to another partition, wherever it is.
    var carry: (MessageBatch, @escaping @Sendable (BatchResult) -> Void) -> Void = { $1(.unavailable) }
    /// Asks any actor of the cluster, like a client.
    var ask: (ActorRequest, @escaping @Sendable (Result<ActorReply, ActorError>) -> Void) -> Void = {
        $1(.failure(.stopping))
    }
    /// Tells the other shards that a partition is served here from now on.
    var onServing: (PartitionID) -> Void = { _ in }
    /// Partitions with messages that have not arrived.
    var mailBusy: Set<PartitionID> = []
    /// Partitions of which some may be sent now.
    var mailDue: Set<PartitionID> = []
    var isStopping = false
    var outgoing: [SealedRecord] = []
    /// For encoding one thing at a time without new memory.
    var scratch = ByteWriter()
    /// The clocks, read once a round; the wall clock without its jumps, so that no partition's time is behind
    /// it.
    private(set) var reading: ClockReading
    private var steadyClock: SteadyClock
    /// Partitions for whose tables something waits.
    var appliedWanted: Set<PartitionID> = []
    var counters = HostCounters()
    /// What is left to chance, such as the jitter of retries.
    var chance: SplitMix64

    init(
        index: Int, store: any HostStore, clock: any HostClock, kinds: [String: any ActorKindDefinition],
        settings: HostSettings, logger: Logger
    ) {
        self.index = index
        self.store = store
        self.clock = clock
        self.kinds = kinds
        self.settings = settings
        self.logger = logger
        watch = ShardWatch(shard: index, logger: logger)
        let seed = settings.steppedSeed.map { ~$0 &+ UInt64(index) }
        chance = SplitMix64(seed: seed ?? UInt64.random(in: .min ... .max))
        ring = store.identity.ring
        reading = clock.reading()
        steadyClock = SteadyClock(reading)
    }

    func start() {
        let duties = ShardExecutor.Duties(
            begin: { [self] in begin() }, flush: { [self] in flush() }, deadline: { [self] in deadline() })
        if let seed = settings.steppedSeed {
            return executor.startStepped(seed: seed &+ UInt64(index), duties)
        }
        executor.start(name: "apus-shard-\(index)", duties)
        if clock.isReal { watch.start(executor, limit: settings.blockedLimit) }
    }

    func noteStarted(_ key: TimerKey) {
        if dueAtStart.remove(key) != nil { startsLeft.subtract(1, ordering: .relaxed) }
    }

    // MARK: Time

    func now(in partition: PartitionID) -> Timestamp {
        partitions[partition]?.now(reading) ?? reading.wall
    }

    private func begin() {
        reading = clock.reading()
        if settings.rules.contains(.steadyTime) { reading = steadyClock.steady(reading) }
        fireTimers()
    }

    /// How long the thread may wait for work, in microseconds.
    private func deadline() -> UInt64? {
        guard let next = timers.next(), clock.isReal else { return nil }
        return next > reading.wall.rawValue ? next - reading.wall.rawValue : 0
    }

    /// Actors that were due when their partition was taken over, and have not been woken yet.
    var dueAtStart: Set<TimerKey> = []
    /// Partitions that were not taken over yet, and actors of `dueAtStart`.
    let startsLeft = Atomic<Int>(0)

    private func fireTimers() {
        // A bounded share of a round, so that requests get through while thousands of actors wake.
        for key in timers.popDue(reading.wall.rawValue, limit: 64) {
            guard let log = partitions[key.partition], log.isServing else { continue }
            if key.actor == .partition {
                mailTimerFired(log)
            } else if let actor = log.actors[key.actor] {
                actor.timerFired()
            } else {
                wake(key, in: log)
            }
        }
    }

    private func wake(_ key: TimerKey, in log: PartitionLog) {
        noteStarted(key)
        guard !isStopping else { return }
        do {
            guard let stored = try store.actor(key.actor, in: key.partition), live[stored.address] == nil
            else { return }
            if stored.isTombstone { return remove(tombstone: stored, in: log) }
            _ = try activate(stored, in: log)
        } catch {
            logger.error(
                "actor \(key.actor.rawValue) of partition \(key.partition.rawValue) cannot wake: \(error)")
        }
    }

    // MARK: Records

    /// Appends a record to a partition's log; it leaves for the journal at the end of the round.
    /// What comes after the end of the epoch is dropped.
    func append(_ body: consuming TurnBody, to log: PartitionLog) -> LogPosition {
        guard !log.isOver else { return log.position }
        trimMail(log, &body)
        let record = log.seal(body, reading)
        outgoing.append(record)
        counters.records += 1
        // Without the rule, what it posts need not wait.
        if !settings.rules.contains(.outboxAfterCommit) { mailDue.insert(log.id) }
        return record.position
    }

    /// Calls `release` when everything that was appended to the partition so far is committed (R17); never,
    /// if its epoch ends first.
    func whenCommitted(_ partition: PartitionID, _ release: @escaping () -> Void) {
        whenCommitted(partition, .call(release))
    }

    func whenCommitted(_ partition: PartitionID, _ release: Release) {
        guard let log = partitions[partition] else { return release.drop() }
        whenCommitted(log, release)
    }

    func whenCommitted(_ log: PartitionLog, _ release: Release) {
        if log.isOver { return release.drop() }
        if !settings.rules.contains(.outputGate) { return release.perform() }
        if log.isCommitted { return release.perform() }
        log.hold(release)
    }

    func committed(_ position: LogPosition, in partition: PartitionID) {
        guard let log = partitions[partition] else { return }
        log.commit(position)
        while let release = log.popReleased() { release.perform() }
        noteCommit(of: log)
    }

    private func flush() {
        if !handingOver.isEmpty { goOnHandingOver() }
        if !mailDue.isEmpty { shipMail() }
        if !outgoing.isEmpty {
            store.append(outgoing)
            outgoing.removeAll(keepingCapacity: true)
        }
        if !appliedWanted.isEmpty {
            store.requestApply(appliedWanted.sorted())
            appliedWanted.removeAll(keepingCapacity: true)
        }
    }

    // MARK: Actors

    enum Found {
        case actor(LiveActor)
        /// There is no actor; perhaps there was one.
        case none(Tombstone?)
    }

    /// The actor in memory, woken if need be.
    func find(_ address: ActorAddress, in partition: PartitionID) throws -> Found {
        if let actor = live[address] { return .actor(actor) }
        guard let log = partitions[partition], log.isServing else { throw ActorError.notOwner }
        guard let stored = try store.actor(at: address, in: partition) else { return .none(nil) }
        if stored.isTombstone { return .none(try Tombstone(stored, in: partition, store: store)) }
        return .actor(try activate(stored, in: log))
    }

    /// Deletes what a destroyed actor has left, once nobody may ask for it any more.
    private func remove(tombstone: StoredActor, in log: PartitionLog) {
        if let expiry = tombstone.wakeAt, expiry > log.now(reading).rawValue {
            let key = TimerKey(partition: log.id, actor: tombstone.id)
            return timers.schedule(key, at: expiry)
        }
        var body = TurnBody(actor: tombstone.id)
        body.append(.destroy)
        _ = append(body, to: log)
    }

    func kind(_ address: ActorAddress) throws(ActorError) -> any ActorKindDefinition {
        guard let kind = kinds[address.kind.name] else {
            throw .kindNotFound(address.kind.name, known: Array(kinds.keys))
        }
        return kind
    }

    private func activate(_ stored: StoredActor, in log: PartitionLog) throws -> LiveActor {
        let actor = try LiveActor(
            restoring: stored, kind: try kind(stored.address), shard: self, in: log)
        add(actor)
        counters.wakes += 1
        actor.wake()
        return actor
    }

    func create(
        _ address: ActorAddress, in partition: PartitionID, input: [UInt8]?,
        by identity: RequestIdentity? = nil, replacing tombstone: Tombstone?
    ) throws -> LiveActor {
        guard let log = partitions[partition], log.isServing else { throw ActorError.notOwner }
        let actor = LiveActor(
            creating: address, kind: try kind(address), input: input, shard: self, in: log)
        try actor.create(by: identity, replacing: tombstone)
        if let tombstone { timers.cancel(TimerKey(partition: partition, actor: tombstone.id)) }
        add(actor)
        counters.creations += 1
        // Nothing that the run does may be seen before the actor is there for good (W3).
        actor.whenCommitted { actor.startRun() }
        return actor
    }

    private func add(_ actor: LiveActor) {
        live[actor.address] = actor
        noteStarted(actor.timerKey)
        actor.log.actors[actor.id] = actor
        if live.count > settings.liveActorsMax { evictSome(besides: actor) }
    }

    /// Lets idle actors go early when memory holds too many.
    private func evictSome(besides newcomer: LiveActor) {
        for actor in live.values.prefix(64) where actor !== newcomer { actor.hibernateIfPossible() }
    }

    /// Takes an actor out of memory as soon as the tables have all of it.
    func depart(_ actor: LiveActor) {
        guard actor.phase != .lost else { return }
        if store.appliedPosition(of: actor.partition) >= actor.lastPosition {
            remove(actor)
        } else {
            departing[actor.partition, default: []].append(actor)
            appliedWanted.insert(actor.partition)
        }
    }

    func applied(_ marks: [DurableMark]) {
        for mark in marks {
            if let log = partitions[mark.partition], log.phase == .catchingUp { catchUp(log) }
            guard let waiting = departing.removeValue(forKey: mark.partition) else { continue }
            let late = waiting.filter { $0.lastPosition > mark.position }
            if !late.isEmpty {
                departing[mark.partition] = late
                appliedWanted.insert(mark.partition)
            }
            for actor in waiting where actor.lastPosition <= mark.position { remove(actor) }
        }
    }

    private func remove(_ actor: LiveActor) {
        live[actor.address] = nil
        actor.log.actors[actor.id] = nil
        if let wake = actor.wakeAfterDeparture {
            timers.schedule(actor.timerKey, at: wake)
        } else {
            timers.cancel(actor.timerKey)
        }
        counters.hibernations += 1
        returnMemory()
        for request in actor.takeParkedRequests() { handle(request) }
        for body in actor.takeParkedMessages() { body() }
    }

    private var hibernationsAtTrim: UInt64 = 0

    /// After many actors have left, the memory that they used goes back to the system.
    private func returnMemory() {
        guard counters.hibernations - hibernationsAtTrim >= Self.hibernationsPerTrim || live.isEmpty,
            counters.hibernations - hibernationsAtTrim >= Self.hibernationsPerTrim / 16
        else { return }
        hibernationsAtTrim = counters.hibernations
        guard settings.steppedSeed == nil else { return }
        Thread.start(name: "apus-trim") { apus_allocator_trim() }
    }

    private static let hibernationsPerTrim: UInt64 = 16_384
}
