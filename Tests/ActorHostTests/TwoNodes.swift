import ActorHost
import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import Logging
import MailboxCore
import PartitionStore
import Synchronization
import TimeAndChance
import WorkflowTrials

/// Two hosts on one set of committed records. Each partition belongs to one of them, until it is moved; then
/// what the old owner had not committed is lost. Messages between them go over a carrier that loses, repeats,
/// delays and reorders.
final class TwoNodes: Sendable {
    private struct Ownership {
        var node: [Int]
        var epoch: [UInt64]
    }

    let clock = ManualClock()
    let base = MemoryStore()
    private let stores: [NodeStore]
    let hosts: [ActorHost]
    let carrier: BadCarrier
    private let owners: Mutex<Ownership>
    private let sequence = Atomic<UInt64>(0)
    private static let session = SessionID(high: 9, low: 9)

    init(_ registry: some Registry, idle: Duration, seed: UInt64) throws {
        let kinds = try RegistryReader.kinds(of: registry)
        let count = base.identity.ring.partitionCount
        owners = Mutex(
            Ownership(node: (0..<count).map { $0 % 2 }, epoch: [UInt64](repeating: 1, count: count)))
        carrier = BadCarrier(seed: seed)
        let stores = [NodeStore(base, holds: seed % 3 == 0), NodeStore(base, holds: seed % 3 == 0)]
        self.stores = stores
        hosts = stores.map { [clock, carrier] store in
            ActorHost(
                kinds: kinds, store: store, clock: clock,
                settings: HostSettings(
                    shards: 2, idleOverride: idle, fullQueuePatience: .seconds(1_000_000)),
                carrier: carrier, logger: quietLogger()
            ) { _ in }
        }
        carrier.connect { [weak self] partition in self.map { $0.hosts[$0.owner(of: partition)] } }
        clock.onAdvance { [weak self] in self?.hosts.forEach { $0.clockMoved() } }
        for partition in 0..<count { stores[partition % 2].take(PartitionID(partition), Epoch(rawValue: 1)) }
    }

    deinit { for host in hosts { host.abandon() } }

    private func owner(of partition: PartitionID) -> Int {
        owners.withLock { $0.node[Int(partition.rawValue)] }
    }

    /// The other node takes a partition over.
    func move(_ partition: PartitionID) {
        owners.withLock { owners in
            let index = Int(partition.rawValue)
            let old = owners.node[index]
            stores[old].lose(partition)
            owners.node[index] = 1 - old
            owners.epoch[index] += 1
            stores[1 - old].take(partition, Epoch(rawValue: owners.epoch[index]))
        }
        for host in hosts { host.retryMessages(to: partition) }
    }

    /// Lets a little time pass, and what is held back go on.
    func breathe() async {
        for store in stores { store.release() }
        clock.advance(by: .milliseconds(50))
        carrier.release()
        for host in hosts { await host.ready() }
    }

    /// Performs a request at the owner, with the same identity until it is answered.
    func perform(
        _ kind: String, _ key: String, _ operation: ActorRequest.Operation
    ) async throws -> ActorReply {
        let address = ActorAddress(kind: try ActorKind(kind), key: try ActorKey([key]))
        let partition = base.identity.ring.partition(of: address)
        let number = sequence.add(1, ordering: .relaxed).newValue
        let request = ActorRequest(
            target: address, operation: operation,
            identity: .session(Self.session, sequence: number, acknowledged: 0))
        while true {
            let reply = Mutex<Result<ActorReply, ActorError>?>(nil)
            hosts[owner(of: partition)].submit(request) { result in reply.withLock { $0 = result } }
            var result: Result<ActorReply, ActorError>?
            while result == nil {
                await breathe()
                result = reply.withLock { $0 }
            }
            if case .failure(let error)? = result, error.group == "node" { continue }
            return try result!.get()
        }
    }

    func call(
        _ kind: String, _ key: String, _ action: String, _ input: String = "null"
    ) async throws -> String {
        guard case .output(let output) = try await perform(kind, key, .action(action, input: Payload(input)))
        else { return "" }
        return output.text
    }

    /// Waits for a condition.
    func until(_ what: String, _ condition: () async throws -> Bool) async throws {
        for _ in 0..<20_000 {
            if try await condition() { return }
            await breathe()
        }
        throw Oops("never came: \(what)")
    }
}

/// One node's view of the records that both have: it takes and commits those of the partitions that it owns.
final class NodeStore: HostStore {
    private struct Live {
        var epochs: [PartitionID: Epoch] = [:]
        var held: [SealedRecord] = []
        var onEvents: (@Sendable ([PartitionEvent]) -> Void)?
        var onApplied: (@Sendable ([DurableMark]) -> Void)?
    }

    private let base: MemoryStore
    private let holds: Bool
    private let live = Mutex(Live())

    /// - Parameter holds: records are committed only by `release`, so that a move loses what came after.
    init(_ base: MemoryStore, holds: Bool) {
        self.base = base
        self.holds = holds
    }

    func take(_ partition: PartitionID, _ epoch: Epoch) {
        live.withLock { live in
            live.epochs[partition] = epoch
            live.onEvents?([
                .lead(partition, epoch, after: base.logEnd(of: partition)), .serve(partition, epoch),
            ])
        }
    }

    func lose(_ partition: PartitionID) {
        live.withLock { live in
            guard let epoch = live.epochs.removeValue(forKey: partition) else { return }
            live.held.removeAll { $0.partition == partition }
            live.onEvents?([.standDown(partition, epoch)])
        }
    }

    func append(_ records: [SealedRecord]) {
        live.withLock { live in
            live.held += records.filter { record in
                var reader = ByteReader(record.bytes)
                guard let (record, _) = try? JournalRecord.decode(&reader, from: record.bytes) else {
                    return false
                }
                return live.epochs[record.partition] == record.epoch
            }
            if !holds { commit(&live) }
        }
    }

    /// Commits what was held back.
    func release() { live.withLock { commit(&$0) } }

    private func commit(_ live: inout Live) {
        guard !live.held.isEmpty else { return }
        base.append(live.held)
        let marks = live.held.map { DurableMark(partition: $0.partition, position: $0.position) }
        live.held = []
        live.onEvents?(marks.map { .committed($0.partition, $0.position) })
        live.onApplied?(marks)
    }

    // MARK: HostStore

    var identity: StoreIdentity { base.identity }
    var backlogBytes: Int { 0 }
    var startsEmptyLogs: Bool { true }

    func start(
        onEvents: @escaping @Sendable ([PartitionEvent]) -> Void,
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) { live.withLock { $0.onEvents = onEvents } }
    func setOnApplied(_ handler: @escaping @Sendable ([DurableMark]) -> Void) {
        live.withLock { $0.onApplied = handler }
    }
    func confirmRead(_ partition: PartitionID, _ reply: @escaping @Sendable (Bool) -> Void) {
        reply(live.withLock { $0.epochs[partition] != nil })
    }
    func appliedPosition(of partition: PartitionID) -> LogPosition { base.appliedPosition(of: partition) }
    func requestApply(_ partitions: [PartitionID]) {}
    func actor(at address: ActorAddress, in partition: PartitionID) -> StoredActor? {
        base.actor(at: address, in: partition)
    }
    func actor(_ id: ActorID, in partition: PartitionID) -> StoredActor? { base.actor(id, in: partition) }
    func items(of actor: ActorID, in partition: PartitionID, space: ItemSpace) -> [StoredItem] {
        base.items(of: actor, in: partition, space: space)
    }
    func dueActors(
        in partition: PartitionID, through time: UInt64, limit: Int
    ) -> [(id: ActorID, address: ActorAddress, wakeAt: UInt64)] {
        base.dueActors(in: partition, through: time, limit: limit)
    }
    func actors(in partition: PartitionID, kind: String?, limit: Int, after: ActorAddress?) -> [StoredActor] {
        base.actors(in: partition, kind: kind, limit: limit, after: after)
    }
    func close() {}
}

/// Carries batches as bytes, badly.
final class BadCarrier: PartitionCarrier {
    private struct Live {
        var random: SplitMix64
        var late: [@Sendable () -> Void] = []
        var host: (@Sendable (PartitionID) -> ActorHost?)?
        var carried = 0
    }

    private let live: Mutex<Live>

    init(seed: UInt64) { live = Mutex(Live(random: SplitMix64(seed: seed))) }

    func connect(_ host: @escaping @Sendable (PartitionID) -> ActorHost?) { live.withLock { $0.host = host } }

    /// Batches that were delivered.
    var carried: Int { live.withLock { $0.carried } }

    func carry(_ batch: MessageBatch, _ done: @escaping @Sendable (BatchResult) -> Void) {
        let bytes = batch.encoded()
        switch live.withLock({ $0.random.next() % 8 }) {
        case 0: done(.unavailable)
        case 1:
            // It arrives; that it has is not heard.
            deliver(bytes) { _ in done(.unavailable) }
        case 2:
            deliver(bytes) { _ in }
            deliver(bytes, done)
        case 3:
            // Again, much later.
            live.withLock { $0.late.append { [self] in deliver(bytes) { _ in } } }
            deliver(bytes, done)
        case 4: live.withLock { $0.late.append { [self] in deliver(bytes, done) } }
        case 5: deliver(bytes) { result in self.live.withLock { $0.late.append { done(result) } } }
        default: deliver(bytes, done)
        }
    }

    /// Some of what is late comes now, in any order.
    func release() {
        let due = live.withLock { live in
            var due: [@Sendable () -> Void] = []
            while !live.late.isEmpty, live.random.next() % 3 != 0 {
                due.append(live.late.remove(at: Int(live.random.next() % UInt64(live.late.count))))
            }
            return due
        }
        for body in due { body() }
    }

    private func deliver(_ bytes: [UInt8], _ done: @escaping @Sendable (BatchResult) -> Void) {
        let find = live.withLock { live in
            live.carried += 1
            return live.host
        }
        guard let batch = try? MessageBatch.decode(bytes), let host = find?(batch.destination) else {
            return done(.unavailable)
        }
        host.deliver(batch) { result in done((try? BatchResult.decode(result.encoded())) ?? .unavailable) }
    }
}
