import ByteCoding
import Foundation
import Identifiers
import Synchronization

@testable import PartitionStore

/// A directory that goes away with the test.
final class Scratch: Sendable {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "apus-store-" + UUID().uuidString
        try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func sub(_ name: String) -> String { path + "/" + name }

    /// A copy of one directory of it, as a crash at this moment would leave it.
    @discardableResult
    func copy(_ from: String, to: String) -> String {
        try? FileManager.default.removeItem(atPath: sub(to))
        try! FileManager.default.copyItem(atPath: sub(from), toPath: sub(to))
        return sub(to)
    }
}

/// Seals records of one partition with the right chain.
struct LogMaker {
    let partition: PartitionID
    var end: LogEnd
    var epoch: UInt64 = 1

    init(_ partition: Int, end: LogEnd = .empty) {
        self.partition = PartitionID(partition)
        self.end = end
    }

    mutating func seal(_ body: [UInt8], kind: JournalRecord.Kind = .turn) -> SealedRecord {
        let record = JournalRecord(
            kind: kind, partition: partition, epoch: Epoch(rawValue: epoch), position: end.position.next,
            time: end.time + 1, previousHash: end.hash, body: body)
        let (bytes, hash) = record.encoded()
        end = LogEnd(epoch: record.epoch, position: record.position, hash: hash, time: record.time)
        return SealedRecord(partition: partition, position: record.position, hash: hash, bytes: bytes)
    }

    mutating func turn(_ actor: UInt64?, _ operations: TurnOperation...) -> SealedRecord {
        turn(actor, operations)
    }

    mutating func turn(_ actor: UInt64?, _ operations: [TurnOperation]) -> SealedRecord {
        var body = TurnBody(actor: actor.map { ActorID(rawValue: $0) })
        for operation in operations { body.append(operation) }
        return seal(body.bytes)
    }
}

func address(_ kind: String, _ key: String...) -> ActorAddress {
    try! ActorAddress(kind: ActorKind(kind), key: ActorKey(key))
}

extension StoreConfiguration {
    /// Few partitions, and nothing applied by the clock.
    static func test(_ directory: String, partitions: Int = 4) -> StoreConfiguration {
        var configuration = StoreConfiguration(directory: directory)
        configuration.partitionCount = partitions
        configuration.applyInterval = .seconds(3_600)
        // The tests that damage the log know where it ends.
        configuration.journalLogStep = 0
        return configuration
    }
}

/// Collects what the store's callbacks say, and lets a test wait for it.
final class Listener: Sendable {
    private struct State {
        var durable: [PartitionID: LogPosition] = [:]
        var applied: [PartitionID: LogPosition] = [:]
        var batch: UInt64 = 0
        var failures: [StoreError] = []
        var waiting: [(isMet: @Sendable (State) -> Bool, semaphore: DispatchSemaphore)] = []
    }
    private let state = Mutex(State())

    func start(_ store: PartitionStore, onDurable: @escaping @Sendable ([DurableMark]) -> Void = { _ in }) {
        startReplica(store) { onDurable($0.marks) }
    }

    func startReplica(_ store: PartitionStore, onCommit: @escaping @Sendable (GroupCommit) -> Void) {
        store.setOnApplied { [self] marks in
            update { state in for mark in marks { state.applied[mark.partition] = mark.position } }
        }
        store.start(
            onCommit: { [self] commit in
                onCommit(commit)
                update { state in
                    for mark in commit.marks { state.durable[mark.partition] = mark.position }
                    state.batch = commit.batch
                }
            },
            onFailure: { [self] error in update { $0.failures.append(error) } })
    }

    var durableBatch: UInt64 { state.withLock { $0.batch } }
    func waitUntilDurable(batch: UInt64) { wait { $0.batch >= batch } }

    var failures: [StoreError] { state.withLock { $0.failures } }
    func durable(_ partition: Int) -> LogPosition {
        state.withLock { $0.durable[PartitionID(partition)] ?? .zero }
    }

    func waitUntilDurable(_ partition: PartitionID, _ position: LogPosition) {
        wait { $0.durable[partition] ?? .zero >= position }
    }
    func waitUntilDurable(_ record: SealedRecord) {
        wait { $0.durable[record.partition] ?? .zero >= record.position }
    }
    func waitUntilApplied(_ record: SealedRecord) { waitUntilApplied(record.partition, record.position) }
    func waitUntilApplied(_ partition: PartitionID, _ position: LogPosition) {
        wait { $0.applied[partition] ?? .zero >= position }
    }
    func waitForFailure() { wait { !$0.failures.isEmpty } }

    private func update(_ change: (inout State) -> Void) {
        state.withLock { state in
            change(&state)
            let isMet = state.waiting.map { $0.isMet(state) || !state.failures.isEmpty }
            for (waiter, isMet) in zip(state.waiting, isMet) where isMet { waiter.semaphore.signal() }
            state.waiting = zip(state.waiting, isMet).filter { !$0.1 }.map(\.0)
        }
    }

    private func wait(_ isMet: @escaping @Sendable (State) -> Bool) {
        let semaphore = DispatchSemaphore(value: 0)
        let mustWait = state.withLock { state in
            if isMet(state) || !state.failures.isEmpty { return false }
            state.waiting.append((isMet, semaphore))
            return true
        }
        if mustWait { semaphore.wait() }
    }
}

extension SealedRecord {
    var mark: DurableMark { DurableMark(partition: partition, position: position) }
}
