import ByteCoding
import Identifiers

/// Why a node closes a connection on purpose: a number for programs, and a sentence that tells a person what
/// to do.
public struct Refusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// Numbers that a peer may send although this program does not know them yet are kept as they are.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public var rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let wrongCluster = Code(rawValue: 1)
        public static let otherVersion = Code(rawValue: 2)
        public static let otherConstants = Code(rawValue: 3)
        public static let otherStore = Code(rawValue: 4)
        public static let oldIncarnation = Code(rawValue: 5)
        public static let oneself = Code(rawValue: 6)
        public static let copiedIdentity = Code(rawValue: 7)
        public static let otherCertificate = Code(rawValue: 8)
        public static let unexpectedNode = Code(rawValue: 9)
        public static let duplicate = Code(rawValue: 10)
        public static let malformed = Code(rawValue: 11)
        public static let stopping = Code(rawValue: 12)
        public static let superseded = Code(rawValue: 13)
        public static let notWanted = Code(rawValue: 14)
        public static let occupied = Code(rawValue: 15)
        public static let runsElsewhere = Code(rawValue: 16)
        public static let removed = Code(rawValue: 17)
    }

    static let sentenceBytesMax = 512

    public var code: Code
    public var sentence: String

    init(_ code: Code, _ sentence: String) {
        self.code = code
        self.sentence = sentence
    }

    public var description: String { sentence }

    /// Only a person can change it, so there is no hurry to try again.
    public var needsOperator: Bool {
        switch code {
        case .wrongCluster, .otherVersion, .otherConstants, .otherStore, .oldIncarnation, .oneself,
            .copiedIdentity, .otherCertificate, .unexpectedNode, .runsElsewhere, .removed:
            true
        default: false
        }
    }

    var frame: Frame {
        var writer = ByteWriter(capacity: sentence.utf8.count + 4)
        writer.byte(code.rawValue)
        writer.string(Self.printable(sentence))
        return Frame(.farewell, writer.bytes)
    }

    init(decoding payload: [UInt8]) throws(WireError) {
        var reader = ByteReader(payload)
        code = Code(rawValue: try reader.byte())
        sentence = Self.printable(try reader.string())
    }

    /// What comes from a peer goes into logs: no control characters, and not endless.
    private static func printable(_ text: String) -> String {
        var kept = ""
        var bytes = 0
        for scalar in text.unicodeScalars {
            let width = UTF8.width(scalar)
            guard bytes + width <= sentenceBytesMax else { break }
            let isControl = scalar.properties.generalCategory == .control
            kept.unicodeScalars.append(isControl ? " " : scalar)
            bytes += isControl ? 1 : width
        }
        return kept
    }
}

extension Refusal {
    static func wrongCluster(_ mine: ClusterID, peer: ClusterID) -> Refusal {
        Refusal(
            .wrongCluster,
            "this node belongs to cluster \(mine), the peer to cluster \(peer): correct the peer's seeds, or "
                + "give it a data directory of this cluster")
    }

    static func otherVersion(_ mine: ProtocolVersions, peer: ProtocolVersions) -> Refusal {
        Refusal(
            .otherVersion,
            "this node speaks mesh protocol \(mine.oldest) to \(mine.newest), the peer \(peer.oldest) to "
                + "\(peer.newest): upgrade the older program, one release at a time")
    }

    static func otherConstants(_ mine: MapConstants, peer: MapConstants) -> Refusal {
        let difference =
            mine.partitionCount != peer.partitionCount
            ? "\(mine.partitionCount) partitions here, \(peer.partitionCount) there" : "the hash seeds differ"
        return Refusal(
            .otherConstants,
            "the constants of the partition map differ (\(difference)): they are fixed when a cluster is "
                + "initialised, so the peer's data directory comes from another initialisation; start it "
                + "with an empty directory and let it join")
    }

    static func otherStore(_ node: NodeID, registered: StoreID, peer: StoreID) -> Refusal {
        Refusal(
            .otherStore,
            "node \(node.rawValue) is registered with store \(registered), the peer presents store \(peer): "
                + "its identity was copied or its disk replaced; start it with an empty data directory so "
                + "that it joins anew, or stop the copy")
    }

    static func oldIncarnation(_ node: NodeID, known: Incarnation, peer: Incarnation) -> Refusal {
        Refusal(
            .oldIncarnation,
            "node \(node.rawValue) has started \(known.rawValue) times, the peer is its start "
                + "\(peer.rawValue): it is an older process that was replaced, or its disk was set back to "
                + "an older state; stop it, and restore no data directory from a copy")
    }

    static func oneself(_ node: NodeID) -> Refusal {
        Refusal(
            .oneself,
            "node \(node.rawValue) has connected to itself: remove its own address from its peers")
    }

    static func copiedIdentity(_ node: NodeID) -> Refusal {
        Refusal(
            .copiedIdentity,
            "the peer also claims to be node \(node.rawValue), which is this node: two processes run with "
                + "copies of one data directory; stop one of them and start it with an empty directory")
    }

    static func occupied(_ node: NodeID) -> Refusal {
        Refusal(
            .occupied,
            "node \(node.rawValue) is connected already, by another process, which is being asked whether it "
                + "is still there")
    }

    static func runsElsewhere(_ node: NodeID) -> Refusal {
        Refusal(
            .runsElsewhere,
            "node \(node.rawValue) runs already, in another process that answers: the peer's data directory "
                + "is a copy of that one's; start the peer with an empty directory and let it join")
    }

    static func removed(_ node: NodeID) -> Refusal {
        Refusal(
            .removed,
            "node \(node.rawValue) was removed from the cluster: stop it, or start it with an empty "
                + "directory and let it join anew")
    }

    static func otherCertificate(_ certificate: CertificateIdentity, claimed: NodeID) -> Refusal {
        Refusal(
            .otherCertificate,
            "the peer claims to be node \(claimed.rawValue), its certificate was issued to node "
                + "\(certificate.node.rawValue): give every node its own certificate and do not copy key "
                + "files")
    }

    static func unexpectedNode(_ expected: NodeID, found: NodeID) -> Refusal {
        Refusal(
            .unexpectedNode,
            "node \(expected.rawValue) was expected at this address, node \(found.rawValue) answers: correct "
                + "the address that is advertised for node \(expected.rawValue)")
    }

    static let duplicate = Refusal(
        .duplicate, "the two nodes are connected on this lane already; the other connection is kept")
    static let stopping = Refusal(.stopping, "the node is shutting down")
    static let superseded = Refusal(.superseded, "a newer connection of the same two nodes replaced this one")
    static let nextLife = Refusal(.superseded, "the node has got its next incarnation and connects anew")
    static let notWanted = Refusal(.notWanted, "the node was told to disconnect from this peer")
    static func malformed(_ reason: String) -> Refusal { Refusal(.malformed, reason) }
}
