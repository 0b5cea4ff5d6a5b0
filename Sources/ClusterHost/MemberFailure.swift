import ConsensusStore
import Identifiers
import PartitionStore
import PlacementCore

/// Why a member has stopped and its process must end. It may start again, unless the sentence says otherwise.
public enum MemberFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The control plane does not accept this process as what its disk says.
    case refused(Refusal)
    /// A member knows a later start of this node than this process; in its words.
    case replaced(String)
    /// A member is connected to another process of this node, which answers; in its words (D30).
    case alreadyRuns(String)
    /// The node was removed from the cluster, as a member says; in its words.
    case removed(String)
    /// What voters say does not fit together (I9).
    case contradiction(String)
    /// The consensus group's log cannot be written, or contradicts itself (R14).
    case consensus(String)
    /// The journal or the tables cannot be written (R14).
    case store(StoreError)
    /// The incarnation cannot be written to the disk (R15).
    case identity(String)

    public var description: String {
        switch self {
        case .refused(.staleLife), .refused(.notUp):
            "the cluster has ended this life of the node: it was declared down, or another process runs with "
                + "its directory; if there is no other one, start again to go on in the next life"
        case .refused(let refusal): "\(refusal)"
        case .replaced(let reason):
            "the cluster knows a later start of this node (\(reason.prefix { $0 != ":" })): this data "
                + "directory is an old copy, or a copy of it runs elsewhere; stop that one if there is one, "
                + "and start this node with an empty data directory (--data) so that it joins anew"
        case .alreadyRuns(let reason):
            "this node runs already (\(reason.prefix { $0 != ":" })): this data directory is a copy of a "
                + "running node's; leave that one as it is, and start this node with an empty data directory "
                + "(--data) so that it joins anew"
        case .removed(let reason): reason
        case .contradiction(let reason):
            "the control plane contradicts what this node knows (\(reason)); do not restart it before the "
                + "voters' disks were checked"
        case .consensus(let reason):
            "the control plane's log cannot go on (\(reason)); check the disk, then restart"
        case .store(let error): "\(error)"
        case .identity(let reason):
            "the start cannot be written to the data directory (\(reason)); check the disk, then restart"
        }
    }
}

/// Why a proposal to the control plane has no outcome.
public enum ControlFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// It was sent, and it is not known whether it was or will be applied.
    case unknownOutcome
    /// The member has stopped.
    case stopped

    public var description: String {
        switch self {
        case .unknownOutcome:
            "nobody answered in time whether the change was made; look at the cluster before trying again"
        case .stopped: "this node has left the cluster's control plane; ask another one"
        }
    }
}
