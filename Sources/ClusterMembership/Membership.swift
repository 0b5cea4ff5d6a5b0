import Identifiers
import MeshProtocol
import MeshTransport
import PartitionStore
import PlacementCore

/// What a node must know before it can ask the control plane: which node of which cluster it is, and where
/// the others are.
public struct Membership: Sendable {
    public var record: MembershipRecord
    /// Where voters were when the node heard of them last; on the founding node at first only itself.
    public var peers: [Peer]
    public var credentials: NodeCredentials

    public var constants: ClusterConstants { record.constants }
    public var cluster: ClusterID { record.constants.cluster }
    public var replica: ReplicaID { ReplicaID(node: record.node, store: record.store) }

    /// As the data directory was formatted: with incarnation 0, which is never used.
    var storeIdentity: StoreIdentity { record.storeIdentity }
}

/// A node and where its mesh listens.
public struct Peer: Hashable, Sendable {
    public var node: NodeID
    public var address: MeshAddress

    public init(node: NodeID, address: MeshAddress) {
        self.node = node
        self.address = address
    }
}

/// What never changes about a member.
public struct MembershipRecord: Hashable, Sendable {
    /// How the node came into its cluster.
    public enum Origin: UInt8, CaseIterable, Sendable {
        /// It made it, and admits others.
        case founded = 1
        case joined = 2
    }

    public var origin: Origin
    public var constants: ClusterConstants
    public var node: NodeID
    public var store: StoreID

    public init(origin: Origin, constants: ClusterConstants, node: NodeID, store: StoreID) {
        self.origin = origin
        self.constants = constants
        self.node = node
        self.store = store
    }

    var storeIdentity: StoreIdentity {
        StoreIdentity(
            .member, cluster: constants.cluster, node: node, store: store,
            incarnation: Incarnation(rawValue: 0), ring: constants.ring)
    }
}

extension FormatVersions {
    /// The newest formats that this program reads, and what a cluster that it founds writes.
    public static let ofThisProgram = FormatVersions(journal: 1, map: 1)
}
