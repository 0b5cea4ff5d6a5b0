import ByteCoding
import Identifiers
import MeshProtocol
import PlacementCore

/// What a new node says about itself in its `JoinRequest`.
package struct JoinDetails: Hashable, Sendable {
    static let version: UInt8 = 1

    package var store: StoreID
    package var profile: NodeProfile
    package var formats: FormatVersions

    package init(store: StoreID, profile: NodeProfile, formats: FormatVersions) {
        self.store = store
        self.profile = profile
        self.formats = formats
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(Self.version)
        writer.fixed(store.high)
        writer.fixed(store.low)
        writer.string(profile.meshAddress)
        writer.string(profile.clientAddress)
        writer.string(profile.zone)
        writer.varint(profile.weight)
        writer.byte(formats.journal)
        writer.byte(formats.map)
        return writer.bytes
    }

    package static func decode(_ bytes: [UInt8]) throws(WireError) -> JoinDetails {
        var reader = ByteReader(bytes)
        try reader.version(of: "the details of a join request", newest: version)
        let details = JoinDetails(
            store: StoreID(high: try reader.fixed(), low: try reader.fixed()),
            profile: NodeProfile(
                meshAddress: try reader.string(), clientAddress: try reader.string(),
                zone: try reader.string(),
                weight: try reader.count("the weight", limit: NodeProfile.weightMax)),
            formats: FormatVersions(journal: try reader.byte(), map: try reader.byte()))
        try reader.finish()
        guard details.profile.isValid else {
            throw .invalid("an address or the zone is over \(NodeProfile.textBytesMax) bytes")
        }
        return details
    }
}

/// What a member says about the cluster in its `JoinAnswer`; the new node's number is in its certificate.
package struct AdmissionDetails: Hashable, Sendable {
    static let version: UInt8 = 1

    package var constants: ClusterConstants
    package var peers: [Peer]

    package init(constants: ClusterConstants, peers: [Peer]) {
        self.constants = constants
        self.peers = peers
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(Self.version)
        writer.fixed(constants.cluster.high)
        writer.fixed(constants.cluster.low)
        writer.varint(constants.ring.partitionCount)
        writer.fixed(constants.ring.seed.0)
        writer.fixed(constants.ring.seed.1)
        writer.byte(constants.formats.journal)
        writer.byte(constants.formats.map)
        writer.varint(peers.count)
        for peer in peers {
            writer.varint(peer.node.rawValue)
            writer.string(peer.address.description)
        }
        return writer.bytes
    }

    package static func decode(_ bytes: [UInt8]) throws(WireError) -> AdmissionDetails {
        var reader = ByteReader(bytes)
        try reader.version(of: "the details of a join answer", newest: version)
        let cluster = ClusterID(high: try reader.fixed(), low: try reader.fixed())
        let partitions = try reader.count("partitions", limit: 65_536)
        guard let ring = HashRing(partitionCount: partitions, seed: (try reader.fixed(), try reader.fixed()))
        else { throw .invalid("\(partitions) partitions are not a power of two") }
        let formats = FormatVersions(journal: try reader.byte(), map: try reader.byte())
        var peers: [Peer] = []
        for _ in 0..<(try reader.count("peers", limit: PeersFile.peersMax)) {
            let node = NodeID(rawValue: try reader.varint())
            guard let address = MeshAddress(try reader.string()) else {
                throw .invalid("the address of node \(node.rawValue) is not HOST:PORT")
            }
            peers.append(Peer(node: node, address: address))
        }
        try reader.finish()
        return AdmissionDetails(
            constants: ClusterConstants(cluster: cluster, ring: ring, formats: formats), peers: peers)
    }
}

extension ByteReader {
    /// The leading version byte of a record.
    mutating func version(of what: String, newest: UInt8) throws(WireError) {
        let found = try byte()
        guard found == newest else {
            throw .version(what: what, found: UInt64(found), newest: UInt64(newest))
        }
    }
}
