import ByteCoding
import Identifiers

/// Counts the changes of one partition's entry in the map, or of the settings, or of the voters.
public struct Revision: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The index of the log entry that changed the cluster's map last; 0 before the cluster was initialised.
public struct MapVersion: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

extension Revision: WireValue {}
extension MapVersion: WireValue {}

extension ReplicaID: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        self.init(node: try NodeID(from: &reader), store: try StoreID(from: &reader))
    }

    func encode(into writer: inout ByteWriter) {
        node.encode(into: &writer)
        store.encode(into: &writer)
    }
}

extension NodeLife: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        self.init(
            node: try NodeID(from: &reader), incarnation: try Incarnation(from: &reader),
            store: try StoreID(from: &reader))
    }

    func encode(into writer: inout ByteWriter) {
        node.encode(into: &writer)
        incarnation.encode(into: &writer)
        store.encode(into: &writer)
    }
}

extension [ReplicaID] {
    /// Keeps the list in ascending order.
    mutating func insertSorted(_ replica: ReplicaID) {
        insert(replica, at: firstIndex { $0 > replica } ?? endIndex)
    }

    package func holds(_ node: NodeID) -> Bool { contains { $0.node == node } }
}
