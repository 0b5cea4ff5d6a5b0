import ConsensusCore
import Identifiers
import PlacementCore

/// Whom the control plane's server talks to: a link or a node, numbered by whoever carries the messages.
public struct ControlPeer: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// What a node asks of a voter.
public struct ControlRequest: Hashable, Sendable {
    public enum Body: Hashable, Sendable {
        /// To be applied in one entry; each is checked on its own.
        case commands([Command])
        /// What changed in the map after that version; answered when something did, or after a while.
        case map(after: MapVersion)
        /// A change of the consensus group itself.
        case voters(Raft.Change)
        case heartbeat(Heartbeat)
    }

    /// Named in the reply; chosen by the asker, never twice.
    public var id: UInt64
    public var body: Body

    public init(id: UInt64, body: Body) {
        self.id = id
        self.body = body
    }
}

public struct ControlReply: Hashable, Sendable {
    public enum Body: Hashable, Sendable {
        /// One for each command; the map that shows them has at least that version.
        case outcomes([Outcome], version: MapVersion)
        case map([MapUpdate])
        case votersChanged
        /// Ask the leader, if it is known.
        case notLeader(NodeID?)
        /// Nothing was promised, and nothing may have happened: ask again.
        case unavailable(Raft.Refusal?)
    }

    public var id: UInt64
    public var body: Body

    public init(id: UInt64, body: Body) {
        self.id = id
        self.body = body
    }
}
