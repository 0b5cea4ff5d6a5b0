import Identifiers
import TimeAndChance

/// What consensus orders: commands, each checked on its own when it is applied, never when it is proposed.
///
/// Not all or nothing: of the promotions after a node's death, one that came too late must not hold up the
/// others. Each command names the revision or incarnation that it was made for, so that what a deposed
/// leader proposed is refused and changes nothing.
public struct ClusterEntry: Hashable, Sendable {
    public static let commandsMax = 1 << 17

    /// The proposer's clock; for display and grace periods only.
    public var time: Timestamp
    public var commands: [Command]

    public init(time: Timestamp, commands: [Command]) {
        self.time = time
        self.commands = commands
    }
}

/// One change of the control plane's state.
public enum Command: Hashable, Sendable {
    /// Makes the cluster, once, with its first node.
    case initialize(ClusterConstants, ClusterSettings, store: StoreID, NodeProfile)
    /// A process started and asks for an incarnation.
    case register(Registration)
    /// The incarnation is on the node's disk: only now may the node act in it.
    case confirm(NodeLife)
    case nodeDown(NodeID, Incarnation, DownEvidence)
    /// Asks for the node to be emptied, or takes that back.
    case drain(NodeID, Incarnation, Bool)
    /// Forgets a node that holds nothing.
    case leave(NodeID, Incarnation)
    /// An owner drops a member that lags, or adds a learner that caught up.
    case changeInSync(PartitionID, Epoch, Revision, InSyncChange)
    /// Grants the next epoch to a member of the in-sync set, which stays as it is.
    case promote(PartitionID, Revision, to: NodeLife)
    /// An operator gives an offline partition to a node that may lack acknowledged records.
    case forcePromote(PartitionID, Revision, to: NodeLife, acceptsDataLoss: Bool)
    case addLearner(PartitionID, Revision, ReplicaID)
    /// Deletes a learner.
    case removeReplica(PartitionID, Revision, ReplicaID)
    /// Where the planner wants copies, as computed for this version of the map.
    case setTargets([TargetAssignment], MapVersion)
    case changeVoters(VoterChange, Revision)
    case changeSettings(ClusterSettings, Revision)
}

/// What a process says when it starts.
public struct Registration: Hashable, Sendable {
    public var cluster: ClusterID
    /// None for a disk that never was in the cluster and does not replace another.
    public var node: NodeID?
    public var store: StoreID
    /// The last incarnation on the disk; 0 on a fresh one.
    public var lastIncarnation: Incarnation
    public var profile: NodeProfile
    /// The newest formats that the program reads.
    public var formats: FormatVersions

    public init(
        cluster: ClusterID, node: NodeID?, store: StoreID, lastIncarnation: Incarnation,
        profile: NodeProfile, formats: FormatVersions
    ) {
        self.cluster = cluster
        self.node = node
        self.store = store
        self.lastIncarnation = lastIncarnation
        self.profile = profile
        self.formats = formats
    }
}

/// Why the controller believes that a node is down (`cluster.md` 2.3.4).
public enum DownEvidence: UInt8, CaseIterable, Sendable {
    /// Enough peers cannot reach it, its sessions are stale, and the leader's own probe failed.
    case unreachable = 1
    /// A majority of the voters has not heard of it for long.
    case silent = 2
    /// It said so itself, such as after an error of its journal.
    case reported = 3
    case `operator` = 4
}

/// A partition and where its copies should be, the wanted owner first.
public struct TargetAssignment: Hashable, Sendable {
    public var partition: PartitionID
    public var nodes: [NodeID]

    public init(partition: PartitionID, nodes: [NodeID]) {
        self.partition = partition
        self.nodes = nodes
    }
}

/// Records a membership change that consensus made. One at a time, learners first.
public enum VoterChange: Hashable, Sendable {
    case addLearner(ReplicaID)
    case promote(ReplicaID)
    case remove(ReplicaID)
}
