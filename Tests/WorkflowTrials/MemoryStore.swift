import ActorHost
import ByteCoding
import Identifiers
import PartitionStore
import Synchronization

/// A store in memory that forgets everything it was not told to keep: after a chosen number of records it
/// "crashes", which means that it takes no further record and acknowledges none.
package final class MemoryStore: HostStore {
    struct Row {
        var stored: StoredActor
        var items: [ItemSpace: [[UInt8]: [UInt8]]] = [:]
    }

    struct Tables {
        var ends: [PartitionID: LogEnd] = [:]
        var rows: [PartitionID: [ActorID: Row]] = [:]
        /// What belongs to a partition as a whole.
        var own: [PartitionID: [ItemSpace: [[UInt8]: [UInt8]]]] = [:]
    }

    private struct Live {
        var tables = Tables()
        var records = 0
        var crashAfter: Int?
        var isCrashed = false
        var onEvents: (@Sendable ([PartitionEvent]) -> Void)?
        var onApplied: (@Sendable ([DurableMark]) -> Void)?
        var onCrash: [@Sendable () -> Void] = []
    }

    private let live = Mutex(Live())
    package let identity: StoreIdentity

    /// - Parameter crashAfter: records of actors that are kept before the crash.
    package init(crashAfter: Int? = nil) {
        guard let ring = HashRing(partitionCount: 4, seed: (1, 2)) else {
            preconditionFailure("4 is a power of two")
        }
        identity = StoreIdentity(
            cluster: ClusterID(high: 1, low: 2), node: NodeID(rawValue: 1), store: StoreID(high: 3, low: 4),
            incarnation: Incarnation(rawValue: 1), ring: ring)
        live.withLock { $0.crashAfter = crashAfter }
    }

    private init(copying tables: Tables, identity: StoreIdentity, crashAfter: Int?) {
        self.identity = identity
        live.withLock { live in
            live.tables = tables
            live.crashAfter = crashAfter
        }
    }

    /// What a new process finds.
    package func reopened() -> MemoryStore {
        let (tables, left) = live.withLock { live in
            (live.tables, live.isCrashed ? nil : live.crashAfter.map { $0 - live.records })
        }
        return MemoryStore(copying: tables, identity: identity, crashAfter: left)
    }

    /// Whether the number of records to crash after was reached.
    package var hasCrashedAsChosen: Bool { live.withLock { $0.isCrashed && $0.records == $0.crashAfter } }

    package var isCrashed: Bool { live.withLock { $0.isCrashed } }
    /// Records of actors that were kept.
    package var recordCount: Int { live.withLock { $0.records } }

    /// Keeps nothing more from here on.
    package func crash() {
        let crashed = live.withLock { live in
            defer { live.onCrash = [] }
            live.isCrashed = true
            return live.onCrash
        }
        for body in crashed { body() }
    }

    package func onCrash(_ body: @escaping @Sendable () -> Void) {
        let isLate = live.withLock { live in
            if !live.isCrashed { live.onCrash.append(body) }
            return live.isCrashed
        }
        if isLate { body() }
    }

    // MARK: HostStore

    package var backlogBytes: Int { 0 }
    package func logEnd(of partition: PartitionID) -> LogEnd {
        live.withLock { $0.tables.ends[partition] ?? .empty }
    }

    package var startsEmptyLogs: Bool { false }

    package func start(
        onEvents: @escaping @Sendable ([PartitionEvent]) -> Void,
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) {
        live.withLock { $0.onEvents = onEvents }
        onEvents(
            (0..<identity.ring.partitionCount).flatMap { number -> [PartitionEvent] in
                let end = logEnd(of: PartitionID(number))
                let epoch = Epoch(rawValue: end.epoch.rawValue + 1)
                return [
                    .lead(PartitionID(number), epoch, after: end), .serve(PartitionID(number), epoch),
                ]
            })
    }

    package func confirmRead(_ partition: PartitionID, _ reply: @escaping @Sendable (Bool) -> Void) {
        reply(true)
    }

    package func setOnApplied(_ handler: @escaping @Sendable ([DurableMark]) -> Void) {
        live.withLock { $0.onApplied = handler }
    }

    package func append(_ records: [SealedRecord]) {
        let (kept, tell, crashed) = live.withLock { live in
            var kept: [DurableMark] = []
            var crashed: [@Sendable () -> Void] = []
            for record in records where !live.isCrashed {
                if live.records == live.crashAfter, Self.isTurn(record) {
                    live.isCrashed = true
                    crashed = live.onCrash
                    live.onCrash = []
                } else {
                    live.tables.keep(record)
                    if Self.isTurn(record) { live.records += 1 }
                    kept.append(DurableMark(partition: record.partition, position: record.position))
                }
            }
            return (kept, live.onEvents, crashed)
        }
        if !kept.isEmpty {
            tell?(kept.map { .committed($0.partition, $0.position) })
            live.withLock { $0.onApplied }?(kept)
        }
        for body in crashed { body() }
    }

    private static func isTurn(_ record: SealedRecord) -> Bool {
        record.bytes[1] == JournalRecord.Kind.turn.rawValue
    }

    package func appliedPosition(of partition: PartitionID) -> LogPosition { logEnd(of: partition).position }
    package func requestApply(_ partitions: [PartitionID]) {}

    package func actor(at address: ActorAddress, in partition: PartitionID) -> StoredActor? {
        live.withLock { $0.tables.rows[partition]?.values.first { $0.stored.address == address }?.stored }
    }

    package func actor(_ id: ActorID, in partition: PartitionID) -> StoredActor? {
        live.withLock { $0.tables.rows[partition]?[id]?.stored }
    }

    package func items(of actor: ActorID, in partition: PartitionID, space: ItemSpace) -> [StoredItem] {
        live.withLock { live in
            let items =
                actor == .partition
                ? live.tables.own[partition] : live.tables.rows[partition]?[actor]?.items
            return (items?[space] ?? [:])
                .map { StoredItem(id: $0.key, body: $0.value) }
                .sorted { $0.id.lexicographicallyPrecedes($1.id) }
        }
    }

    package func dueActors(
        in partition: PartitionID, through time: UInt64, limit: Int
    ) -> [(id: ActorID, address: ActorAddress, wakeAt: UInt64)] {
        let rows = live.withLock { $0.tables.rows[partition] ?? [:] }
        return rows.values.compactMap { row in
            guard let wakeAt = row.stored.wakeAt, wakeAt <= time else { return nil }
            return (row.stored.id, row.stored.address, wakeAt)
        }.sorted { ($0.wakeAt, $0.id) < ($1.wakeAt, $1.id) }
    }

    package func actors(
        in partition: PartitionID, kind: String?, limit: Int, after: ActorAddress?
    ) -> [StoredActor] {
        let rows = live.withLock { $0.tables.rows[partition] ?? [:] }
        var found: [StoredActor] = []
        for stored in rows.values.map(\.stored) {
            if let kind, stored.address.kind.name != kind { continue }
            if let after, stored.address <= after { continue }
            found.append(stored)
        }
        return found.sorted { $0.address < $1.address }
    }

    package func close() {}
}

extension MemoryStore.Tables {
    mutating func keep(_ sealed: SealedRecord) {
        var reader = ByteReader(sealed.bytes)
        guard let (record, hash) = try? JournalRecord.decode(&reader, from: sealed.bytes) else {
            preconditionFailure("a record that was just written reads back")
        }
        let end = ends[record.partition] ?? .empty
        precondition(
            record.position == end.position.next, "positions have no gap: \(record.position) after \(end)")
        precondition(record.previousHash == end.hash, "the hash chain holds at \(record.position)")
        precondition(record.epoch >= end.epoch, "epochs never go back")
        precondition(record.time >= end.time, "time never goes back")
        ends[record.partition] = LogEnd(
            epoch: record.epoch, position: record.position, hash: hash, time: record.time)
        guard record.kind == .turn else { return }
        guard let (actor, operations) = try? TurnBody.decode(record.body) else {
            preconditionFailure("a body that was just written reads back")
        }
        let made = ActorID(rawValue: record.position.rawValue)
        var id = actor ?? made
        for operation in operations {
            if case .create = operation { id = made }
            perform(operation, on: id, in: record.partition)
        }
    }

    private mutating func perform(_ operation: TurnOperation, on id: ActorID, in partition: PartitionID) {
        switch operation {
        case .create(let address, let time):
            rows[partition, default: [:]][id] = MemoryStore.Row(
                stored: StoredActor(
                    id: id, address: address, createdAt: time, state: nil, run: nil, input: nil, wakeAt: nil))
        case .set(.state, let value): rows[partition]?[id]?.stored.state = value
        case .set(.run, let value): rows[partition]?[id]?.stored.run = value
        case .set(.input, let value): rows[partition]?[id]?.stored.input = value
        case .wake(let time): rows[partition]?[id]?.stored.wakeAt = time
        case .put(let space, let item, let value):
            rows[partition]?[id]?.items[space, default: [:]][item] = value
        case .delete, .deleteRange:
            if var items = rows[partition]?[id]?.items {
                Self.delete(operation, from: &items)
                rows[partition]?[id]?.items = items
            }
        case .destroy: rows[partition]?[id] = nil
        case .ofPartition(.put(let space, let item, let value)):
            own[partition, default: [:]][space, default: [:]][item] = value
        case .ofPartition(let deletion):
            Self.delete(deletion, from: &own[partition, default: [:]])
        }
    }

    private static func delete(
        _ operation: TurnOperation, from items: inout [ItemSpace: [[UInt8]: [UInt8]]]
    ) {
        switch operation {
        case .delete(let space, let item): items[space]?[item] = nil
        case .deleteRange(let space, let from, let through):
            for item in (items[space] ?? [:]).keys
            where !item.lexicographicallyPrecedes(from) && !through.lexicographicallyPrecedes(item) {
                items[space]?[item] = nil
            }
        default: preconditionFailure("\(operation) deletes no item")
        }
    }
}
