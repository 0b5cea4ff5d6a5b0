import ByteCoding
import Dispatch
import Foundation
import Identifiers
import ReplicationCore
import Synchronization
import Testing

@testable import PartitionStore

/// Waits for what a callback says.
func outcome<Value: Sendable, Failure: Error>(
    _ ask: (@escaping @Sendable (Result<Value, Failure>) -> Void) -> Void
) throws -> Value {
    let answer = Mutex<Result<Value, Failure>?>(nil)
    let semaphore = DispatchSemaphore(value: 0)
    ask { result in
        answer.withLock { $0 = result }
        semaphore.signal()
    }
    semaphore.wait()
    return try #require(answer.withLock { $0 }).get()
}

/// A store with one replica's log that a test writes, and what it must hold.
final class TestReplica {
    let store: PartitionStore
    let replica: ReplicaListener
    var log: LogMaker
    /// The state of each actor, by the position that made it.
    private(set) var states: [UInt64: [UInt8]] = [:]
    private var starts: [EpochStart] = []

    init(
        _ configuration: StoreConfiguration, onCommit: @escaping @Sendable (GroupCommit) -> Void = { _ in }
    ) throws {
        log = LogMaker(1)
        store = try PartitionStore.open(configuration)
        replica = ReplicaListener(store, onCommit: onCommit)
    }

    var partition: PartitionID { log.partition }
    var mark: LogMark { LogMark(position: log.end.position, epoch: log.end.epoch, hash: log.end.hash) }

    /// Appends records that make an actor each, and waits until they are applied.
    func fill(_ count: Int, bytes: Int = 200) {
        var records: [LogRecord] = []
        for _ in 0..<count {
            let number = log.end.position.rawValue + 1
            let state = (0..<bytes).map { UInt8(truncatingIfNeeded: UInt64($0) &* 31 &+ number) }
            let record = log.turn(
                nil, .create(address("A", "\(number)"), time: number), .set(.state, state),
                .put(.history, id: [1], state))
            states[number] = state
            if starts.last?.epoch != record.epoch {
                starts.append(EpochStart(epoch: record.epoch, first: record.position))
            }
            records.append(record.logRecord)
        }
        append(records)
    }

    func append(_ records: [LogRecord]) {
        replica.append([(partition, .append(records))])
        replica.waitUntilDurable()
        guard let last = records.last?.mark.position else { return }
        store.commit([DurableMark(partition: partition, position: last)])
        store.requestApply([partition])
        replica.listener.waitUntilApplied(partition, last)
    }

    func export() throws -> SnapshotReader {
        try outcome { reply in
            store.exportSnapshot(
                of: partition, epoch: Epoch(rawValue: log.epoch), epochs: starts, reply: reply)
        }
    }

    func log(after position: LogPosition) throws -> [LogRecord] {
        typealias Reply = @Sendable (Result<[LogRecord]?, Never>) -> Void
        let records: [LogRecord]? = try outcome { (reply: @escaping Reply) in
            store.readLog(of: partition, after: position, bytesMax: 1 << 30) { reply(.success($0)) }
        }
        return records ?? []
    }

    /// Goes on as a replica of `owner`'s log.
    func follow(_ owner: TestReplica) {
        (log, states, starts) = (owner.log, owner.states, owner.starts)
    }

    /// Whether the tables are those of the log up to a position.
    func hasTables(of owner: TestReplica, through position: LogPosition) throws -> Bool {
        try store.hasTables(owner.states, in: partition, through: position)
    }
}

extension PartitionStore {
    func hasTables(
        _ states: [UInt64: [UInt8]], in partition: PartitionID, through position: LogPosition
    ) throws -> Bool {
        guard appliedPosition(of: partition) == position else { return false }
        for (id, state) in states {
            let actor = try actor(ActorID(rawValue: id), in: partition)
            let items = try items(of: ActorID(rawValue: id), in: partition, space: .history)
            if id <= position.rawValue {
                guard actor?.state == state, items.map(\.body) == [state] else { return false }
            } else {
                guard actor == nil, items.isEmpty else { return false }
            }
        }
        return true
    }
}

extension SnapshotReader {
    func chunk(_ index: Int) throws -> SnapshotChunk { try outcome { read(index, reply: $0) } }

    func chunks() throws -> [SnapshotChunk] { try (0..<header.chunkCount).map { try chunk($0) } }
}

extension SnapshotWriter {
    func write(_ chunk: SnapshotChunk) throws -> Int { try outcome { write(chunk, reply: $0) } }

    func write(_ chunks: [SnapshotChunk]) throws { for chunk in chunks { _ = try write(chunk) } }

    func install() throws { try outcome { install(reply: $0) } }
}

extension StoreConfiguration {
    /// Chunks of one page.
    static func snapshots(_ directory: String) -> StoreConfiguration {
        var configuration = StoreConfiguration.replica(directory)
        configuration.snapshotChunkBytes = 4_096
        return configuration
    }
}
