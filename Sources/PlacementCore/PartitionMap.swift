import ByteCoding
import Identifiers

/// The map as clients and gateways need it: which address serves an actor.
public struct PartitionMap: Hashable, Sendable {
    /// Where one partition is.
    public struct Entry: Hashable, Sendable {
        public var epoch: Epoch
        public var revision: Revision
        /// None while nobody owns the partition.
        public var owner: NodeID?
        /// The members of the in-sync set, ascending.
        public var replicas: [NodeID]

        /// A redirect is followed only if it leads to a newer entry, so that two nodes that are both behind
        /// cannot send a client back and forth.
        public func isNewer(than other: Self) -> Bool {
            (epoch, revision) > (other.epoch, other.revision)
        }
    }

    public private(set) var version: MapVersion
    public let cluster: ClusterID
    public let ring: HashRing
    /// Client addresses, ascending by node.
    public private(set) var addresses: [NodeAddress]
    /// By number.
    public private(set) var entries: [Entry]

    public struct NodeAddress: Hashable, Sendable {
        public var node: NodeID
        public var address: String
    }

    public init(_ map: ClusterMap) {
        version = map.version
        cluster = map.constants.cluster
        ring = map.constants.ring
        addresses = map.nodes.map { NodeAddress(node: $0.id, address: $0.profile.clientAddress) }
        entries = map.partitions.map(Entry.init)
    }

    public subscript(partition: PartitionID) -> Entry? {
        partition.rawValue < entries.count ? entries[Int(partition.rawValue)] : nil
    }

    public func address(of node: NodeID) -> String? { addresses.first { $0.node == node }?.address }

    /// Where to send a request for the actor; nil while nobody owns its partition.
    public func ownerAddress(of actor: ActorAddress) -> String? {
        self[ring.partition(of: actor)]?.owner.flatMap(address)
    }

    /// Takes over what a node that is not the owner answered.
    /// - Returns: false if the entry is not newer, and the client should wait rather than follow it.
    public mutating func learn(_ entry: Entry, of partition: PartitionID, ownerAddress: String?) -> Bool {
        guard let known = self[partition], entry.isNewer(than: known) else { return false }
        entries[Int(partition.rawValue)] = entry
        if let owner = entry.owner, let ownerAddress {
            if let place = addresses.firstIndex(where: { $0.node == owner }) {
                addresses[place].address = ownerAddress
            } else {
                let place = addresses.firstIndex { $0.node > owner } ?? addresses.endIndex
                addresses.insert(NodeAddress(node: owner, address: ownerAddress), at: place)
            }
        }
        return true
    }
}

extension PartitionMap.Entry {
    public init(_ partition: PartitionState) {
        self.init(
            epoch: partition.epoch, revision: partition.revision, owner: partition.owner?.node,
            replicas: partition.inSync.map(\.node))
    }
}

extension PartitionMap {
    static let formatVersion: UInt8 = 1

    /// The bytes for the wire.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 64 + 8 * entries.count)
        writer.byte(Self.formatVersion)
        version.encode(into: &writer)
        cluster.encode(into: &writer)
        writer.fixed(ring.seed.0)
        writer.fixed(ring.seed.1)
        writer.values(addresses)
        writer.values(entries)
        return writer.bytes
    }

    /// Reads what `encoded` wrote.
    public static func decode(_ bytes: [UInt8]) throws(WireError) -> PartitionMap {
        try PartitionMap(bytes)
    }

    private init(_ bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes)
        try reader.version(of: "partition map", newest: Self.formatVersion)
        version = try MapVersion(from: &reader)
        cluster = try ClusterID(from: &reader)
        let seed = (try reader.fixed(UInt64.self), try reader.fixed(UInt64.self))
        addresses = try reader.values("addresses", limit: ClusterMap.nodesMax)
        entries = try reader.values("partitions", limit: 65_536)
        guard let ring = HashRing(partitionCount: entries.count, seed: seed) else {
            throw .invalid("\(entries.count) partitions are not a power of two")
        }
        self.ring = ring
        try reader.finish()
    }
}

extension PartitionMap.NodeAddress: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        self.init(node: try NodeID(from: &reader), address: try reader.string())
    }

    func encode(into writer: inout ByteWriter) {
        node.encode(into: &writer)
        writer.string(address)
    }
}

extension PartitionMap.Entry: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        self.init(
            epoch: try Epoch(from: &reader), revision: try Revision(from: &reader),
            owner: try reader.optional { reader throws(WireError) in try NodeID(from: &reader) },
            replicas: try reader.values("replicas", limit: PartitionState.replicasMax))
    }

    func encode(into writer: inout ByteWriter) {
        epoch.encode(into: &writer)
        revision.encode(into: &writer)
        writer.optional(owner) { $1.encode(into: &$0) }
        writer.values(replicas)
    }
}
