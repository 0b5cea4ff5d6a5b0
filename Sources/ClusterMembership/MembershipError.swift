import ByteCoding
import ConsensusStore
import Identifiers
import MeshProtocol
import MeshTransport
import PartitionStore

/// Why a node cannot become a member, or read that it is one. Every description is a sentence that says what
/// to do.
public enum MembershipError: Error, Sendable, CustomStringConvertible {
    /// The node is a member already.
    case member(of: ClusterID, node: NodeID)
    /// The directory holds data that no membership belongs to.
    case inUse(directory: String, what: String)
    /// Another attempt to found or join is under way.
    case busy
    /// Something was asked for that cannot be.
    case invalid(String)
    /// A file is not what was written.
    case damaged(path: String, detail: String)
    /// The certificate in a data directory is another node's.
    case otherCertificate(path: String, issuedTo: CertificateIdentity, directoryOf: CertificateIdentity)
    /// A newer version of this program wrote the file.
    case newerFormat(path: String, found: UInt64, newest: UInt64)
    case file(operation: String, path: String, reason: String)
    /// The member that was asked refused, in its words.
    case refused(String)
    /// The member that was asked cannot be reached, or answered nothing that makes sense.
    case seed(String, reason: String)
    /// The member that was asked cannot let anybody in at the moment.
    case unavailable(String, reason: String)
    case certificate(CertificateError)
    case store(StoreError)
    case consensus(ConsensusStoreError)

    public var description: String {
        switch self {
        case .member(let cluster, let node):
            "this node is node \(node.rawValue) of cluster \(cluster) already: nothing is to be done; for "
                + "another cluster, start it with an empty data directory"
        case .inUse(let directory, let what):
            "\(directory) holds \(what): start with an empty data directory (--data), nothing was changed "
                + "in this one"
        case .busy: "this node is being made a member already: wait, and look at `apus cluster nodes`"
        case .invalid(let reason): reason
        case .damaged(let path, let detail):
            "\(path) is damaged (\(detail)): if the disk is sound restore this one file, else start with an "
                + "empty data directory and let the node join anew"
        case .otherCertificate(let path, let certificate, let own):
            "\(path) was issued to node \(certificate.node.rawValue) of cluster \(certificate.cluster), and "
                + "the directory is that of node \(own.node.rawValue) of cluster \(own.cluster): give it "
                + "back its own file, or start with an empty data directory and let the node join anew"
        case .newerFormat(let path, let found, let newest):
            "\(path) has format \(found), this program reads up to \(newest): start the newer version"
        case .file(let operation, let path, let reason):
            "\(operation) \(path) failed: \(reason); check the disk and the permissions"
        case .refused(let reason): reason
        case .seed(let seed, let reason):
            "the member at \(seed) gave no answer (\(reason)): check the address, it is that of the port for "
                + "clients, and whether the node runs"
        case .unavailable(let seed, let reason):
            "the member at \(seed) cannot let this node in now (\(reason)): try again"
        case .certificate(let error): "\(error)"
        case .store(let error): "\(error)"
        case .consensus(let error): "\(error)"
        }
    }

    /// Whether the same attempt may succeed a little later.
    public var isTemporary: Bool {
        switch self {
        case .busy, .seed, .unavailable: true
        default: false
        }
    }

    init(_ error: WireError, path: String) {
        switch error {
        case .version(_, let found, let newest): self = .newerFormat(path: path, found: found, newest: newest)
        default: self = .damaged(path: path, detail: "\(error)")
        }
    }
}

/// Calls that throw other errors, as ours.
func certified<Value>(
    _ body: () throws(CertificateError) -> Value
) throws(MembershipError) -> Value {
    do { return try body() } catch { throw .certificate(error) }
}

func stored<Value>(_ body: () throws(StoreError) -> Value) throws(MembershipError) -> Value {
    do { return try body() } catch { throw .store(error) }
}
