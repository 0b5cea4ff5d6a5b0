import Identifiers

/// How a member seems to be. None of it is the truth: gossip suggests, the control plane decides.
public enum MemberState: UInt8, CaseIterable, Hashable, Comparable, Sendable, CustomStringConvertible {
    case alive = 1
    /// It did not answer somebody, and may still object.
    case suspect = 2
    /// It did not object for long enough. There is no "dead": that is decided above, by more than silence.
    case unreachable = 3
    /// It has said that its process ends.
    case left = 4

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    public var description: String {
        switch self {
        case .alive: "alive"
        case .suspect: "suspect"
        case .unreachable: "unreachable"
        case .left: "left"
        }
    }
}

/// A statement about one run of a member's process, in the order in which statements supersede each other.
///
/// Of two statements the greater one holds, whichever came first, so all who heard the same agree: a later
/// process beats an earlier one; within a process `left` is final, and otherwise `alive(i)` < `suspect(i)` <
/// `unreachable(i)` < `alive(i + 1)`. Only the member itself counts its SWIM incarnation up, so whoever was
/// called unreachable comes back by its own word or as a new process (Das, Gupta and Motivala, "SWIM", 2002,
/// 4.2).
public struct Standing: Hashable, Comparable, Sendable {
    /// The process that is meant.
    public var incarnation: Incarnation
    /// How often that process has objected to being suspected.
    public var swimIncarnation: UInt64
    public var state: MemberState

    public init(_ state: MemberState, _ incarnation: Incarnation, _ swimIncarnation: UInt64) {
        self.state = state
        self.incarnation = incarnation
        self.swimIncarnation = swimIncarnation
    }

    public static func < (a: Self, b: Self) -> Bool {
        guard a.incarnation == b.incarnation else { return a.incarnation < b.incarnation }
        guard (a.state == .left) == (b.state == .left) else { return b.state == .left }
        return (a.swimIncarnation, a.state) < (b.swimIncarnation, b.state)
    }
}

/// What a node knows about another one.
public struct Member: Hashable, Sendable {
    /// Who accused it, at the most.
    static let accusersMax = 8

    public internal(set) var standing: Standing
    /// When the state changed last, by the clock of whoever asks the core.
    public internal(set) var since: Duration
    public internal(set) var meta = NodeMeta()
    /// Whether the cluster's map knows the node. One that only gossip knows is neither probed nor told
    /// anything.
    public internal(set) var isListed: Bool
    /// Nodes that found it silent themselves, or concluded that it is unreachable; some of them, if many did.
    public internal(set) var accusers: [NodeID] = []

    public var state: MemberState { standing.state }
    public var incarnation: Incarnation { standing.incarnation }
    /// Whether messages to it are worth sending.
    var isThere: Bool { state <= .suspect }

    /// - Returns: whether the accuser is a new one.
    mutating func add(_ accuser: NodeID) -> Bool {
        guard !accusers.contains(accuser), accusers.count < Self.accusersMax else { return false }
        accusers.append(accuser)
        return true
    }
}
