/// Decides whether a history is linearizable: whether each operation can be given a moment between its call
/// and its return so that, in the order of these moments, a sequential object gives the answers that were
/// heard.
///
/// The search of Wing and Gong (1993) with the memory of Lowe (2017), as in porcupine: operations are placed
/// one after the other, and a set of placed operations with the state it led to is not tried twice.
public enum LinearizabilityChecker {
    /// - Parameter stepsMax: how often an operation may be tried, all actors together.
    public static func check<Model: SequentialModel>(
        _ history: [Operation<Model>], stepsMax: Int = 1_000_000
    ) -> Verdict {
        // Linearizability is local (Herlihy and Wing 1990): a history is as good as each actor's part of it.
        let parts = Dictionary(grouping: history, by: \.actor)
        var stepsLeft = stepsMax
        var isUndecided = false
        for actor in parts.keys.sorted() {
            var placement = Placement(parts[actor] ?? [])
            switch placement.run(&stepsLeft) {
            case .linearizable: break
            case .violation(let explanation): return .violation(explanation)
            case .undecided: isUndecided = true
            }
        }
        return isUndecided ? .undecided : .linearizable
    }
}

/// The search for an order of one actor's operations.
private struct Placement<Model: SequentialModel> {
    private struct Visit: Hashable {
        let placed: BitSet
        let state: Model.State
    }

    private let operations: [Operation<Model>]
    private var timeline: Timeline
    private var state = Model.initial
    private var placed: BitSet
    /// The order so far, each operation with the state before it.
    private var order: [(operation: Int, before: Model.State)] = []
    private var visits: Set<Visit> = []
    /// Operations whose return is known and that are not placed.
    private var missing: Int
    /// The latest return that could not be passed, and the longest order that came up to it.
    private var furthest = Timeline.head
    private var furthestOrder: [Int] = []

    init(_ operations: [Operation<Model>]) {
        self.operations = operations
        timeline = Timeline(operations)
        placed = BitSet(count: operations.count)
        missing = operations.count { $0.end != .max }
    }

    mutating func run(_ stepsLeft: inout Int) -> Verdict {
        var place = timeline.place(after: Timeline.head)
        // What is left then has an unknown outcome and may never have happened.
        while missing > 0 {
            // Every missing return is in the list, so a return comes before the end of it.
            let event = timeline.events[place]
            if event.isReturn {
                noteBlocked(at: place)
                guard let last = takeBack() else { return .violation(explanation()) }
                place = timeline.place(after: timeline.place(ofCall: last))
                continue
            }
            guard stepsLeft > 0 else { return .undecided }
            stepsLeft -= 1
            let isPlaced = put(event.operation)
            place = timeline.place(after: isPlaced ? Timeline.head : place)
        }
        return .linearizable
    }

    /// Whether the operation can come next, and leads to something new.
    private mutating func put(_ number: Int) -> Bool {
        var next = state
        let answer = Model.apply(operations[number].input, to: &next)
        if let heard = operations[number].output {
            if heard != answer { return false }
        } else if next == state {
            // What nobody heard and what changes nothing may as well never have happened.
            return false
        }
        placed.insert(number)
        guard visits.insert(Visit(placed: placed, state: next)).inserted else {
            placed.remove(number)
            return false
        }
        order.append((number, state))
        state = next
        timeline.take(number)
        if operations[number].end != .max { missing -= 1 }
        return true
    }

    private mutating func takeBack() -> Int? {
        guard let (number, before) = order.popLast() else { return nil }
        placed.remove(number)
        state = before
        timeline.putBack(number)
        if operations[number].end != .max { missing += 1 }
        return number
    }

    /// What returned before the furthest return can be placed, what returned up to it cannot: there the
    /// history stops being linearizable, and what comes later does not matter.
    private mutating func noteBlocked(at place: Int) {
        guard place > furthest || place == furthest && order.count > furthestOrder.count else { return }
        furthest = place
        furthestOrder = order.map(\.operation)
    }

    private func explanation() -> Explanation {
        var state = Model.initial
        var prefix: [String] = []
        for number in furthestOrder {
            let answer = Model.apply(operations[number].input, to: &state)
            let operation = operations[number]
            prefix.append(operation.output == nil ? "\(operation), if it was \(answer)" : "\(operation)")
        }
        let blocked = timeline.events[furthest].operation
        let isPlaced = Set(furthestOrder)
        let candidates = operations.indices.filter {
            timeline.place(ofCall: $0) < furthest && !isPlaced.contains($0)
        }
        return Explanation(
            actor: operations[blocked].actor, prefix: prefix, state: "\(state)",
            blocked: "\(operations[blocked])",
            candidates: candidates.map {
                var next = state
                return "\(operations[$0]); the object says \(Model.apply(operations[$0].input, to: &next))"
            })
    }
}
