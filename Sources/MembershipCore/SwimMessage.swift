import Identifiers

/// What a process says of itself with every message: that it is alive, in which life, and its facts.
public struct Presence: Hashable, Sendable {
    public var node: NodeID
    public var incarnation: Incarnation
    public var swimIncarnation: UInt64
    public var meta: NodeMeta

    public init(node: NodeID, incarnation: Incarnation, swimIncarnation: UInt64 = 0, meta: NodeMeta) {
        self.node = node
        self.incarnation = incarnation
        self.swimIncarnation = swimIncarnation
        self.meta = meta
    }

    var rumour: Rumour {
        Rumour(
            node: node, incarnation: incarnation, swimIncarnation: swimIncarnation, content: .alive(meta))
    }
}

/// A statement about a node that is passed on.
public struct Rumour: Hashable, Sendable {
    public enum Content: Hashable, Sendable {
        case alive(NodeMeta)
        case suspect(by: NodeID)
        case unreachable(by: NodeID)
        case left
    }

    public var node: NodeID
    public var incarnation: Incarnation
    public var swimIncarnation: UInt64
    public var content: Content

    public init(node: NodeID, incarnation: Incarnation, swimIncarnation: UInt64, content: Content) {
        self.node = node
        self.incarnation = incarnation
        self.swimIncarnation = swimIncarnation
        self.content = content
    }

    public var standing: Standing {
        switch content {
        case .alive: Standing(.alive, incarnation, swimIncarnation)
        case .suspect: Standing(.suspect, incarnation, swimIncarnation)
        case .unreachable: Standing(.unreachable, incarnation, swimIncarnation)
        case .left: Standing(.left, incarnation, swimIncarnation)
        }
    }
}

/// One message between two nodes, with the rumours that ride on it.
public struct SwimMessage: Hashable, Sendable {
    /// Rumours that ride on one message; more are malformed.
    public static let rumoursMax = 64
    /// Members in a full exchange, as many as a cluster may have; more are malformed.
    public static let statesMax = 4096

    public enum Body: Hashable, Sendable {
        case ping(UInt64)
        /// The receiver of the ping lives; or, from a helper, the target of the request does.
        case ack(UInt64)
        /// Asks a helper to ping the target.
        case pingRequest(UInt64, target: NodeID)
        /// The helper lives, and the target did not answer it (Dadgar, Phillips and Currey, "Lifeguard",
        /// 2018, 4.1).
        case nack(UInt64)
        /// Only brings rumours.
        case gossip
        /// The rumours are all that the sender knows; wants the same back.
        case pull
        /// Answers a pull with all that the sender knows.
        case push
    }

    public var sender: Presence
    public var body: Body
    public var rumours: [Rumour]

    public init(sender: Presence, body: Body, rumours: [Rumour] = []) {
        self.sender = sender
        self.body = body
        self.rumours = rumours
    }
}
