import ByteCoding
import Identifiers
import MailboxCore

extension FuzzTarget {
    /// What is accepted as a message between actors reads back the same.
    public static let actorMessage = FuzzTarget("ActorMessage", corpus: messages.map { $0.encoded() }) {
        bytes in
        guard let message = try? ActorMessage.decode(bytes) else { return nil }
        return (try? ActorMessage.decode(message.encoded())) == message
            ? nil : "a message changed on its way: \(message)"
    }

    /// What is accepted as a batch reads back the same, and has a message after its last.
    public static let messageBatch = FuzzTarget("MessageBatch", corpus: batches.map { $0.encoded() }) {
        bytes in
        guard let batch = try? MessageBatch.decode(bytes) else { return nil }
        guard (try? MessageBatch.decode(batch.encoded())) == batch else {
            return "a batch changed on its way: \(batch)"
        }
        var inbox = InboxCore()
        _ = inbox.lost(before: batch)
        guard case .perform(let index) = inbox.verdict(on: batch) else { return nil }
        guard batch.messages.indices.contains(index) else { return "a batch has no message \(index)" }
        _ = inbox.note(batch.last, from: batch.source, batch.flow)
        return inbox.verdict(on: batch) == .nothing ? nil : "a batch is performed twice"
    }

    /// What is accepted as a batch's result reads back the same.
    public static let batchResult = FuzzTarget(
        "BatchResult",
        corpus: [
            BatchResult.received(through: 1 << 40, isHeld: true).encoded(), BatchResult.unavailable.encoded(),
        ]
    ) { bytes in
        guard let result = try? BatchResult.decode(bytes) else { return nil }
        guard (try? BatchResult.decode(result.encoded())) == result else { return "a result changed" }
        // Whatever the other side says.
        var outbox = OutboxCore()
        let there = PartitionID(rawValue: 2)
        _ = outbox.post(messages[0], to: there, at: .zero)
        for shipment in outbox.ship(from: PartitionID(rawValue: 1), committed: .zero, now: 0) {
            _ = outbox.noteResult(result, of: shipment.stream, attempt: shipment.attempt, now: 1)
        }
        _ = outbox.post(messages[0], to: there, at: .zero)
        _ = outbox.trim()
        return nil
    }

    /// Stored lines and messages of streams: the first byte says how many bytes the identifier has.
    public static let messageStreams = FuzzTarget("MessageStreams", corpus: stored) { bytes in
        let count = min(Int(bytes.first ?? 0), max(bytes.count - 1, 0))
        let id = Array(bytes.dropFirst().prefix(count))
        let value = Array(bytes.dropFirst(1 + count))
        var inbox = InboxCore()
        try? inbox.restore(id: id, value: value)
        var outbox = OutboxCore()
        guard (try? outbox.restore(id: id, value: value)) != nil else { return nil }
        let shipments = outbox.ship(from: PartitionID(rawValue: 1), committed: .zero, now: 0)
        for shipment in shipments {
            let result = BatchResult.received(through: shipment.batch.last, isHeld: false)
            _ = outbox.noteResult(result, of: shipment.stream, attempt: shipment.attempt, now: 1)
        }
        guard outbox.isEmpty else { return "a message was not shipped" }
        return outbox.trim().count == 2 * shipments.count ? nil : "what has arrived is not deleted"
    }

    /// What is accepted as an undelivered message reads back the same, and can be followed.
    public static let undeliveredMessage = FuzzTarget("UndeliveredMessage", corpus: [undelivered.encoded()]) {
        bytes in
        var kept = UndeliveredMessages()
        try? kept.restore(id: bytes, value: undelivered.encoded())
        _ = kept.add(undelivered)
        guard let message = try? UndeliveredMessage.decode(bytes) else { return nil }
        return (try? UndeliveredMessage.decode(message.encoded())) == message
            ? nil : "a message changed on its way: \(message)"
    }

    private static let messages: [ActorMessage] = {
        guard let kind = try? ActorKind("order"), let one = try? ActorKey(["a"]),
            let other = try? ActorKey(["2024", "", "ü/🛒"])
        else { return [] }
        let contents: [ActorMessage.Content] = [
            .send(queue: "q", body: Array("{}".utf8), MessageDelivery()),
            .send(
                queue: "é", body: [],
                MessageDelivery(delayMicros: 1 << 40, priority: 9, deduplicationKey: "k")),
            .call(action: "add", input: [0x31]), .answer(to: 1 << 40, reply: [1, 4]),
            .returned(queue: "q", body: [1], error: [2]),
        ]
        return contents.map {
            ActorMessage(
                sender: ActorAddress(kind: kind, key: one), target: ActorAddress(kind: kind, key: other),
                life: ActorID(rawValue: 300), content: $0)
        }
    }()

    private static let batches: [MessageBatch] = [false, true].map { isAnswer in
        MessageBatch(
            source: PartitionID(rawValue: 1), destination: PartitionID(rawValue: 258),
            flow: isAnswer ? .answer : .request, acknowledged: 0, first: 1,
            messages: messages.filter { $0.isAnswer == isAnswer })
    }

    private static let stored: [[UInt8]] = {
        var items: [(id: [UInt8], value: [UInt8])] = []
        func keep(_ operation: TurnOperation) {
            if case .ofPartition(.put(_, let id, let value)) = operation { items.append((id, value)) }
        }
        var outbox = OutboxCore()
        for message in messages {
            keep(outbox.post(message, to: PartitionID(rawValue: 258), at: .zero).operation)
        }
        for shipment in outbox.ship(from: PartitionID(rawValue: 1), committed: .zero, now: 0) {
            let result = BatchResult.received(through: 1, isHeld: false)
            _ = outbox.noteResult(result, of: shipment.stream, attempt: shipment.attempt, now: 1)
        }
        outbox.trim().forEach(keep)
        var inbox = InboxCore()
        keep(inbox.note(1 << 40, from: PartitionID(rawValue: 3), .answer))
        return items.map { [UInt8($0.id.count)] + $0.id + $0.value }
    }()

    private static let undelivered: UndeliveredMessage = {
        UndeliveredMessage(
            time: 1 << 50, target: messages[0].target, queue: "q", body: [1, 2], error: [3])
    }()
}
