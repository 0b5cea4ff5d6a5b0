import ClusterMembership
import MeshProtocol
import PlacementCore

/// How a node takes part in a cluster.
public struct ClusterConfiguration: Sendable {
    /// Where the mesh listens: a numeric address.
    public var mesh: MeshAddress
    /// Where other nodes reach the mesh, if that is another address.
    public var advertisedMesh: MeshAddress?
    /// The address of this machine that other nodes are dialled from, where it has several: numeric.
    public var dialFrom: String?
    /// Where clients and other nodes reach the port for clients, if that is another address.
    public var advertisedClients: MeshAddress?
    /// The failure domain; copies of one partition keep out of each other's.
    public var zone: String
    /// Share of the partitions relative to other nodes; 0 to hold none.
    public var weight: Int
    /// How much of the journal is kept for nodes that are away for a while, in bytes, if it is to be another
    /// limit than the store's own: whoever lacks more gets whole partitions.
    public var journalBytesMax: Int?
    /// Joins by itself if the data directory is empty; else the node waits for an operator.
    public var join: UnattendedJoin?

    public init(
        mesh: MeshAddress, advertisedMesh: MeshAddress? = nil, advertisedClients: MeshAddress? = nil,
        zone: String = "", weight: Int = 1, journalBytesMax: Int? = nil, join: UnattendedJoin? = nil
    ) {
        self.mesh = mesh
        self.advertisedMesh = advertisedMesh
        self.advertisedClients = advertisedClients
        self.zone = zone
        self.weight = weight
        self.journalBytesMax = journalBytesMax
        self.join = join
    }

    /// Why other nodes could not reach this one; nil if they can.
    public var objection: String? {
        let address = advertisedMesh ?? mesh
        if address.isUnspecified {
            return "other nodes cannot reach \(address.host): say with --advertise HOST:PORT where they find "
                + "this node"
        }
        guard mesh.port != 0, address.port != 0 else {
            return "the mesh needs a port of its own, other nodes must know it: --mesh HOST:PORT"
        }
        guard advertisedClients?.isUnspecified != true else {
            return "clients cannot reach \(advertisedClients?.host ?? ""): say with --advertise-clients "
                + "HOST:PORT where they find this node"
        }
        return nil
    }

    /// What the node says about itself.
    /// - Parameter clients: where the port for clients is bound.
    public func profile(clients: MeshAddress) -> NodeProfile {
        let address = advertisedMesh ?? mesh
        var reachable = advertisedClients ?? clients
        if reachable.isUnspecified { reachable.host = address.host }
        return NodeProfile(
            meshAddress: address.description, clientAddress: reachable.description, zone: zone,
            weight: weight)
    }
}

extension MeshAddress {
    /// Whether it stands for all addresses of a machine, which nobody can dial.
    fileprivate var isUnspecified: Bool { ["0.0.0.0", "::", "*"].contains(host) }
}
