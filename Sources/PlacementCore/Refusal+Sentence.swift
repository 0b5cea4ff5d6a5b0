import Identifiers

/// What an operator is told, and should do.
extension Refusal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notInitialized: "the cluster is not initialised yet: found it with `apus cluster init`"
        case .alreadyInitialized: "the cluster is initialised already: join it with `apus cluster join`"
        case .otherCluster(let cluster): Self.otherCluster(cluster)
        case .oldProgram:
            "the program is too old to read what this cluster writes: start the version of the other nodes"
        case .invalid: "a value is outside of its rules: see --help of the command for what it takes"
        case .full: "a limit of the cluster is reached: remove what is no longer used"
        case .unknownNode: "the cluster has no such node: see `apus cluster nodes`"
        case .unknownPartition: "the cluster has no such partition: see `apus cluster partitions`"
        case .notUp: "the node is not up: start it, or choose another one from `apus cluster nodes`"
        case .staleLife(let life): Self.staleLife(life)
        case .staleEpoch, .staleRevision, .staleVersion:
            "the cluster changed in the meantime: look at it again, and repeat the command if it is still "
                + "wanted"
        case .rolledBack(let held): Self.rolledBack(held)
        case .unknownStore: Self.unknownDisk
        case .storeOfAnotherNode(let node): Self.copiedDisk(node)
        case .noOwner: "nobody owns the partition at the moment: wait until somebody was granted it"
        case .notInSync:
            "the node has no copy in sync, so it may lack acknowledged records: choose one that is in sync "
                + "in `apus cluster partitions`"
        case .notLearner: "the node does not copy the partition: see `apus cluster partitions`"
        case .alreadyReplica: "the node has a copy of the partition already: see `apus cluster partitions`"
        case .isOwner:
            "the node owns the partition: give it to another one first, by `apus cluster promote`"
        case .isInSync:
            "the copy is in sync, and only the partition's owner lets it go: drain its node, or wait until "
                + "the owner has dropped it"
        case .notOffline:
            "a copy in sync is there or just starts, so nothing need be lost: promote its node, see `apus "
                + "cluster partitions`"
        case .dataLossNotAccepted:
            "acknowledged records may be lost by this: repeat the command with --accept-data-loss if the "
                + "nodes with the copies in sync will never come back"
        case .holdsReplicas: "the node has copies, or should get some: empty it first"
        case .isVoter: "the node takes part in consensus: it must be replaced there first"
        case .lastVoter: "this is the last voter, without which nothing can be decided: add another one first"
        case .notVoter: "the node takes no part in consensus: see `apus cluster nodes`"
        }
    }

    private static func otherCluster(_ cluster: ClusterID) -> String {
        "what was asked is cluster \(cluster), and the disk belongs to another one: correct the addresses, "
            + "or start with an empty data directory and let it join"
    }

    private static func staleLife(_ life: NodeLife) -> String {
        "node \(life.node.rawValue) is in its incarnation \(life.incarnation.rawValue) by now: if another "
            + "process runs with its directory, stop one of the two; else look at `apus cluster nodes` and "
            + "repeat the command if it is still wanted"
    }

    private static func rolledBack(_ held: Incarnation) -> String {
        "the disk went back in time, it once held incarnation \(held.rawValue): it was restored from a copy, "
            + "or two nodes use copies of one directory; start this node with an empty directory and let it "
            + "join anew"
    }

    private static let unknownDisk =
        "the disk says that it was in this cluster, which does not know it: it is a copy, or its node was "
        + "removed; start with an empty data directory and let it join anew"

    private static func copiedDisk(_ node: NodeID) -> String {
        "the disk, or a copy of it, belongs to node \(node.rawValue): do not copy data directories, start "
            + "with an empty one and let it join"
    }
}
