/// A counter whose increments carry the identity of a request: a request that is sent again counts once and
/// hears what it would have heard.
public enum DedupCounter: SequentialModel {
    public enum Input: Hashable, Sendable {
        case increment(request: Int)
        case read
    }

    public struct State: Hashable, Sendable {
        var count = 0
        /// What each request heard.
        var answers: [Int: Int] = [:]
    }

    public static let initial = State()

    /// The value of the counter.
    public static func apply(_ input: Input, to state: inout State) -> Int {
        guard case .increment(let request) = input else { return state.count }
        if let answer = state.answers[request] { return answer }
        state.count += 1
        state.answers[request] = state.count
        return state.count
    }
}

extension DedupCounter.State: CustomStringConvertible {
    public var description: String { "\(count)" }
}
