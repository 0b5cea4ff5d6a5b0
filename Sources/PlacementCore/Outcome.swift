import Identifiers

/// What became of one command.
public enum Outcome: Hashable, Sendable {
    case accepted
    /// The life that the process may use once it is on its disk and confirmed.
    case registered(NodeLife)
    /// The command changed nothing.
    case refused(Refusal)
}

/// Why a command changed nothing.
public enum Refusal: Error, Hashable, Sendable {
    case notInitialized
    case alreadyInitialized
    case otherCluster(ClusterID)
    /// The program cannot read what the cluster writes.
    case oldProgram
    /// A value outside of its rules.
    case invalid
    /// A counter or a list is full.
    case full

    case unknownNode
    case unknownPartition
    case notUp
    /// Another life of the node is registered.
    case staleLife(NodeLife)
    /// The partition is in another epoch.
    case staleEpoch(Epoch)
    case staleRevision(Revision)
    case staleVersion(MapVersion)

    /// The disk went back in time: it once held a newer incarnation (R15).
    case rolledBack(held: Incarnation)
    /// The disk says it was in the cluster, and the cluster does not know it, or not its incarnation.
    case unknownStore
    /// The disk, or a copy of it, belongs to another node.
    case storeOfAnotherNode(NodeID)

    case noOwner
    case notInSync
    case notLearner
    case alreadyReplica
    /// The owner leaves the in-sync set only by another's promotion.
    case isOwner
    /// Only the owner lets a member of the in-sync set go (R19).
    case isInSync
    /// A member of the in-sync set is there or just starts: promote that one.
    case notOffline
    case dataLossNotAccepted

    /// The node still has copies, or should get some.
    case holdsReplicas
    case isVoter
    case lastVoter
    case notVoter
}
