import Linearizability

/// What clients saw of one counter, judged by the checker of linearizability: whether there is one order of
/// all calls, in which each takes effect between its beginning and its end, that gives every answer.
enum CounterHistory: SequentialModel {
    enum Call: Hashable, Sendable {
        case add(Int)
        case look
    }

    static let initial = 0

    static func apply(_ input: Call, to state: inout Int) -> Int {
        if case .add(let delta) = input { state += delta }
        return state
    }

    /// - Returns: why there is none; nil if there is one.
    static func contradiction(in replies: [Evidence.CounterReply]) -> String? {
        let operations = replies.enumerated().map { index, reply in
            Operation<CounterHistory>(
                actor: reply.counter, client: index, reply.delta.map { .add($0) } ?? .look,
                call: UInt64(reply.began), .returned(reply.total, at: UInt64(reply.ended)))
        }
        let verdict = LinearizabilityChecker.check(operations)
        if verdict.isLinearizable { return nil }
        return verdict.explanation.map { "\($0)" } ?? "nobody found out within the budget of steps"
    }
}
