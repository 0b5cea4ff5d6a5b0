import ByteCoding
import Identifiers

/// The versions of the mesh's protocol that a program speaks.
public struct ProtocolVersions: Hashable, Sendable {
    public var oldest: UInt32
    public var newest: UInt32

    public init(oldest: UInt32, newest: UInt32) {
        self.oldest = oldest
        self.newest = newest
    }

    /// What this program speaks.
    public static let current = ProtocolVersions(oldest: 1, newest: 1)

    /// The newest version that both speak.
    public func common(with other: Self) -> UInt32? {
        let version = min(newest, other.newest)
        return version >= max(oldest, other.oldest) ? version : nil
    }
}

/// The constants by which a node maps actors to partitions, short enough to compare at every connection
/// (R16).
public struct MapConstants: Hashable, Sendable {
    public var partitionCount: UInt32
    public var seedDigest: UInt64

    public init(partitionCount: UInt32, seedDigest: UInt64) {
        self.partitionCount = partitionCount
        self.seedDigest = seedDigest
    }

    public init(_ ring: HashRing) {
        var writer = ByteWriter(capacity: 16)
        writer.fixed(ring.seed.0)
        writer.fixed(ring.seed.1)
        self.init(partitionCount: UInt32(ring.partitionCount), seedDigest: XXH64.hash(writer.bytes))
    }
}

/// What a node says about itself in every handshake.
public struct NodeIdentity: Hashable, Sendable {
    public var cluster: ClusterID
    public var node: NodeID
    public var incarnation: Incarnation
    public var store: StoreID
    public var constants: MapConstants
    public var versions: ProtocolVersions
    /// Tells this process from others with the same data directory, or a copy of it (D30); 0 if it does not
    /// say.
    public var process: UInt64

    public init(
        cluster: ClusterID, node: NodeID, incarnation: Incarnation, store: StoreID, constants: MapConstants,
        versions: ProtocolVersions = .current, process: UInt64 = 0
    ) {
        self.cluster = cluster
        self.node = node
        self.incarnation = incarnation
        self.store = store
        self.constants = constants
        self.versions = versions
        self.process = process
    }
}

/// The node that a connection's certificate names. Its signature was verified; its meaning is judged here.
public struct CertificateIdentity: Hashable, Sendable {
    public var cluster: ClusterID
    public var node: NodeID

    public init(cluster: ClusterID, node: NodeID) {
        self.cluster = cluster
        self.node = node
    }
}

/// The first frame of each side.
///
/// Its layout is fixed for ever, so that programs of any two versions can refuse each other with a sentence;
/// what a later version adds goes behind and is skipped.
struct Hello: Hashable, Sendable {
    var identity: NodeIdentity
    var lane: MeshLane

    var payload: [UInt8] {
        var writer = ByteWriter(capacity: 80)
        writer.fixed(identity.versions.oldest)
        writer.fixed(identity.versions.newest)
        writer.fixed(identity.cluster.high)
        writer.fixed(identity.cluster.low)
        writer.fixed(identity.node.rawValue)
        writer.fixed(identity.incarnation.rawValue)
        writer.fixed(identity.store.high)
        writer.fixed(identity.store.low)
        writer.fixed(identity.constants.partitionCount)
        writer.fixed(identity.constants.seedDigest)
        writer.byte(lane.rawValue)
        if identity.process != 0 { writer.fixed(identity.process) }
        return writer.bytes
    }

    init(_ identity: NodeIdentity, lane: MeshLane) {
        self.identity = identity
        self.lane = lane
    }

    init(decoding payload: [UInt8]) throws(WireError) {
        var reader = ByteReader(payload)
        let versions = ProtocolVersions(oldest: try reader.fixed(), newest: try reader.fixed())
        let cluster = ClusterID(high: try reader.fixed(), low: try reader.fixed())
        let node = NodeID(rawValue: try reader.fixed())
        let incarnation = Incarnation(rawValue: try reader.fixed())
        let store = StoreID(high: try reader.fixed(), low: try reader.fixed())
        let constants = MapConstants(partitionCount: try reader.fixed(), seedDigest: try reader.fixed())
        let number = try reader.byte()
        guard let lane = MeshLane(rawValue: number) else {
            throw .unknown(what: "lane", value: UInt64(number))
        }
        let process: UInt64 = reader.remaining >= 8 ? try reader.fixed() : 0
        guard node.rawValue != 0 else { throw .invalid("node 0 does not exist") }
        identity = NodeIdentity(
            cluster: cluster, node: node, incarnation: incarnation, store: store, constants: constants,
            versions: versions, process: process)
        self.lane = lane
    }
}
