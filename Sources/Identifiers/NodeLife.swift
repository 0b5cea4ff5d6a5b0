/// A copy of a partition, or of the control plane's log: a node and the disk it is on. The same node with
/// another disk is another replica (R12).
public struct ReplicaID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var node: NodeID
    public var store: StoreID

    public init(node: NodeID, store: StoreID) {
        self.node = node
        self.store = store
    }

    public static func < (a: Self, b: Self) -> Bool { (a.node, a.store) < (b.node, b.store) }

    public var description: String { "n\(node.rawValue)/\(store.description.prefix(8))" }
}

/// One life of a node: one run of its process on one disk. Grants of ownership name a life and end with it
/// (R5, R11).
public struct NodeLife: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var node: NodeID
    public var incarnation: Incarnation
    public var store: StoreID

    public init(node: NodeID, incarnation: Incarnation, store: StoreID) {
        self.node = node
        self.incarnation = incarnation
        self.store = store
    }

    public var replica: ReplicaID { ReplicaID(node: node, store: store) }

    public static func < (a: Self, b: Self) -> Bool {
        (a.node, a.incarnation, a.store) < (b.node, b.incarnation, b.store)
    }

    public var description: String {
        "n\(node.rawValue).\(incarnation.rawValue)/\(store.description.prefix(8))"
    }
}
