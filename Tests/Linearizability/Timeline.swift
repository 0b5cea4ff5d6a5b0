/// The calls and returns of a history in the order of time, as a doubly linked list from which operations are
/// taken when they are placed and into which they come back when they are not.
struct Timeline {
    struct Event {
        let operation: Int
        let isReturn: Bool
    }

    /// Place 0 is before the first event.
    static let head = 0
    private(set) var events: [Event] = [Event(operation: -1, isReturn: true)]
    private var next: [Int]
    private var previous: [Int]
    /// For each operation, the places of its call and of its return, if it has one.
    private var calls: [Int]
    private var returns: [Int?]

    init<Model>(_ operations: [Operation<Model>]) {
        var all: [(time: UInt64, event: Event)] = []
        for (number, operation) in operations.enumerated() {
            all.append((operation.call, Event(operation: number, isReturn: false)))
            if operation.end != .max { all.append((operation.end, Event(operation: number, isReturn: true))) }
        }
        // At one time calls come first: operations that touch are held to be concurrent.
        all.sort {
            ($0.time, $0.event.isReturn ? 1 : 0, $0.event.operation)
                < ($1.time, $1.event.isReturn ? 1 : 0, $1.event.operation)
        }
        events += all.map(\.event)
        calls = [Int](repeating: 0, count: operations.count)
        returns = [Int?](repeating: nil, count: operations.count)
        for (place, event) in events.enumerated().dropFirst() {
            if event.isReturn { returns[event.operation] = place } else { calls[event.operation] = place }
        }
        // The list is a ring: behind the last event comes the head.
        let count = all.count + 1
        next = (0..<count).map { ($0 + 1) % count }
        previous = (0..<count).map { ($0 + count - 1) % count }
    }

    func place(after place: Int) -> Int { next[place] }
    func place(ofCall operation: Int) -> Int { calls[operation] }

    mutating func take(_ operation: Int) {
        unlink(calls[operation])
        if let place = returns[operation] { unlink(place) }
    }

    /// The reverse of the last `take` that was not reversed yet.
    mutating func putBack(_ operation: Int) {
        if let place = returns[operation] { link(place) }
        link(calls[operation])
    }

    private mutating func unlink(_ place: Int) {
        next[previous[place]] = next[place]
        previous[next[place]] = previous[place]
    }

    private mutating func link(_ place: Int) {
        next[previous[place]] = place
        previous[next[place]] = place
    }
}
