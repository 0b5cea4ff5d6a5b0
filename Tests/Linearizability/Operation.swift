/// One operation of a history: what a client asked of an actor, when, and what it heard.
///
/// Times are any numbers that one clock gave in the order of events. An operation that is known to have had
/// no effect does not belong in a history.
public struct Operation<Model: SequentialModel> {
    public enum Outcome {
        case returned(Model.Output, at: UInt64)
        /// The client never heard: the operation takes effect some time after its call, or never.
        case unknown
    }

    public let actor: String
    public let client: Int
    public let input: Model.Input
    public let call: UInt64
    public let outcome: Outcome

    public init(actor: String, client: Int, _ input: Model.Input, call: UInt64, _ outcome: Outcome) {
        if case .returned(_, let time) = outcome {
            precondition(call <= time, "an operation of client \(client) returned before it was called")
        }
        self.actor = actor
        self.client = client
        self.input = input
        self.call = call
        self.outcome = outcome
    }

    /// Infinitely late if the client never heard.
    var end: UInt64 {
        if case .returned(_, let time) = outcome { time } else { .max }
    }

    var output: Model.Output? {
        if case .returned(let output, _) = outcome { output } else { nil }
    }
}

extension Operation: Sendable where Model.Input: Sendable, Model.Output: Sendable {}
extension Operation.Outcome: Sendable where Model.Output: Sendable {}

extension Operation: CustomStringConvertible {
    public var description: String {
        let heard = output.map { "\($0)" } ?? "unknown"
        let end = self.end == .max ? "..." : "\(self.end)"
        return "client \(client): \(input) -> \(heard) [\(call), \(end)]"
    }
}
