import HeapModule

/// Deadlines by key, at most one each, and which of them are due. No clock: the caller says what time it is.
///
/// Inlinable, because a shard asks in each of its rounds, and most of the time nothing is due.
public struct TimerCore<Key: Hashable & Sendable>: Sendable {
    @usableFromInline struct Item: Comparable, Sendable {
        @usableFromInline var due: UInt64
        /// Breaks ties in the order of scheduling, and tells a replaced deadline from the current one.
        @usableFromInline var ticket: UInt64
        @usableFromInline var key: Key

        @inlinable init(due: UInt64, ticket: UInt64, key: Key) {
            (self.due, self.ticket, self.key) = (due, ticket, key)
        }

        @inlinable static func < (a: Item, b: Item) -> Bool { (a.due, a.ticket) < (b.due, b.ticket) }
        @inlinable static func == (a: Item, b: Item) -> Bool { a.ticket == b.ticket }
    }

    @usableFromInline var heap = Heap<Item>()
    @usableFromInline var tickets: [Key: UInt64] = [:]
    @usableFromInline var nextTicket: UInt64 = 0

    @inlinable public init() {}

    /// Keys that have a deadline.
    @inlinable public var count: Int { tickets.count }

    /// Sets the deadline of a key, in place of an earlier one.
    /// - Parameter due: in the caller's unit, such as microseconds since 1970.
    @inlinable public mutating func schedule(_ key: Key, at due: UInt64) {
        nextTicket += 1
        tickets[key] = nextTicket
        heap.insert(Item(due: due, ticket: nextTicket, key: key))
        compactIfStale()
    }

    @inlinable public mutating func cancel(_ key: Key) {
        tickets[key] = nil
        compactIfStale()
    }

    /// Cancels the deadlines of all keys that fit.
    @inlinable public mutating func cancelAll(where fits: (Key) -> Bool) {
        tickets = tickets.filter { !fits($0.key) }
        compactIfStale()
    }

    /// The earliest deadline.
    @inlinable public mutating func next() -> UInt64? {
        dropStale()
        return heap.min?.due
    }

    /// Takes out the keys whose deadline is not after `now`, earliest first.
    @inlinable public mutating func popDue(_ now: UInt64, limit: Int = .max) -> [Key] {
        var due: [Key] = []
        while due.count < limit {
            dropStale()
            guard let first = heap.min, first.due <= now else { break }
            heap.removeMin()
            tickets[first.key] = nil
            due.append(first.key)
        }
        return due
    }

    @inlinable mutating func dropStale() {
        while let first = heap.min, tickets[first.key] != first.ticket { heap.removeMin() }
    }

    /// Cancelled and replaced deadlines stay in the heap until they surface; rebuilt when they outnumber the
    /// others.
    @inlinable mutating func compactIfStale() {
        guard heap.count > 64, heap.count > 2 * tickets.count else { return }
        heap = Heap(heap.unordered.filter { tickets[$0.key] == $0.ticket })
    }
}
