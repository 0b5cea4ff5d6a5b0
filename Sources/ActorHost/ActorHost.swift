import Apus
import CAllocator
import ClientProtocol
import Identifiers
import Logging
import MailboxCore
import PartitionStore
import Synchronization
import TimeAndChance
import TimerCore

/// Runs the actors of one node: activates them, performs their turns and workflows, lets results out only
/// when they are committed, and hibernates what has nothing to do.
public final class ActorHost: ActorService {
    private let store: any HostStore
    let shards: [Shard]
    let ring: HashRing
    private let definitions: [String: any ActorKindDefinition]
    private let nextToken = Atomic<UInt64>(1)
    private let logger: Logger
    private let startedAt: Timestamp
    /// Which actor a subscription belongs to, to find its shard again.
    private let subscriptions = Mutex<[SubscriptionID: ActorAddress]>([:])
    /// Answers what asynchronous actions ask other actors, in place of this host.
    private let service = Mutex<(any ActorService)?>(nil)

    /// - Parameters:
    ///   - carrier: brings messages to partitions that other nodes own; nil: there are no others.
    ///   - onFailure: the journal has failed; nothing is acknowledged any more, and the process should end
    ///     (R14). Called once, on any thread.
    package init(
        kinds: [any ActorKindDefinition], store: any HostStore, clock: any HostClock = SystemClock(),
        settings: HostSettings = HostSettings(), carrier: (any PartitionCarrier)? = nil, logger: Logger,
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) {
        apus_allocator_configure()
        let definitions = Dictionary(kinds.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.store = store
        self.logger = logger
        self.definitions = definitions
        startedAt = clock.reading().wall
        let shards = (0..<settings.shards).map {
            Shard(
                index: $0, store: store, clock: clock, kinds: definitions, settings: settings, logger: logger)
        }
        self.shards = shards
        ring = store.identity.ring
        for shard in shards {
            shard.carry = { [weak self] batch, done in
                guard let self else { return done(.unavailable) }
                carry(batch, by: carrier, done)
            }
            shard.onServing = { [weak self] partition in self?.retryMessages(to: partition) }
            shard.ask = { [weak self] request, reply in
                guard let self else { return reply(.failure(.stopping)) }
                (router() ?? self).submit(request, reply: reply)
            }
        }
        store.setOnApplied { marks in
            Self.share(marks, shards) { shard, marks in shard.applied(marks) }
        }
        store.start(
            onDurable: { marks in
                // One node is all replicas there are: durable here is committed.
                store.commit(marks)
                Self.share(marks, shards) { shard, marks in shard.committed(marks) }
            }, onFailure: onFailure)
        for shard in shards { shard.start() }
        for partition in 0..<store.identity.ring.partitionCount {
            let id = PartitionID(partition)
            let shard = shards[partition % shards.count]
            shard.startsLeft.add(1, ordering: .relaxed)
            shard.executor.post { shard.activate(id) }
        }
    }

    private static func share(
        _ marks: [DurableMark], _ shards: [Shard], _ body: @escaping @Sendable (Shard, [DurableMark]) -> Void
    ) {
        for (index, shard) in shards.enumerated() {
            let own = marks.filter { Int($0.partition.rawValue) % shards.count == index }
            if !own.isEmpty { shard.executor.post { body(shard, own) } }
        }
    }

    /// Sets who answers what asynchronous actions ask other actors: in a cluster, what finds their owners.
    package func setRouter(_ router: any ActorService) { service.withLock { $0 = router } }

    private func router() -> (any ActorService)? { service.withLock { $0 } }

    /// Returns when every partition is served. Actors that are due wake after that, a few at a time.
    public func ready() async {
        for shard in shards { await shard.executor.run {} }
    }

    /// Whether partitions are still to be taken over, or actors that were due at the start to be woken.
    package var isStarting: Bool { shards.contains { $0.startsLeft.load(ordering: .relaxed) > 0 } }

    /// The wall clock of tests has moved: looks at the timers.
    package func clockMoved() {
        for shard in shards { shard.executor.nudge() }
    }

    private func shard(of address: ActorAddress) -> (Shard, PartitionID) {
        let partition = ring.partition(of: address)
        return (shard(of: partition), partition)
    }

    func shard(of partition: PartitionID) -> Shard { shards[Int(partition.rawValue) % shards.count] }

    // MARK: ActorService

    public var kinds: [String] { definitions.keys.sorted() }

    @discardableResult
    public func submit(
        _ request: ActorRequest, reply: @escaping @Sendable (Result<ActorReply, ActorError>) -> Void
    ) -> RequestToken {
        let (shard, partition) = shard(of: request.target)
        let number = nextToken.add(1, ordering: .relaxed).oldValue
        let token = RequestToken(rawValue: number * UInt64(shards.count) + UInt64(shard.index))
        let deadline = request.timeLeftMillis.map { millis in
            let (micros, overflow) = millis.multipliedReportingOverflow(by: 1_000)
            return overflow ? .max : shard.clock.reading().monotonic &+ min(micros, .max / 2)
        }
        let work = ShardRequest(
            token: token, request: request, partition: partition, deadline: deadline, reply: reply)
        shard.executor.post { shard.handle(work) }
        return token
    }

    /// Performs a request and waits for its reply.
    public func perform(_ request: ActorRequest) async throws(ActorError) -> ActorReply {
        let result = await withUnsafeContinuation { continuation in
            submit(request) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    public func abandon(_ token: RequestToken) {
        let shard = shards[Int(token.rawValue % UInt64(shards.count))]
        shard.executor.post {
            for actor in shard.live.values where !actor.waiters.isEmpty || actor.phase == .departing {
                actor.abandon(token)
            }
        }
    }

    public func subscribe(
        to event: String, of actor: ActorAddress, deliver: @escaping @Sendable (EventDelivery) -> Void
    ) throws(ActorError) -> SubscriptionID {
        guard let kind = definitions[actor.kind.name] else {
            throw .kindNotFound(actor.kind.name, known: kinds)
        }
        guard kind.events.contains(event) else {
            throw .eventUnknown(event, kind: actor.kind, known: Array(kind.events))
        }
        let id = SubscriptionID(rawValue: nextToken.add(1, ordering: .relaxed).oldValue)
        let (shard, partition) = shard(of: actor)
        subscriptions.withLock { $0[id] = actor }
        shard.executor.post {
            let subscriber = Shard.Subscriber(id: id, event: event, deliver: deliver)
            shard.subscribe(subscriber, to: actor, in: partition)
        }
        return id
    }

    public func unsubscribe(_ subscription: SubscriptionID) {
        guard let actor = subscriptions.withLock({ $0.removeValue(forKey: subscription) }) else { return }
        let (shard, _) = shard(of: actor)
        shard.executor.post { shard.unsubscribe(subscription, from: actor) }
    }

    public func status() async -> Payload {
        var total = HostCounters()
        var live = 0
        var timers = 0
        for shard in shards {
            let (counters, count, due) = await shard.executor.run {
                (shard.counters, shard.live.count, shard.timers.count)
            }
            total.add(counters)
            live += count
            timers += due
        }
        let identity = store.identity
        var json = JSONText()
        json.object { json in
            json.member("node") { $0.raw(String(identity.node.rawValue)) }
            json.member("cluster") { $0.string(identity.cluster.description) }
            json.member("store") { $0.string(identity.store.description) }
            json.member("incarnation") { $0.raw(String(identity.incarnation.rawValue)) }
            json.member("partitions") { $0.raw(String(identity.ring.partitionCount)) }
            json.member("startedAt") { $0.time(startedAt.rawValue) }
            json.member("kinds") { json in
                json.array { json in for kind in kinds { json.element { $0.string(kind) } } }
            }
            let figures: [(String, UInt64)] = [
                ("actorsAwake", UInt64(live)), ("timers", UInt64(timers)), ("records", total.records),
                ("requests", total.requests), ("steps", total.steps), ("wakes", total.wakes),
                ("creations", total.creations), ("hibernations", total.hibernations),
                ("runsEnded", total.runsEnded), ("repliesRepeated", total.repliesRepeated),
                ("messagesSent", total.messagesSent), ("messagesReceived", total.messagesReceived),
                ("messagesUndelivered", total.messagesUndelivered),
                ("answersDropped", total.answersDropped),
                ("backlogBytes", UInt64(store.backlogBytes)),
            ]
            for (name, value) in figures { json.member(name) { $0.raw(String(value)) } }
        }
        return Payload(json.bytes)
    }

    public func list(kind: String?, after: ActorAddress?, limit: Int) async throws(ActorError) -> Payload {
        let limit = min(max(1, limit), 1_000)
        var found: [StoredActor] = []
        do {
            for partition in 0..<store.identity.ring.partitionCount {
                found += try stored(in: PartitionID(partition), kind: kind, limit: limit + 1, after: after)
                await Task.yield()
            }
        } catch {
            logger.error("actors cannot be listed: \(error)")
            throw .internalError
        }
        found.sort { $0.address < $1.address }
        let awake = await descriptions(ofAwake: found.prefix(limit).map(\.address))
        var json = JSONText()
        json.object { json in
            json.member("actors") { json in
                json.array { json in
                    for actor in found.prefix(limit) {
                        let stored = try? ActorDescription.of(actor, messages: [], undelivered: [])
                        if let text = awake[actor.address] ?? stored {
                            json.element { $0.raw(text.bytes) }
                        }
                    }
                }
            }
            json.member("more") { $0.raw(found.count > limit ? "true" : "false") }
        }
        return Payload(json.bytes)
    }

    /// The first actors after an address in one partition; what destroyed ones have left is passed over.
    private func stored(
        in partition: PartitionID, kind: String?, limit: Int, after: ActorAddress?
    ) throws(StoreError) -> [StoredActor] {
        var found: [StoredActor] = []
        var after = after
        while found.count < limit {
            let page = try store.actors(in: partition, kind: kind, limit: limit, after: after)
            found += page.filter { !$0.isTombstone }
            guard page.count == limit else { break }
            after = page.last?.address
        }
        return found
    }

    /// How those of the actors that are in memory stand now; told once it is committed (A12).
    private func descriptions(ofAwake addresses: [ActorAddress]) async -> [ActorAddress: Payload] {
        var all: [ActorAddress: Payload] = [:]
        for shard in shards {
            let own = addresses.filter { self.shard(of: $0).0 === shard }
            guard !own.isEmpty else { continue }
            let found = await withUnsafeContinuation { continuation in
                shard.executor.post {
                    var found: [ActorAddress: Payload] = [:]
                    for address in own {
                        guard let actor = shard.live[address], actor.phase == .awake else { continue }
                        found[address] = ActorDescription.of(actor)
                    }
                    let told = found
                    shard.whenAllCommitted { continuation.resume(returning: told) }
                }
            }
            all.merge(found) { first, _ in first }
        }
        return all
    }

    /// Ends the threads and forgets everything, like a crash; for tests.
    package func abandon() {
        for shard in shards { shard.executor.stop() }
    }

    /// Settles every actor, waits for the records, and closes the store (A7: nothing that was accepted is
    /// lost).
    public func stop() async throws {
        for shard in shards { await shard.executor.run { shard.beginStop() } }
        for shard in shards {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                shard.executor.post { shard.whenAllCommitted { continuation.resume() } }
            }
        }
        try store.close()
        for shard in shards { shard.executor.stop() }
    }
}

extension ShardExecutor {
    /// Runs work on the shard's thread and returns its result.
    @concurrent func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withUnsafeContinuation { continuation in
            post { continuation.resume(returning: body()) }
        }
    }
}

extension Shard {
    /// Calls `then` when everything that was appended so far is committed, in all partitions.
    func whenAllCommitted(_ then: @escaping @Sendable () -> Void) {
        let open = partitions.values.filter { !$0.isCommitted }.map(\.id)
        guard !open.isEmpty else { return then() }
        var left = open.count
        for partition in open {
            whenCommitted(partition) {
                left -= 1
                if left == 0 { then() }
            }
        }
    }
}

extension HostCounters {
    mutating func add(_ other: HostCounters) {
        records += other.records
        requests += other.requests
        wakes += other.wakes
        creations += other.creations
        hibernations += other.hibernations
        steps += other.steps
        repliesRepeated += other.repliesRepeated
        runsEnded += other.runsEnded
        messagesSent += other.messagesSent
        messagesReceived += other.messagesReceived
        messagesUndelivered += other.messagesUndelivered
        answersDropped += other.answersDropped
    }
}
