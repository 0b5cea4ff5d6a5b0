import Identifiers
import MeshProtocol

/// What a node's mesh needs to know.
public struct MeshConfiguration: Sendable {
    public enum Security: Sendable {
        /// Mutual TLS 1.3 with certificates of the cluster's authority.
        case mutualTLS(NodeCredentials)
        /// No encryption and no proof of identity: for tests and benchmarks on one machine.
        case plainTCP
    }

    public var identity: NodeIdentity
    public var security: Security
    public var catalog: FrameCatalog
    public var settings = MeshSettings()
    /// The address of this machine that other nodes are dialled from: numeric; nil lets the system choose.
    public var dialFrom: String?
    /// Spreads the waits between attempts; any number that differs between nodes.
    public var seed: UInt64

    public init(_ identity: NodeIdentity, security: Security, catalog: FrameCatalog, seed: UInt64) {
        self.identity = identity
        self.security = security
        self.catalog = catalog
        self.seed = seed
    }
}

/// Why a mesh cannot start.
public enum MeshTransportError: Error, Hashable, Sendable, CustomStringConvertible {
    case credentials(CertificateError)
    /// The certificate is for another node or cluster than the configuration.
    case otherIdentity(CertificateIdentity)
    case listen(MeshAddress, reason: String)
    /// What is to be dialled from is no numeric address.
    case dialFrom(String)
    case closed

    public var description: String {
        switch self {
        case .credentials(let error): "\(error)"
        case .otherIdentity(let identity):
            "the certificate was issued to node \(identity.node.rawValue) of cluster \(identity.cluster), "
                + "which this node is not: every node needs its own"
        case .listen(let address, let reason):
            "listening on \(address) failed (\(reason)): choose a free port and an address of this machine"
        case .dialFrom(let host):
            "dialling from \"\(host)\" is impossible: a numeric address of this machine is needed"
        case .closed: "the mesh of this node is closed"
        }
    }
}
