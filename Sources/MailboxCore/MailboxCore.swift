import DequeModule

/// The queues of one actor: which messages wait, in which order they are taken. Decisions only.
public struct MailboxCore: Sendable {
    private var queues: [String: Deque<QueuedMessage>] = [:]
    private var nextNumber: UInt64 = 1

    public init() {}

    /// Messages that wait, over all queues.
    public var count: Int { queues.values.reduce(0) { $0 + $1.count } }

    public func count(in queue: String) -> Int { queues[queue]?.count ?? 0 }

    /// How many waiting messages each queue has, by name.
    public var counts: [(queue: String, count: Int)] {
        queues.filter { !$0.value.isEmpty }.map { ($0.key, $0.value.count) }.sorted { $0.queue < $1.queue }
    }

    /// Takes up a stored message; called in the order of their numbers.
    public mutating func restore(_ message: QueuedMessage) {
        queues[message.queue, default: []].append(message)
        nextNumber = max(nextNumber, message.number + 1)
    }

    /// Numbers up to this one were given out in an earlier life, also to messages that are gone.
    public mutating func reserve(through number: UInt64) { nextNumber = max(nextNumber, number + 1) }

    /// The last number that was given out.
    public var lastNumber: UInt64 { nextNumber - 1 }

    /// Puts a message at the end of a queue.
    /// - Returns: nil if the queue holds `capacity` messages.
    public mutating func enqueue(
        _ body: [UInt8], to queue: String, capacity: Int, at time: UInt64, requester: [UInt8]?
    ) -> QueuedMessage? {
        guard count(in: queue) < capacity else { return nil }
        let message = QueuedMessage(
            number: nextNumber, queue: queue, body: body, enqueuedAt: time, requester: requester)
        nextNumber += 1
        queues[queue, default: []].append(message)
        return message
    }

    /// Bytes of messages that are taken at once, at the most; one larger message is taken alone.
    public static let takenBytesMax = 4 << 20

    /// Takes the oldest messages of the given queues, in order of arrival over all of them (W31, W32).
    public mutating func take(from names: [String], upTo limit: Int) -> [QueuedMessage] {
        var taken: [QueuedMessage] = []
        var bytes = 0
        while taken.count < limit, bytes < Self.takenBytesMax {
            var oldest: (name: String, number: UInt64)?
            for name in names {
                guard let first = queues[name]?.first else { continue }
                if oldest.map({ first.number < $0.number }) ?? true { oldest = (name, first.number) }
            }
            guard let oldest, let message = queues[oldest.name]?.popFirst() else { break }
            bytes += message.body.count
            taken.append(message)
        }
        return taken
    }
}
