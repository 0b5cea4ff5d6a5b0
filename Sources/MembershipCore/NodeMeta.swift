/// What a node tells about itself with every message: small facts that others use and that decide nothing.
///
/// At most 26 bytes on the wire, of the 256 that the design allows.
public struct NodeMeta: Hashable, Sendable {
    /// The worst that a node can say of its health.
    public static let healthMax: UInt8 = 8

    /// Counts the changes within one run of the process; the greater one is the newer one.
    public internal(set) var revision: UInt64 = 0
    /// The newest version of the cluster's map that the node has.
    public var mapVersion: UInt64
    /// How well the node gets on with its work: 0 is well, 8 is as bad as it can be.
    public var health: UInt8 { didSet { health = min(health, Self.healthMax) } }
    /// Requests that wait on the node.
    public var backlog: UInt32
    /// The node gets no answers to its own probes: it may be cut off, and its view of others says little.
    public internal(set) var isLonely = false

    public init(mapVersion: UInt64 = 0, health: UInt8 = 0, backlog: UInt32 = 0) {
        self.mapVersion = mapVersion
        self.health = min(health, Self.healthMax)
        self.backlog = backlog
    }

    /// Whether everybody should hear of the change soon; the rest travels with the node's own messages.
    func isNews(after other: NodeMeta) -> Bool { health != other.health || isLonely != other.isLonely }
}
