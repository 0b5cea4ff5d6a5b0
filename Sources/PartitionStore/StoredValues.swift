import Identifiers

/// Who a data directory belongs to (R11, R12, R15).
public struct StoreIdentity: Hashable, Sendable {
    /// Who gives out incarnations.
    public enum Role: Hashable, Sendable {
        /// A node alone, which is a cluster by itself: each opening of the directory is one.
        case alone
        /// The control plane of the cluster; 0 before it issued one that was used.
        case member
    }

    public var role: Role
    public var cluster: ClusterID
    public var node: NodeID
    public var store: StoreID
    /// Counts the starts of the node's process; durable before it is used.
    public var incarnation: Incarnation
    public var ring: HashRing

    public init(
        _ role: Role = .alone, cluster: ClusterID, node: NodeID, store: StoreID, incarnation: Incarnation,
        ring: HashRing
    ) {
        self.role = role
        self.cluster = cluster
        self.node = node
        self.store = store
        self.incarnation = incarnation
        self.ring = ring
    }
}

/// The end of a partition's log.
public struct LogEnd: Hashable, Sendable {
    public var epoch: Epoch
    public var position: LogPosition
    /// The last record's link in the hash chain.
    public var hash: UInt64
    /// Partition time of the last record, in microseconds since 1970.
    public var time: UInt64

    public init(epoch: Epoch, position: LogPosition, hash: UInt64, time: UInt64) {
        self.epoch = epoch
        self.position = position
        self.hash = hash
        self.time = time
    }

    /// The end of a log without records.
    public static let empty = LogEnd(epoch: Epoch(rawValue: 0), position: .zero, hash: 0, time: 0)
}

/// A record as it goes into the journal.
public struct SealedRecord: Sendable {
    public var partition: PartitionID
    public var position: LogPosition
    /// The record's link in the hash chain.
    public var hash: UInt64
    /// What `JournalRecord.encoded()` returned.
    public var bytes: [UInt8]

    public init(partition: PartitionID, position: LogPosition, hash: UInt64, bytes: [UInt8]) {
        self.partition = partition
        self.position = position
        self.hash = hash
        self.bytes = bytes
    }
}

/// Everything of a partition up to a position.
public struct DurableMark: Hashable, Sendable {
    public var partition: PartitionID
    public var position: LogPosition

    public init(partition: PartitionID, position: LogPosition) {
        self.partition = partition
        self.position = position
    }
}

/// What one group commit made durable.
public struct GroupCommit: Hashable, Sendable {
    /// The last position in it of each partition; after a truncation, where the log goes on from.
    public var marks: [DurableMark]
    /// This batch and all before it are durable as a whole; zero before the first.
    public var batch: UInt64
}

/// An actor as the tables have it.
public struct StoredActor: Hashable, Sendable {
    public var id: ActorID
    public var address: ActorAddress
    /// Microseconds since 1970.
    public var createdAt: UInt64
    public var state: [UInt8]?
    public var run: [UInt8]?
    public var input: [UInt8]?
    /// Microseconds since 1970; nil never, 0 at once.
    public var wakeAt: UInt64?

    public init(
        id: ActorID, address: ActorAddress, createdAt: UInt64, state: [UInt8]?, run: [UInt8]?,
        input: [UInt8]?,
        wakeAt: UInt64?
    ) {
        self.id = id
        self.address = address
        self.createdAt = createdAt
        self.state = state
        self.run = run
        self.input = input
        self.wakeAt = wakeAt
    }
}

/// One of an actor's items.
public struct StoredItem: Hashable, Sendable {
    public var id: [UInt8]
    public var body: [UInt8]

    public init(id: [UInt8], body: [UInt8]) {
        self.id = id
        self.body = body
    }
}
