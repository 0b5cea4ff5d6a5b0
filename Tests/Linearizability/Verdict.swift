/// What a check found.
public enum Verdict: Sendable {
    case linearizable
    /// No order of the operations explains what the clients heard.
    case violation(Explanation)
    /// The budget of steps ran out.
    case undecided

    public var isLinearizable: Bool {
        if case .linearizable = self { true } else { false }
    }

    public var explanation: Explanation? {
        if case .violation(let explanation) = self { explanation } else { nil }
    }
}

/// Why an actor's history is not linearizable, cut off where it first is not: everything that returned
/// earlier can be put into an order, together with `blocked` it cannot.
public struct Explanation: Sendable {
    public let actor: String
    /// The longest order that was found, each operation with what the object answered.
    public let prefix: [String]
    /// The state of the object after that order.
    public let state: String
    /// The operation that had to come next at the latest, and did not hear what the object says.
    public let blocked: String
    /// Operations that could have come next, with what the object would have answered.
    public let candidates: [String]
}

extension Explanation: CustomStringConvertible {
    static let shown = 12

    public var description: String {
        var lines = ["\(actor) is not linearizable. In order:"]
        if prefix.count > Self.shown { lines.append("  (\(prefix.count - Self.shown) operations)") }
        lines += prefix.suffix(Self.shown).map { "  \($0)" }
        lines.append("Then the state is \(state), and there is no place for")
        lines.append("  \(blocked)")
        if !candidates.isEmpty {
            lines.append("Next could come:")
            lines += candidates.map { "  \($0)" }
        }
        return lines.joined(separator: "\n")
    }
}
