import Linearizability

/// A counter, as the checker of linearizability knows it.
enum CounterModel: SequentialModel {
    enum Call: Hashable, Sendable {
        case add(Int)
        case look
    }

    static let initial = 0

    static func apply(_ input: Call, to state: inout Int) -> Int {
        if case .add(let delta) = input { state += delta }
        return state
    }

    /// What clients saw, judged: whether there is one order of all calls, in which each takes effect between
    /// its beginning and its end, that gives every answer.
    static func verdict(_ calls: [ProbeCall]) -> Verdict {
        let operations = calls.compactMap { call -> Operation<CounterModel>? in
            let input = call.delta.map { Call.add($0) } ?? .look
            let outcome: Operation<CounterModel>.Outcome
            if let total = call.total {
                outcome = .returned(total, at: UInt64(max(call.began, call.ended)))
            } else if call.delta == nil {
                // A look that was never answered changed nothing.
                return nil
            } else {
                outcome = .unknown
            }
            return Operation(
                actor: "\(call.round)/\(call.actor)", client: call.client, input, call: UInt64(call.began),
                outcome)
        }
        return LinearizabilityChecker.check(operations, stepsMax: 100 * max(10_000, operations.count))
    }
}
