import Identifiers

/// What is known about other nodes: from the partition map, and from their last handshakes.
public struct PeerDirectory: Sendable {
    public struct Record: Hashable, Sendable {
        public var store: StoreID
        public var incarnation: Incarnation

        public init(store: StoreID, incarnation: Incarnation) {
            self.store = store
            self.incarnation = incarnation
        }
    }

    private var records: [NodeID: Record] = [:]
    /// The nodes of the newest map, and the highest that was ever in one.
    private var members: Set<NodeID> = []
    private var highest = NodeID(rawValue: 0)

    public init() {}

    public subscript(node: NodeID) -> Record? { records[node] }

    /// The control plane says so: a store that differs was registered anew, and incarnations never go back
    /// (R15).
    public mutating func learn(_ node: NodeID, _ record: Record) {
        if let old = records[node], old.store == record.store, old.incarnation > record.incarnation { return }
        records[node] = record
    }

    /// Which nodes there are, by the partition map.
    public mutating func learn(members nodes: some Sequence<NodeID>) {
        members = Set(nodes)
        highest = max(highest, members.max() ?? highest)
    }

    /// Whether the node was one and was removed. Its certificate is as good as before, so this is what keeps
    /// it out. Numbers are given in ascending order, once: above the highest is who joins, and whom the map
    /// does not show yet.
    func hasLeft(_ node: NodeID) -> Bool { node <= highest && !members.contains(node) }

    /// A handshake was completed; it was checked against the record before.
    mutating func met(_ peer: MeshPeer) {
        learn(peer.node, Record(store: peer.store, incarnation: peer.incarnation))
    }
}

/// Who is at the other end of an established connection (R8, R12: never just a node's number).
public struct MeshPeer: Hashable, Sendable {
    public var node: NodeID
    public var incarnation: Incarnation
    public var store: StoreID
    public var lane: MeshLane
    /// The protocol version that both speak.
    public var version: UInt32
    /// Which process of the node it is; 0 if it does not say.
    public var process: UInt64

    public init(
        node: NodeID, incarnation: Incarnation, store: StoreID, lane: MeshLane, version: UInt32,
        process: UInt64 = 0
    ) {
        self.node = node
        self.incarnation = incarnation
        self.store = store
        self.lane = lane
        self.version = version
        self.process = process
    }
}
