import ByteCoding
import Identifiers
import PlacementCore

/// What a process tells every voter again and again, so that each of them has its own view of who lives, and
/// a new leader starts with one (`cluster.md` 2.3.4). Nobody answers it.
public struct Heartbeat: Hashable, Sendable {
    /// Nodes named in one list, at the most; the map knows no more.
    public static let namesMax = ClusterMap.nodesMax

    /// A life that the sender cannot reach.
    public struct Complaint: Hashable, Sendable {
        public var node: NodeID
        public var incarnation: Incarnation

        public init(node: NodeID, incarnation: Incarnation) {
            self.node = node
            self.incarnation = incarnation
        }
    }

    /// A life whose heartbeats stay away from a voter.
    public struct Silence: Hashable, Sendable {
        public var node: NodeID
        public var incarnation: Incarnation
        /// Ticks of the group since the last one.
        public var ticks: UInt64

        public init(node: NodeID, incarnation: Incarnation, ticks: UInt64) {
            self.node = node
            self.incarnation = incarnation
            self.ticks = ticks
        }
    }

    /// How a process is, by its own measure (`cluster.md` 2.2.4).
    public struct Condition: Hashable, Sendable {
        public static let healthMax: UInt8 = 8

        /// From 0, all well, to 8.
        public var health: UInt8
        /// It is about to end, and should own nothing any more.
        public var isLeaving: Bool

        public init(health: UInt8 = 0, isLeaving: Bool = false) {
            self.health = min(health, Self.healthMax)
            self.isLeaving = isLeaving
        }
    }

    public var life: NodeLife
    public var condition: Condition
    public var complaints: [Complaint]
    /// Told by voters only.
    public var silences: [Silence]

    public init(
        life: NodeLife, condition: Condition = Condition(), complaints: [Complaint] = [],
        silences: [Silence] = []
    ) {
        self.life = life
        self.condition = condition
        self.complaints = complaints
        self.silences = silences
    }
}

extension ByteWriter {
    mutating func heartbeat(_ heartbeat: Heartbeat) {
        varint(heartbeat.life.node.rawValue)
        varint(UInt64(heartbeat.life.incarnation.rawValue))
        fixed(heartbeat.life.store.high)
        fixed(heartbeat.life.store.low)
        byte(heartbeat.condition.health)
        bool(heartbeat.condition.isLeaving)
        varint(heartbeat.complaints.count)
        for complaint in heartbeat.complaints {
            varint(complaint.node.rawValue)
            varint(UInt64(complaint.incarnation.rawValue))
        }
        varint(heartbeat.silences.count)
        for silence in heartbeat.silences {
            varint(silence.node.rawValue)
            varint(UInt64(silence.incarnation.rawValue))
            varint(silence.ticks)
        }
    }
}

extension ByteReader {
    mutating func heartbeat() throws(WireError) -> Heartbeat {
        let (node, incarnation) = try process()
        let store = StoreID(high: try fixed(), low: try fixed())
        var heartbeat = Heartbeat(life: NodeLife(node: node, incarnation: incarnation, store: store))
        let health = try byte()
        guard health <= Heartbeat.Condition.healthMax else {
            throw .unknown(what: "health", value: UInt64(health))
        }
        heartbeat.condition = Heartbeat.Condition(health: health, isLeaving: try bool())
        for _ in 0..<(try count("complaints", limit: Heartbeat.namesMax)) {
            let (node, incarnation) = try process()
            heartbeat.complaints.append(.init(node: node, incarnation: incarnation))
        }
        for _ in 0..<(try count("silences", limit: Heartbeat.namesMax)) {
            let (node, incarnation) = try process()
            heartbeat.silences.append(.init(node: node, incarnation: incarnation, ticks: try varint()))
        }
        return heartbeat
    }

    private mutating func process() throws(WireError) -> (NodeID, Incarnation) {
        let node = NodeID(rawValue: try varint())
        guard let incarnation = UInt32(exactly: try varint()) else { throw .integerOverflow }
        return (node, Incarnation(rawValue: incarnation))
    }
}
