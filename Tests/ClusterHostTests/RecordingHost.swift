import ActorHost
import ByteCoding
import ClientProtocol
import Foundation
import Identifiers
import MailboxCore
import PartitionStore
import Synchronization
import TimeAndChance

@testable import ClusterHost

/// What stands in for the actors of a node: writes one actor a record, and says when a record is committed.
final class RecordingHost: PartitionHost {
    struct Log {
        var epoch: Epoch
        var position: LogPosition
        var hash: UInt64
        var time: UInt64
        var isServing = false
        var waiting: [(position: LogPosition, tell: @Sendable (Outcome) -> Void)] = []
    }

    enum Outcome: Hashable, Sendable {
        case committed(LogPosition)
        /// The epoch ended before.
        case unknown
        case notOwner
    }

    private struct State {
        var logs: [PartitionID: Log] = [:]
        var events: [PartitionEvent] = []
        var waiters:
            [(isMatch: @Sendable (PartitionEvent) -> Bool, continuation: CheckedContinuation<Void, Never>)] =
                []
    }

    let store: ReplicationDriver
    private let state = Mutex(State())

    init(_ store: ReplicationDriver) {
        self.store = store
        store.start(onEvents: { [weak self] in self?.handle($0) }, onFailure: { _ in })
    }

    var events: [PartitionEvent] { state.withLock { $0.events } }

    /// Waits for an event since the beginning.
    func first(where isMatch: @escaping @Sendable (PartitionEvent) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.events.contains(where: isMatch) { return true }
                state.waiters.append((isMatch, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    func serves(_ partition: PartitionID) async {
        await first { if case .serve(partition, _) = $0 { true } else { false } }
    }

    /// Writes an actor into a partition.
    func write(
        _ address: ActorAddress, _ value: [UInt8], to partition: PartitionID,
        then: @escaping @Sendable (Outcome) -> Void
    ) {
        let record = state.withLock { state -> SealedRecord? in
            guard var log = state.logs[partition], log.isServing else { return nil }
            var body = TurnBody(actor: nil)
            body.append(.create(address, time: log.time))
            body.append(.set(.state, value))
            log.position = log.position.next
            let (bytes, hash) = body.sealed(
                partition: partition, epoch: log.epoch, position: log.position, time: log.time,
                previousHash: log.hash)
            log.hash = hash
            log.waiting.append((log.position, then))
            state.logs[partition] = log
            let sealed = SealedRecord(partition: partition, position: log.position, hash: hash, bytes: bytes)
            store.append([sealed])
            return sealed
        }
        if record == nil { then(.notOwner) }
    }

    func write(_ address: ActorAddress, _ value: [UInt8], to partition: PartitionID) async -> Outcome {
        await withCheckedContinuation { continuation in
            write(address, value, to: partition) { continuation.resume(returning: $0) }
        }
    }

    func confirmRead(_ partition: PartitionID) async -> Bool {
        await withCheckedContinuation { continuation in
            store.confirmRead(partition) { continuation.resume(returning: $0) }
        }
    }

    private func handle(_ events: [PartitionEvent]) {
        var told: [@Sendable () -> Void] = []
        state.withLock { state in
            for event in events {
                switch event {
                case .lead(let partition, let epoch, let end): lead(partition, epoch, end, &state)
                case .serve(let partition, _): state.logs[partition]?.isServing = true
                case .standDown(let partition, _):
                    for (_, tell) in state.logs.removeValue(forKey: partition)?.waiting ?? [] {
                        told.append { tell(.unknown) }
                    }
                case .committed(let partition, let position):
                    guard var log = state.logs[partition] else { continue }
                    for (waiting, tell) in log.waiting where waiting <= position {
                        told.append { tell(.committed(waiting)) }
                    }
                    log.waiting.removeAll { $0.position <= position }
                    state.logs[partition] = log
                }
                state.events.append(event)
                let ready = state.waiters.filter { $0.isMatch(event) }.map(\.continuation)
                state.waiters.removeAll { $0.isMatch(event) }
                for continuation in ready { told.append { continuation.resume() } }
            }
        }
        for tell in told { tell() }
    }

    private func lead(_ partition: PartitionID, _ epoch: Epoch, _ end: LogEnd, _ state: inout State) {
        var writer = ByteWriter()
        writer.varint(UInt64(1))
        let time = max(end.time, SystemClock().reading().wall.rawValue)
        let (bytes, hash) = JournalRecord(
            kind: .epochStart, partition: partition, epoch: epoch, position: end.position.next, time: time,
            previousHash: end.hash, body: writer.bytes
        ).encoded()
        state.logs[partition] = Log(epoch: epoch, position: end.position.next, hash: hash, time: time)
        store.append([
            SealedRecord(partition: partition, position: end.position.next, hash: hash, bytes: bytes)
        ])
    }

    var actors: any ActorService { NoActors() }
    func deliver(_ batch: MessageBatch, _ done: @escaping @Sendable (BatchResult) -> Void) {
        done(.unavailable)
    }
    func setRouter(_ router: any ActorService) {}
    func retryMessages(to partition: PartitionID) {}
    /// Writes one record at a time, and is always at a good place to stop.
    func handOver(_ partition: PartitionID, _ epoch: Epoch, _ request: HandoverRequest) {
        if case .begin(let done) = request { done() }
    }

    func stop() async throws { try store.close() }
    func abandon() {}
}

/// Nobody asks this host for actors.
private struct NoActors: ActorService {
    var kinds: [String] { [] }
    func submit(
        _ request: ActorRequest, reply: @escaping @Sendable (Result<ActorReply, ActorError>) -> Void
    ) -> RequestToken {
        reply(.failure(.notOwner))
        return RequestToken(rawValue: 0)
    }
    func abandon(_ token: RequestToken) {}
    func subscribe(
        to event: String, of actor: ActorAddress, deliver: @escaping @Sendable (EventDelivery) -> Void
    ) throws(ActorError) -> SubscriptionID { throw .notOwner }
    func unsubscribe(_ subscription: SubscriptionID) {}
    func status() async -> Payload { Payload("{}") }
    func list(kind: String?, after: ActorAddress?, limit: Int) async throws(ActorError) -> Payload {
        Payload("{}")
    }
}
