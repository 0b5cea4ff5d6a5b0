import ByteCoding
import Identifiers
import PartitionStore
import ReplicationCore
import WorkflowCore

/// The tables of one partition in memory: what a state file has, as values.
struct PartitionRows: Equatable {
    typealias Items = [ItemSpace: [[UInt8]: [UInt8]]]

    struct Row: Equatable {
        var stored: StoredActor
        var items: Items = [:]
    }

    private(set) var rows: [ActorID: Row] = [:]
    /// What belongs to the partition as a whole.
    private(set) var own: Items = [:]
    private var ids: [ActorAddress: ActorID] = [:]

    func row(at address: ActorAddress) -> Row? { ids[address].flatMap { rows[$0] } }

    func items(of actor: ActorID, _ space: ItemSpace) -> [[UInt8]: [UInt8]] {
        (actor == .partition ? own : rows[actor]?.items)?[space] ?? [:]
    }

    mutating func apply(_ record: LogRecord) {
        guard let turn = DecodedTurn(record) else { return }
        apply(turn)
    }

    mutating func apply(_ turn: DecodedTurn) {
        for operation in turn.operations { apply(operation, to: turn.target(of: operation)) }
    }

    private mutating func apply(_ operation: TurnOperation, to id: ActorID) {
        switch operation {
        case .create(let address, let time):
            let stored = StoredActor(
                id: id, address: address, createdAt: time, state: nil, run: nil, input: nil, wakeAt: nil)
            rows[id] = Row(stored: stored)
            ids[address] = id
        case .set(.state, let value): rows[id]?.stored.state = value
        case .set(.run, let value): rows[id]?.stored.run = value
        case .set(.input, let value): rows[id]?.stored.input = value
        case .wake(let time): rows[id]?.stored.wakeAt = time
        case .put(let space, let item, let value): rows[id]?.items[space, default: [:]][item] = value
        case .delete(let space, let item): rows[id]?.items[space]?[item] = nil
        case .deleteRange(let space, let from, let through):
            for item in Self.between(from, through, rows[id]?.items[space]) {
                rows[id]?.items[space]?[item] = nil
            }
        case .destroy:
            if let address = rows.removeValue(forKey: id)?.stored.address, ids[address] == id {
                ids[address] = nil
            }
        case .ofPartition(.put(let space, let item, let value)): own[space, default: [:]][item] = value
        case .ofPartition(.delete(let space, let item)): own[space]?[item] = nil
        case .ofPartition(.deleteRange(let space, let from, let through)):
            for item in Self.between(from, through, own[space]) { own[space]?[item] = nil }
        case .ofPartition: break
        }
    }

    private static func between(
        _ from: [UInt8], _ through: [UInt8], _ items: [[UInt8]: [UInt8]]?
    ) -> [[UInt8]] {
        (items ?? [:]).keys.filter {
            !$0.lexicographicallyPrecedes(from) && !through.lexicographicallyPrecedes($0)
        }
    }
}

/// The record of a turn, read back.
struct DecodedTurn {
    var partition: PartitionID
    var epoch: Epoch
    var position: LogPosition
    var time: UInt64
    /// Nil for a record that creates an actor, or concerns none.
    var actor: ActorID?
    var operations: [TurnOperation]

    /// Nil for the first record of an epoch.
    init?(_ record: LogRecord) {
        var reader = ByteReader(record.bytes)
        guard let (journal, _) = try? JournalRecord.decode(&reader, from: record.bytes),
            journal.kind == .turn, let (actor, operations) = try? TurnBody.decode(journal.body)
        else { return nil }
        (partition, epoch, position) = (journal.partition, journal.epoch, journal.position)
        time = journal.time
        self.operations = operations
        self.actor = actor
    }

    private var made: ActorID { ActorID(rawValue: position.rawValue) }

    var creates: Bool { operations.contains { if case .create = $0 { true } else { false } } }

    /// The actor that the record is about in the end.
    var subject: ActorID { creates ? made : actor ?? made }

    /// What it records in the history of its actor.
    var entries: [HistoryEntry] {
        operations.compactMap { operation in
            guard case .put(.history, _, let value) = operation else { return nil }
            return try? HistoryEntry.decode(value)
        }
    }

    /// Whom an operation changes: what stands before a `create` belongs to the actor that it replaces.
    func target(of operation: TurnOperation) -> ActorID {
        if case .destroy = operation { return actor ?? made }
        return subject
    }
}
