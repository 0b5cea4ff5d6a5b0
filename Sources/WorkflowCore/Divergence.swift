/// The code asks for something else than the history holds (W7). The run parks as `stalled`; nothing is
/// executed.
public struct Divergence: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: Hashable, Sendable {
        /// The history has another kind of operation at this path.
        case kind(recorded: OperationKind, asked: OperationKind)
        /// The code starts something new although the history goes on with other operations in this scope.
        case unexpected(asked: OperationKind, recorded: [String])
        /// The scope ended and the history has operations in it that the code never reached.
        case unvisited([String])
        /// The code used one name twice in a scope.
        case nameReused
        /// The name or the nesting is outside of the limits.
        case limit(String)
    }

    public var path: HistoryPath
    public var reason: Reason

    public init(path: HistoryPath, reason: Reason) {
        self.path = path
        self.reason = reason
    }

    public var description: String {
        let place = path.components.isEmpty ? "the run" : "\"\(path)\""
        return switch reason {
        case .kind(let recorded, let asked):
            "at \(place) the history has a \(recorded) and the code asks for a \(asked)"
        case .unexpected(let asked, let recorded):
            "at \(place) the code asks for a new \(asked), but the history has \(Self.list(recorded)) next"
        case .unvisited(let recorded):
            "\(place) ended, but the history also has \(Self.list(recorded))"
        case .nameReused:
            "the name \(place) is used twice in its scope; give each operation a name of its own"
        case .limit(let what): "at \(place): \(what)"
        }
    }

    private static func list(_ names: [String]) -> String {
        names.map { "\"\($0)\"" }.joined(separator: ", ")
    }
}
