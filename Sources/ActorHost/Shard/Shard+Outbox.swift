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

    /// Takes up what an earlier owner of the partition has left; called when the tables have all of it.
    func loadMail(of log: PartitionLog) {
        let mail = log.mail
        do {
            for item in try store.items(of: .partition, in: log.id, space: .outbox) {
                try mail.outbox.restore(id: item.id, value: item.body)
            }
            let streams = try store.items(of: .partition, in: log.id, space: .inbox)
            for item in streams where settings.rules.contains(.inboxPositions) {
                try mail.inbox.restore(id: item.id, value: item.body)
            }
        } catch {
            mail.isDamaged = true
            logger.error(
                "the messages between partition \(log.id.rawValue) and others cannot be read: \(error)")
        }
        guard !mail.outbox.isEmpty else { return }
        mailBusy.insert(log.id)
        mailDue.insert(log.id)
    }

    // MARK: Sending

    /// Whether messages to other actors may be sent from a partition.
    func checkRoom(
        for messages: [(target: ActorAddress, byteCount: Int)], in log: PartitionLog
    ) throws(ActorError) {
        guard !messages.isEmpty else { return }
        let mail = log.mail
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
    /// - Returns: its number in the stream to its destination, and what belongs into the log's next record.
    func post(
        _ message: ActorMessage, from log: PartitionLog
    ) -> (destination: PartitionID, number: UInt64, operation: TurnOperation) {
        let destination = ring.partition(of: message.target)
        let (number, operation) = log.mail.outbox.post(message, to: destination, at: log.position.next)
        mailBusy.insert(log.id)
        counters.messagesSent += 1
        return (destination, number, operation)
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
            guard let log = partitions[partition], log.isServing, !log.mail.isDamaged else { continue }
            let shipments = log.mail.outbox.ship(
                from: partition,
                committed: settings.rules.contains(.outboxAfterCommit) ? log.committed : log.position,
                now: reading.monotonic)
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
        guard !isStopping, let log = partitions[partition], log.isServing else { return }
        let mail = log.mail
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
            record([], in: log)
        } else if mail.outbox.untrimmed > 0, mail.trimAt == nil {
            mail.trimAt = reading.monotonic + Self.trimMicros
        }
        mailDue.insert(partition)
    }

    func retryMail(to destination: PartitionID) {
        for partition in mailBusy {
            guard let log = partitions[partition], !log.mail.outbox.isEmpty else {
                mailBusy.remove(partition)
                continue
            }
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

    func mailTimerFired(_ log: PartitionLog) {
        guard !isStopping else { return }
        if let trimAt = log.mail.trimAt, trimAt <= reading.monotonic { record([], in: log) }
        mailDue.insert(log.id)
    }

    // MARK: Records

    /// What the next record of a partition deletes of its outbox.
    func trimMail(_ log: PartitionLog, _ body: inout TurnBody) {
        guard log.mail.outbox.untrimmed > 0 else { return }
        log.mail.trimAt = nil
        for operation in log.mail.outbox.trim() { body.append(operation) }
    }

    /// Records what concerns no actor of the partition, and deletes what has arrived.
    func record(_ operations: [TurnOperation], in log: PartitionLog) {
        var body = TurnBody(actor: nil)
        for operation in operations { body.append(operation) }
        _ = append(body, to: log)
    }
}

extension ActorError {
    static func outboxFull(_ target: ActorAddress) -> ActorError {
        ActorError(
            "full", "too many messages wait for the partition of \(target); it does not take them now",
            group: "outbox")
    }
}
