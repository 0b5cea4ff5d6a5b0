import DequeModule

/// The queues of one actor: which messages wait, in which order they are taken. Decisions only.
public struct MailboxCore: Sendable {
    private struct Queue: Sendable {
        /// In the order in which they are taken: by priority, then by number.
        var ready: Deque<QueuedMessage> = []
        /// Not to be taken before their time, the next one first.
        var hidden: [QueuedMessage] = []

        var count: Int { ready.count + hidden.count }

        mutating func insert(_ message: QueuedMessage) {
            guard message.visibleAt == 0 else {
                let place = hidden.firstIndex { message.visibleAt < $0.visibleAt } ?? hidden.endIndex
                return hidden.insert(message, at: place)
            }
            guard let last = ready.last, message.isBefore(last) else { return ready.append(message) }
            var (low, high) = (ready.startIndex, ready.endIndex)
            while low < high {
                let middle = (low + high) / 2
                if message.isBefore(ready[middle]) { high = middle } else { low = middle + 1 }
            }
            ready.insert(message, at: low)
        }

        mutating func show(at time: UInt64) {
            while let first = hidden.first, first.visibleAt <= time {
                hidden.removeFirst()
                var message = first
                message.visibleAt = 0
                insert(message)
            }
        }
    }

    private var queues: [String: Queue] = [:]
    private var nextNumber: UInt64 = 1

    public init() {}

    /// Messages that wait, over all queues.
    public var count: Int { queues.values.reduce(0) { $0 + $1.count } }

    public func count(in queue: String) -> Int { queues[queue]?.count ?? 0 }

    /// How many waiting messages each queue has, by name.
    public var counts: [(queue: String, count: Int)] {
        queues.filter { $0.value.count > 0 }.map { ($0.key, $0.value.count) }.sorted { $0.queue < $1.queue }
    }

    /// Takes up a stored message, or puts one back that was taken.
    public mutating func restore(_ message: QueuedMessage) {
        queues[message.queue, default: Queue()].insert(message)
        nextNumber = max(nextNumber, message.number + 1)
    }

    /// Numbers up to this one were given out in an earlier life, also to messages that are gone.
    public mutating func reserve(through number: UInt64) { nextNumber = max(nextNumber, number + 1) }

    /// The last number that was given out.
    public var lastNumber: UInt64 { nextNumber - 1 }

    /// Puts a message at the end of a queue.
    /// - Parameter visibleAt: when it may be taken; 0: at once.
    /// - Returns: nil if the queue holds `capacity` messages.
    public mutating func enqueue(
        _ body: [UInt8], to queue: String, capacity: Int, at time: UInt64, requester: [UInt8]?,
        visibleAt: UInt64 = 0, priority: UInt8 = 0
    ) -> QueuedMessage? {
        guard count(in: queue) < capacity else { return nil }
        let message = QueuedMessage(
            number: nextNumber, queue: queue, body: body, enqueuedAt: time, requester: requester,
            visibleAt: visibleAt, priority: priority)
        nextNumber += 1
        queues[queue, default: Queue()].insert(message)
        return message
    }

    /// When the next message of these queues may be taken that may not be yet.
    public func nextVisible(in names: [String]) -> UInt64? {
        names.compactMap { queues[$0]?.hidden.first?.visibleAt }.min()
    }

    /// Removes the messages of a queue that came before that time.
    public mutating func expire(_ queue: String, before time: UInt64) -> [QueuedMessage] {
        guard let found = queues[queue] else { return [] }
        let expired = (Array(found.ready) + found.hidden).filter { $0.enqueuedAt < time }
        guard !expired.isEmpty else { return [] }
        queues[queue]?.ready.removeAll { $0.enqueuedAt < time }
        queues[queue]?.hidden.removeAll { $0.enqueuedAt < time }
        return expired.sorted { $0.number < $1.number }
    }

    /// Removes the messages that were taken before and put back.
    public mutating func removeRedelivered() -> [QueuedMessage] {
        let found = queues.values.flatMap { Array($0.ready) + $0.hidden }.filter { $0.delivery > 1 }
        for message in found {
            queues[message.queue]?.ready.removeAll { $0.number == message.number }
            queues[message.queue]?.hidden.removeAll { $0.number == message.number }
        }
        return found.sorted { $0.number < $1.number }
    }

    /// Bytes of messages that are taken at once, at the most; one larger message is taken alone.
    public static let takenBytesMax = 4 << 20

    /// Takes messages of the given queues: those of the highest priority first, and among these in the order
    /// of their arrival over all of the queues (W31, W32).
    public mutating func take(from names: [String], upTo limit: Int, at time: UInt64) -> [QueuedMessage] {
        for name in names where !(queues[name]?.hidden.isEmpty ?? true) { queues[name]?.show(at: time) }
        var taken: [QueuedMessage] = []
        var bytes = 0
        while taken.count < limit, bytes < Self.takenBytesMax {
            var next: QueuedMessage?
            for name in names {
                guard let first = queues[name]?.ready.first else { continue }
                if next.map({ first.isBefore($0) }) ?? true { next = first }
            }
            guard let next, let message = queues[next.queue]?.ready.popFirst() else { break }
            bytes += message.body.count
            taken.append(message)
        }
        return taken
    }
}
