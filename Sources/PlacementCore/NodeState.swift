import ByteCoding
import Identifiers
import TimeAndChance

/// What the control plane knows about a node.
public struct NodeState: Hashable, Sendable {
    /// How far the node's current life got.
    public enum Liveness: UInt8, CaseIterable, Sendable {
        /// Has an incarnation, but is not known to have it on disk: it may not be used yet.
        case joining = 1
        case up = 2
        /// Declared down. This life never comes back; the node registers for a new one (I19).
        case down = 3
    }

    /// A disk, and the last incarnation that it is known to hold (R15).
    public struct StoreRecord: Hashable, Sendable {
        public var store: StoreID
        /// 0 before the first one.
        public var persisted: Incarnation
    }

    public let id: NodeID
    public internal(set) var profile: NodeProfile
    /// The registered disk.
    public internal(set) var disk: StoreRecord
    /// Replaced disks that are still in sync for some partition, and so are welcome back.
    public internal(set) var formerDisks: [StoreRecord] = []
    /// The newest that was issued.
    public internal(set) var incarnation: Incarnation
    public internal(set) var liveness: Liveness
    /// An operator wants the node empty; survives restarts.
    public internal(set) var isDraining = false
    /// When liveness or draining changed last, by the clock of whoever proposed it. For display and grace
    /// periods, not for safety.
    public internal(set) var since: Timestamp

    public var store: StoreID { disk.store }
    public var life: NodeLife { NodeLife(node: id, incarnation: incarnation, store: store) }
    public var replica: ReplicaID { ReplicaID(node: id, store: store) }
    public var isUp: Bool { liveness == .up }

    /// The record of a disk of this node, present or former.
    public func record(of store: StoreID) -> StoreRecord? {
        disk.store == store ? disk : formerDisks.first { $0.store == store }
    }
}

/// What a node says about itself when it registers.
public struct NodeProfile: Hashable, Sendable {
    public static let textBytesMax = 255
    public static let weightMax = 1000

    /// Host and port of the mesh, for the other nodes.
    public var meshAddress: String
    /// Host and port of the gateway, for clients.
    public var clientAddress: String
    /// The failure domain; copies of one partition keep out of each other's.
    public var zone: String
    /// Share of the partitions relative to other nodes; 0 to hold none.
    public var weight: Int

    public init(meshAddress: String, clientAddress: String, zone: String = "", weight: Int = 1) {
        self.meshAddress = meshAddress
        self.clientAddress = clientAddress
        self.zone = zone
        self.weight = weight
    }

    public var isValid: Bool {
        [meshAddress, clientAddress, zone].allSatisfy { $0.utf8.count <= Self.textBytesMax }
            && 0...Self.weightMax ~= weight
    }
}

extension NodeState.Liveness: WireValue {}

extension NodeState.StoreRecord: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        self.init(store: try StoreID(from: &reader), persisted: try Incarnation(from: &reader))
    }

    func encode(into writer: inout ByteWriter) {
        store.encode(into: &writer)
        persisted.encode(into: &writer)
    }
}

extension NodeProfile: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        self.init(
            meshAddress: try reader.string(), clientAddress: try reader.string(), zone: try reader.string(),
            weight: try reader.count("weight", limit: Self.weightMax))
        guard isValid else { throw .invalid("an address or zone is over \(Self.textBytesMax) bytes") }
    }

    func encode(into writer: inout ByteWriter) {
        writer.string(meshAddress)
        writer.string(clientAddress)
        writer.string(zone)
        writer.varint(UInt64(clamping: weight))
    }
}

extension NodeState: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        id = try NodeID(from: &reader)
        profile = try NodeProfile(from: &reader)
        disk = try StoreRecord(from: &reader)
        formerDisks = try reader.values("former disks", limit: 65_536)
        incarnation = try Incarnation(from: &reader)
        liveness = try Liveness(from: &reader)
        isDraining = try reader.bool()
        since = try Timestamp(from: &reader)
    }

    func encode(into writer: inout ByteWriter) {
        id.encode(into: &writer)
        profile.encode(into: &writer)
        disk.encode(into: &writer)
        writer.values(formerDisks)
        incarnation.encode(into: &writer)
        liveness.encode(into: &writer)
        writer.bool(isDraining)
        since.encode(into: &writer)
    }
}
