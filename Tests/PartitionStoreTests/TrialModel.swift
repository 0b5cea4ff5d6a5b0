import ByteCoding
import Identifiers

@testable import PartitionStore

/// A record of a trial, and what it does.
struct TrialRecord {
    var sealed: SealedRecord
    var end: LogEnd
    var actor: UInt64?
    var operations: [TurnOperation]
}

/// What goes into the journal, one after the other.
enum TrialEntry {
    case record(Int, TrialRecord)
    case truncate(Int, LogPosition)
    case adopt(Int, Epoch)
    /// Another replica's tables, and the log that they come from.
    case reset(Int, [TrialRecord])
}

/// What the logs of all partitions are after some entries.
struct TrialLogs {
    struct Log {
        /// All of them, from position 1 on.
        var records: [TrialRecord] = []
        var promised = Epoch(rawValue: 0)

        var end: LogEnd { records.last?.end ?? .empty }
    }
    var logs: [Log]

    init(partitions: Int) { logs = (0..<partitions).map { _ in Log() } }

    mutating func add(_ entry: TrialEntry) {
        switch entry {
        case .record(let partition, let record):
            logs[partition].records.append(record)
            logs[partition].promised = max(logs[partition].promised, record.end.epoch)
        case .truncate(let partition, let position):
            let surplus = logs[partition].records.count - Int(position.rawValue)
            logs[partition].records.removeLast(surplus)
        case .reset(let partition, let records):
            logs[partition].records = records
            logs[partition].promised = max(logs[partition].promised, logs[partition].end.epoch)
        case .adopt(let partition, let epoch):
            logs[partition].promised = max(logs[partition].promised, epoch)
        }
    }

    var ends: [LogEnd] { logs.map(\.end) }
}

/// What records add up to.
struct TrialTables: Equatable {
    struct Actor: Equatable {
        var address: ActorAddress
        var state: [UInt8]?
        var items: [[UInt8]: [UInt8]] = [:]
    }
    private(set) var applied = LogPosition.zero
    private(set) var actors: [UInt64: Actor] = [:]

    mutating func apply(_ record: TrialRecord) {
        var actor = record.actor
        applied = record.end.position
        for operation in record.operations {
            switch operation {
            case .create(let address, _):
                actor = applied.rawValue
                actors[applied.rawValue] = Actor(address: address)
            case .set(_, let value):
                if let actor { actors[actor]?.state = value }
            case .put(_, let id, let body):
                if let actor { actors[actor]?.items[id] = body }
            case .delete(_, let id):
                if let actor { actors[actor]?.items[id] = nil }
            case .destroy:
                if let actor { actors[actor] = nil }
            default: break
            }
        }
    }
}
