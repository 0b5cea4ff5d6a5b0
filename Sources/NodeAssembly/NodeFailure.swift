import ClusterHost
import ClusterMembership
import PartitionStore
import PlacementCore

/// Why a node has stopped by itself, so that its process must end.
public enum NodeFailure: Error, Sendable, CustomStringConvertible {
    case member(MemberFailure)
    case membership(MembershipError)
    case other(String)

    init(_ error: any Error) {
        switch error {
        case let error as MemberFailure: self = .member(error)
        case let error as MembershipError: self = .membership(error)
        case let error as StoreError: self = .member(.store(error))
        default: self = .other("\(error)")
        }
    }

    public var description: String {
        switch self {
        case .member(let failure): "\(failure)"
        case .membership(let error): "\(error)"
        case .other(let reason): reason
        }
    }

    /// What the process should end with.
    public var exitCode: Int32 {
        switch self {
        // EX_IOERR: a disk must be looked at.
        case .member(.store), .member(.consensus), .member(.identity): 74
        // EX_TEMPFAIL: this process is over, the next one is as good as any.
        case .member(.refused(.staleLife)), .member(.refused(.notUp)): 75
        default: 1
        }
    }
}
