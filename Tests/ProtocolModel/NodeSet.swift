/// From 0; the number of a node in the model.
public typealias NodeIndex = UInt8

/// Some of the nodes.
public struct NodeSet: Hashable, Sendable {
    public private(set) var bits: UInt8 = 0
    public init(bits: UInt8 = 0) { self.bits = bits }

    var isEmpty: Bool { bits == 0 }
    func contains(_ node: NodeIndex) -> Bool { bits >> node & 1 == 1 }
    func isSuperset(of other: NodeSet) -> Bool { other.bits & ~bits == 0 }
    func inserting(_ node: NodeIndex) -> NodeSet { NodeSet(bits: bits | 1 << node) }
    func removing(_ node: NodeIndex) -> NodeSet { NodeSet(bits: bits & ~(1 << node)) }
    func intersection(_ other: NodeSet) -> NodeSet { NodeSet(bits: bits & other.bits) }
    func union(_ other: NodeSet) -> NodeSet { NodeSet(bits: bits | other.bits) }
}

extension NodeSet: CustomStringConvertible {
    public var description: String {
        "{" + (0..<NodeIndex(8)).filter(contains).map { "n\($0)" }.joined(separator: " ") + "}"
    }
}
