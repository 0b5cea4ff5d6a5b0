import ClusterMembership
import Identifiers
import PlacementCore
import Testing
import TimeAndChance

@testable import ClusterHost

/// The map of a small cluster as one command after the other changes it.
struct MapHistory {
    static let ring = HashRing(partitionCount: 2, seed: (1, 2))!
    static let cluster = ClusterID(high: 1, low: 1)

    private var state = ClusterState()
    private var index: UInt64 = 0

    /// Node 1, which owns nothing yet.
    init(partitions: HashRing = ring) throws {
        let constants = ClusterConstants(cluster: Self.cluster, ring: partitions, formats: .ofThisProgram)
        try run(.initialize(constants, ClusterSettings(), store: Self.store(1), Self.profile(1)))
        try run(.confirm(try life(1)))
    }

    private static func store(_ node: UInt64) -> StoreID { StoreID(high: 1, low: node) }
    private static func profile(_ node: UInt64) -> NodeProfile {
        NodeProfile(meshAddress: "m\(node):1", clientAddress: "c\(node):1")
    }

    var map: ClusterMap { get throws { try #require(state.map) } }

    func life(_ node: UInt64) throws -> NodeLife { try #require(try map[NodeID(rawValue: node)]).life }

    private mutating func run(_ command: Command) throws {
        index += 1
        let entry = ClusterEntry(time: Timestamp(rawValue: index), commands: [command])
        switch try #require(state.apply(entry, at: index).outcomes.first) {
        case .accepted, .registered: break
        case let outcome: Issue.record("\(command): \(outcome)")
        }
    }

    mutating func join(_ node: UInt64) throws {
        try run(
            .register(
                Registration(
                    cluster: Self.cluster, node: nil, store: Self.store(node),
                    lastIncarnation: Incarnation(rawValue: 0), profile: Self.profile(node),
                    formats: .ofThisProgram)))
        try run(.confirm(try life(node)))
    }

    private func partition(_ number: Int) throws -> PartitionState { try map.partitions[number] }

    mutating func promote(_ number: Int, to node: UInt64) throws {
        try run(.promote(PartitionID(number), try partition(number).revision, to: try life(node)))
    }

    /// The node gets a copy in sync.
    mutating func replicate(_ number: Int, to node: UInt64) throws {
        let replica = try life(node).replica
        try run(.addLearner(PartitionID(number), try partition(number).revision, replica))
        let now = try partition(number)
        try run(.changeInSync(PartitionID(number), now.epoch, now.revision, .add(try life(node))))
    }

    mutating func lose(_ node: UInt64) throws {
        try run(.nodeDown(NodeID(rawValue: node), try life(node).incarnation, .operator))
    }
}

extension NodeLife {
    fileprivate var replica: ReplicaID { ReplicaID(node: node, store: store) }
}
