import Identifiers

extension Swim {
    /// What can happen to the failure detector of a node.
    public enum Event: Hashable, Sendable {
        /// `SwimSettings.tick` has passed, as well as the driver could tell.
        case tick
        /// From a peer that is known to be the sender.
        case message(SwimMessage)
        /// All nodes of the cluster's map, this one or not. Those that are missing are forgotten.
        case members([Listed])
        /// The facts about this node that are told with every message.
        case facts(mapVersion: UInt64, health: UInt8, backlog: UInt32)
        /// A connection to the node was made, or has broken: a good moment to look.
        case linkChanged(NodeID)
        /// The process ends in order: nobody needs to wait for its silence.
        case leave
    }

    /// A node as the cluster's map has it.
    public struct Listed: Hashable, Sendable {
        public var node: NodeID
        /// The last start of its process that is known to be on its disk; 0 if there is none.
        public var incarnation: Incarnation
        /// Whether that process has started to take part and was not declared down.
        public var isUp: Bool

        public init(_ node: NodeID, _ incarnation: Incarnation, isUp: Bool) {
            self.node = node
            self.incarnation = incarnation
            self.isUp = isUp
        }
    }

    /// What the driver has to do, or may want to know.
    public enum Effect: Hashable, Sendable {
        /// It may get lost; nothing is asked for again.
        case send(SwimMessage, to: NodeID)
        /// What this node thinks of the member has changed.
        case changed(NodeID, Standing)
        /// Somebody accused this process, which has objected.
        case accused(by: NodeID?)
        /// This node gets answers from nobody, or gets some again.
        case loneliness(Bool)
        /// The process stood still for so long; nobody is accused of silence in that time.
        case stalled(Duration)
        /// Gossip knows a later process of this node.
        case succeeded(by: Incarnation)
    }
}
