import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import Logging
import MailboxCore
import PartitionStore
import TimerCore

/// Messages from this shard's actors to others: they are part of the record of their turn, leave after its
/// commit (R17), and are sent again until the destination has them (W60, `cluster.md` 2.11).
extension Shard {
    /// Messages that have arrived are deleted by the record that comes next, or by one of their own when
    /// there are that many, or after that time.
    private static let trimCount: UInt64 = 256
    private static let trimMicros: UInt64 = 1_000_000

    /// Takes up what an earlier owner of the partition has left.
    func loadMail(of partition: PartitionID) {
        guard let mail = partitions[partition]?.mail else { return }
        do {
            for item in try store.items(of: .partition, in: partition, space: .outbox) {
                try mail.outbox.restore(id: item.id, value: item.body)
            }
            for item in try store.items(of: .partition, in: partition, space: .inbox) {
                try mail.inbox.restore(id: item.id, value: item.body)
            }
        } catch {
            mail.isDamaged = true
            logger.error(
                "the messages between partition \(partition.rawValue) and others cannot be read: \(error)")
        }
        if !mail.outbox.isEmpty { mailDue.insert(partition) }
    }

    // MARK: Sending

    /// Whether messages to other actors may be sent from a partition.
    func checkRoom(
        for messages: [(target: ActorAddress, byteCount: Int)], in partition: PartitionID
    ) throws(ActorError) {
        guard !messages.isEmpty, let mail = partitions[partition]?.mail else { return }
        guard !mail.isDamaged else { throw .internalError }
        var wanted: [PartitionID: (count: Int, bytes: Int)] = [:]
        for message in messages {
            let destination = ring.partition(of: message.target)
            let (count, bytes) = wanted[destination] ?? (0, 0)
            wanted[destination] = (count + 1, bytes + message.byteCount)
            guard mail.outbox.hasRoom(for: count + 1, bytes + message.byteCount, to: destination) else {
                throw .outboxFull(message.target)
            }
        }
    }

    /// Takes a message into the outbox.
    /// - Returns: its place, and what belongs into the partition's next record.
    func post(
        _ message: ActorMessage, from partition: PartitionID
    ) -> (place: MessagePlace, operation: TurnOperation) {
        guard let log = partitions[partition] else {
            // Only turns send, and only the owner of a partition has turns.
            preconditionFailure("shard \(index) does not own partition \(partition.rawValue)")
        }
        let destination = ring.partition(of: message.target)
        let (number, operation) = log.mail.outbox.post(message, to: destination, at: log.position.next)
        counters.messagesSent += 1
        let flow: MessageFlow = message.isAnswer ? .answer : .request
        return (
            MessagePlace(source: partition, partition: destination, flow: flow, number: number), operation
        )
    }

    /// Something was committed: what of it goes to others leaves at the end of the round.
    func noteCommit(of log: PartitionLog) {
        if !log.mail.outbox.isEmpty { mailDue.insert(log.id) }
    }

    /// Sends what is committed and not on its way. Called at the end of each round.
    func shipMail() {
        let due = mailDue.sorted()
        mailDue.removeAll(keepingCapacity: true)
        guard !isStopping else { return }
        for partition in due {
            guard let log = partitions[partition], !log.mail.isDamaged else { continue }
            let shipments = log.mail.outbox.ship(
                from: partition, committed: log.committed, now: reading.monotonic)
            for shipment in shipments {
                carry(shipment.batch) { [self] result in
                    executor.post { self.noteResult(result, of: shipment) }
                }
            }
            armMail(log)
        }
    }

    private func noteResult(_ result: BatchResult, of shipment: OutboxCore.Shipment) {
        let partition = shipment.batch.source
        guard !isStopping, let mail = partitions[partition]?.mail else { return }
        let lost = mail.outbox.noteResult(
            result, of: shipment.stream, attempt: shipment.attempt, now: reading.monotonic)
        if lost > 0 {
            logger.error(
                """
                partition \(shipment.batch.destination.rawValue) has \(lost) messages of partition \
                \(partition.rawValue) that this log does not know: it has lost records
                """)
        }
        if mail.outbox.untrimmed >= Self.trimCount {
            recordOfPartition(partition, [])
        } else if mail.outbox.untrimmed > 0, mail.trimAt == nil {
            mail.trimAt = reading.monotonic + Self.trimMicros
        }
        mailDue.insert(partition)
    }

    func retryMail(to destination: PartitionID) {
        for (partition, log) in partitions where !log.mail.outbox.isEmpty {
            log.mail.outbox.retry(to: destination)
            mailDue.insert(partition)
        }
    }

    /// Makes sure that the shard wakes when something is to be sent again.
    private func armMail(_ log: PartitionLog) {
        let key = TimerKey(partition: log.id, actor: .partition)
        guard let due = [log.mail.outbox.nextDue, log.mail.trimAt].compactMap({ $0 }).min() else {
            return timers.cancel(key)
        }
        // Measured on the clock that nobody sets, waited for on the one that the timers have.
        let wait = due > reading.monotonic ? due - reading.monotonic : 0
        timers.schedule(key, at: reading.wall.rawValue + wait)
    }

    func mailTimerFired(_ partition: PartitionID) {
        guard !isStopping, let mail = partitions[partition]?.mail else { return }
        if let trimAt = mail.trimAt, trimAt <= reading.monotonic { recordOfPartition(partition, []) }
        mailDue.insert(partition)
    }

    // MARK: Records

    /// What the next record of a partition deletes of its outbox.
    func trimMail(_ log: PartitionLog, _ body: inout TurnBody) {
        guard log.mail.outbox.untrimmed > 0 else { return }
        log.mail.trimAt = nil
        for operation in log.mail.outbox.trim() { body.append(operation) }
    }

    /// Records what concerns no actor of the partition, and deletes what has arrived.
    func recordOfPartition(_ partition: PartitionID, _ operations: [TurnOperation]) {
        var body = TurnBody(actor: nil)
        for operation in operations { body.append(operation) }
        _ = append(body, to: partition)
    }
}

extension ActorError {
    static func outboxFull(_ target: ActorAddress) -> ActorError {
        ActorError(
            "full", "too many messages wait for the partition of \(target); it does not take them now",
            group: "outbox")
    }
}
