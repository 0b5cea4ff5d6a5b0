import ByteCoding
import Identifiers

/// What is fixed when a cluster is initialised, and compared in every handshake (R16).
public struct ClusterConstants: Hashable, Sendable {
    public var cluster: ClusterID
    /// Partition count and hash seed.
    public var ring: HashRing
    public var formats: FormatVersions

    public init(cluster: ClusterID, ring: HashRing, formats: FormatVersions) {
        self.cluster = cluster
        self.ring = ring
        self.formats = formats
    }
}

/// The formats that a cluster's nodes write, or the newest ones that a program reads.
public struct FormatVersions: Hashable, Sendable {
    public var journal: UInt8
    public var map: UInt8

    public init(journal: UInt8, map: UInt8) {
        self.journal = journal
        self.map = map
    }

    /// Whether a program that reads up to these versions can be a node of a cluster that writes `written`.
    public func canRead(_ written: Self) -> Bool { journal >= written.journal && map >= written.map }
}

/// What an operator may change while the cluster runs.
public struct ClusterSettings: Hashable, Sendable {
    public static let replicationFactorMax = 5

    /// Copies of each partition.
    public var replicationFactor: Int
    /// In-sync copies below which owners reject writes.
    public var inSyncMin: Int
    /// How many voters the control plane should have: an odd number up to `VoterList.votersMax`.
    public var voterTarget: Int

    public init(replicationFactor: Int = 2, inSyncMin: Int = 1, voterTarget: Int = 3) {
        self.replicationFactor = replicationFactor
        self.inSyncMin = inSyncMin
        self.voterTarget = voterTarget
    }

    public var isValid: Bool {
        1...Self.replicationFactorMax ~= replicationFactor && 1...replicationFactor ~= inSyncMin
            && 1...VoterList.votersMax ~= voterTarget && voterTarget % 2 == 1
    }
}

/// The members of the consensus group as its log recorded them. A voter is a disk: a wiped node is not the
/// same voter, or it could vote twice.
public struct VoterList: Hashable, Sendable {
    public static let votersMax = 5
    public static let learnersMax = 5

    public internal(set) var revision = Revision(rawValue: 0)
    /// Ascending.
    public internal(set) var voters: [ReplicaID]
    /// Ascending; they follow the log and do not vote.
    public internal(set) var learners: [ReplicaID] = []

    package func holds(_ node: NodeID) -> Bool { voters.holds(node) || learners.holds(node) }
}

extension ClusterConstants: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        let cluster = try ClusterID(from: &reader)
        let count = try reader.count("partitions", limit: 65_536)
        let seed = (try reader.fixed(UInt64.self), try reader.fixed(UInt64.self))
        guard let ring = HashRing(partitionCount: count, seed: seed) else {
            throw .invalid("\(count) partitions are not a power of two")
        }
        self.init(cluster: cluster, ring: ring, formats: try FormatVersions(from: &reader))
    }

    func encode(into writer: inout ByteWriter) {
        cluster.encode(into: &writer)
        writer.varint(ring.partitionCount)
        writer.fixed(ring.seed.0)
        writer.fixed(ring.seed.1)
        formats.encode(into: &writer)
    }
}

extension FormatVersions: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        self.init(journal: try reader.byte(), map: try reader.byte())
    }

    func encode(into writer: inout ByteWriter) {
        writer.byte(journal)
        writer.byte(map)
    }
}

extension ClusterSettings: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        self.init(
            replicationFactor: Int(try reader.byte()), inSyncMin: Int(try reader.byte()),
            voterTarget: Int(try reader.byte()))
    }

    func encode(into writer: inout ByteWriter) {
        for number in [replicationFactor, inSyncMin, voterTarget] { writer.byte(UInt8(clamping: number)) }
    }
}

extension VoterList: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        revision = try Revision(from: &reader)
        voters = try reader.values("voters", limit: Self.votersMax)
        learners = try reader.values("voting learners", limit: Self.learnersMax)
    }

    func encode(into writer: inout ByteWriter) {
        revision.encode(into: &writer)
        writer.values(voters)
        writer.values(learners)
    }
}
