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
            Self.share(marks, shards, \.partition) { shard, marks in shard.applied(marks) }
        }
        for shard in shards { shard.start() }
        store.start(
            onEvents: { events in
                for case .lead(let partition, _, _) in events {
                    shards[Int(partition.rawValue) % shards.count].startsLeft.add(1, ordering: .relaxed)
                }
                Self.share(events, shards, \.partition) { shard, events in shard.handle(events) }
            }, onFailure: onFailure)
    }

    /// Hands each shard those that are about its partitions.
    private static func share<Item: Sendable>(
        _ items: [Item], _ shards: [Shard], _ partition: (Item) -> PartitionID,
        _ body: @escaping @Sendable (Shard, [Item]) -> Void
    ) {
        var shares = [[Item]](repeating: [], count: shards.count)
        for item in items { shares[Int(partition(item).rawValue) % shards.count].append(item) }
        for (shard, own) in zip(shards, shares) where !own.isEmpty {
            shard.executor.post { body(shard, own) }
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

    /// Asks for a good end of an epoch that is about to be over, or takes that back.
    package func handOver(_ partition: PartitionID, _ epoch: Epoch, _ request: HandoverRequest) {
        let shard = shard(of: partition)
        shard.executor.post { shard.handOver(partition, epoch, request) }
    }

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
        shard.executor.post { shard.abandon(token) }
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
        var served = 0
        for shard in shards {
            let (counters, count, due, own) = await shard.executor.run {
                (shard.counters, shard.live.count, shard.timers.count, shard.served.count)
            }
            served += own
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
            json.member("partitionsServed") { $0.raw(String(served)) }
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
        let partitions = await servedPartitions()
        var found: [StoredActor] = []
        do {
            for partition in partitions {
                found += try stored(in: partition, kind: kind, limit: limit + 1, after: after)
                await Task.yield()
            }
        } catch {
            logger.error("actors cannot be listed: \(error)")
            throw .internalError
        }
        found.sort { $0.address < $1.address }
        let awake = try await descriptions(ofAwake: found.prefix(limit).map(\.address))
        guard await confirmReads(partitions) else { throw .moved }
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

    /// The partitions in which turns run on this node, in order.
    package func servedPartitions() async -> [PartitionID] {
        var served: [PartitionID] = []
        for shard in shards { served += await shard.executor.run { shard.served } }
        return served.sorted()
    }

    /// Whether nobody else can have owned any of the partitions since the call.
    private func confirmReads(_ partitions: [PartitionID]) async -> Bool {
        for partition in partitions {
            let isConfirmed = await withUnsafeContinuation { continuation in
                store.confirmRead(partition) { continuation.resume(returning: $0) }
            }
            guard isConfirmed else { return false }
        }
        return true
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
    private func descriptions(
        ofAwake addresses: [ActorAddress]
    ) async throws(ActorError) -> [ActorAddress: Payload] {
        var all: [ActorAddress: Payload] = [:]
        for shard in shards {
            let own = addresses.filter { self.shard(of: $0).0 === shard }
            guard !own.isEmpty else { continue }
            let found: [ActorAddress: Payload]? = await withUnsafeContinuation { continuation in
                shard.executor.post {
                    var found: [ActorAddress: Payload] = [:]
                    for address in own {
                        guard let actor = shard.live[address], actor.phase == .awake else { continue }
                        found[address] = ActorDescription.of(actor)
                    }
                    let told = found
                    shard.whenAllCommitted { continuation.resume(returning: $0 ? told : nil) }
                }
            }
            guard let found else { throw .moved }
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
                shard.executor.post { shard.whenAllCommitted { _ in continuation.resume() } }
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
    /// The partitions in which turns run, in order.
    var served: [PartitionID] { partitions.values.filter(\.isServing).map(\.id).sorted() }

    /// Calls `then` when everything that was appended so far is committed, in all partitions in which turns
    /// run; with false, if one of them was given up before.
    func whenAllCommitted(_ then: @escaping @Sendable (Bool) -> Void) {
        let open = partitions.values.filter { $0.isTakenOver && !$0.isCommitted }
        guard !open.isEmpty else { return then(true) }
        var left = open.count
        var areCommitted = true
        for log in open {
            let release = Release.told { isCommitted in
                left -= 1
                areCommitted = areCommitted && isCommitted
                if left == 0 { then(areCommitted) }
            }
            whenCommitted(log, release)
        }
    }

    func abandon(_ token: RequestToken) {
        for actor in live.values where !actor.waiters.isEmpty || actor.phase == .departing {
            actor.abandon(token)
        }
        for log in partitions.values {
            log.arrivals.removeAll { arrival in
                if case .request(let request) = arrival { request.token == token } else { false }
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
