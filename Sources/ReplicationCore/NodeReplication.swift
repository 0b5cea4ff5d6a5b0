import DequeModule
import Identifiers

/// All replicas of one process, and what they say to each other node gathered into one frame: the messages
/// between nodes depend on peers and rounds, not on the number of partitions (`cluster.md` 2.6.2).
public struct NodeReplication: Sendable {
    /// What one round of events has led to; to be done in this order.
    public struct Round: Sendable {
        /// One batch for the journal, durable as a whole; `persisted(batch:)` is to follow.
        public var batch: UInt64 = 0
        public var writes: [(partition: PartitionID, write: LogWrite)] = []
        public var frames: [(node: NodeID, frame: ReplicationFrame)] = []
        /// Everything else; never `.persist` or `.send`.
        public var actions: [(partition: PartitionID, effect: ReplicaEffect)] = []

        public var isEmpty: Bool { writes.isEmpty && frames.isEmpty && actions.isEmpty }
    }

    /// Bytes of records in one frame, at the most; a single larger message goes alone.
    static let frameBytesMax = 4 << 20

    public let me: NodeLife
    public private(set) var replicas = ReplicaTable()
    private var partitions: [PartitionID] = []
    /// Partitions that something has happened to in this round.
    private var dirty: [PartitionID] = []
    private var isDirty: [Bool] = []
    private var writes: [(partition: PartitionID, ticket: UInt64, write: LogWrite)] = []
    private var actions: [(partition: PartitionID, effect: ReplicaEffect)] = []
    private var outbox: [NodeID: [ReplicationFrame.Group]] = [:]
    private var batches = Deque<(batch: UInt64, tickets: [(partition: PartitionID, ticket: UInt64)])>()
    private var nextBatch: UInt64 = 1

    public init(me: NodeLife) { self.me = me }

    public mutating func add(_ replica: Replica) {
        replicas.add(replica)
        partitions = replicas.partitions
        isDirty = [Bool](repeating: false, count: Int(partitions.last?.rawValue ?? 0) + 1)
        for partition in dirty { isDirty[Int(partition.rawValue)] = true }
    }

    public mutating func handle(_ event: ReplicaEvent, of partition: PartitionID, now: UInt64) {
        guard let effects = replicas.handle(event, of: partition, now: now) else { return }
        if !isDirty[Int(partition.rawValue)] {
            isDirty[Int(partition.rawValue)] = true
            dirty.append(partition)
        }
        take(effects, partition)
    }

    /// Time, or a change of a link. Only owners do anything about either; in a cluster at rest, telling
    /// all the others is most of what there would be to do.
    public mutating func handleAll(_ event: ReplicaEvent, now: UInt64) {
        for partition in partitions where replicas.ownedEpoch(of: partition) != nil {
            handle(event, of: partition, now: now)
        }
    }

    public mutating func receive(_ frame: ReplicationFrame, from sender: NodeLife, now: UInt64) {
        for group in frame.groups {
            handle(.received(group.message, from: sender), of: group.partition, now: now)
        }
    }

    /// A batch of writes, and all before it, are on disk.
    public mutating func persisted(batch: UInt64, now: UInt64) {
        while let first = batches.first, first.batch <= batch {
            batches.removeFirst()
            for (partition, ticket) in first.tickets {
                handle(.persisted(ticket: ticket), of: partition, now: now)
            }
        }
    }

    /// Takes out what the events since the last round have led to.
    public mutating func finishRound(now: UInt64) -> Round {
        for partition in dirty.sorted() {
            isDirty[Int(partition.rawValue)] = false
            if let effects = replicas.handle(.flush, of: partition, now: now) { take(effects, partition) }
        }
        dirty.removeAll(keepingCapacity: true)
        var round = Round()
        if !writes.isEmpty {
            round.batch = nextBatch
            nextBatch += 1
            round.writes = writes.map { ($0.partition, $0.write) }
            batches.append((round.batch, lastTickets()))
            writes.removeAll(keepingCapacity: true)
        }
        round.actions = actions
        actions.removeAll(keepingCapacity: true)
        for node in outbox.keys.sorted() {
            for frame in Self.frames(outbox[node] ?? []) { round.frames.append((node, frame)) }
        }
        outbox.removeAll(keepingCapacity: true)
        return round
    }

    /// The last ticket of each partition.
    private func lastTickets() -> [(partition: PartitionID, ticket: UInt64)] {
        var tickets: [(partition: PartitionID, ticket: UInt64)] = []
        for write in writes.sorted(by: { ($0.partition, $0.ticket) < ($1.partition, $1.ticket) }) {
            if tickets.last?.partition == write.partition { tickets.removeLast() }
            tickets.append((write.partition, write.ticket))
        }
        return tickets
    }

    private mutating func take(_ effects: [ReplicaEffect], _ partition: PartitionID) {
        for effect in effects {
            switch effect {
            case .persist(let ticket, let write): writes.append((partition, ticket, write))
            case .send(let message, let node):
                outbox[node, default: []].append(
                    ReplicationFrame.Group(partition: partition, message: message))
            default: actions.append((partition, effect))
            }
        }
    }

    private static func frames(_ groups: [ReplicationFrame.Group]) -> [ReplicationFrame] {
        var frames: [ReplicationFrame] = []
        var current: [ReplicationFrame.Group] = []
        var bytes = 0
        for group in groups {
            let size = group.message.recordBytes
            let isFull = bytes + size > frameBytesMax || current.count >= ReplicationFrame.groupsMax
            if isFull, !current.isEmpty {
                frames.append(ReplicationFrame(current))
                current = []
                bytes = 0
            }
            current.append(group)
            bytes += size
        }
        if !current.isEmpty { frames.append(ReplicationFrame(current)) }
        return frames
    }
}
