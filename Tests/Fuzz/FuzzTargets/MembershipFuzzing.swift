import ByteCoding
import ClusterMembership
import Identifiers
import MeshProtocol
import PlacementCore
import TimeAndChance

/// The files of a member, and what nodes tell each other when one joins. Each has one form only.
extension FuzzTarget {
    public static let membershipFile = FuzzTarget("MembershipFile", corpus: [1, 256].compactMap(membership)) {
        bytes in
        forms(of: bytes) { form in
            guard let record = try? MembershipFile.decode(form) else { return nil }
            return MembershipFile.encode(record) == form ? nil : "a membership has a second form"
        }
    }

    public static let peersFile = FuzzTarget(
        "PeersFile", corpus: [PeersFile.encode([]), PeersFile.encode(peers)]
    ) { bytes in
        guard let peers = try? PeersFile.decode(bytes) else { return nil }
        let again = try? PeersFile.decode(PeersFile.encode(peers))
        return again == peers ? nil : "the peers changed on their way: \(peers)"
    }

    public static let tokenBook = FuzzTarget("TokenBook", corpus: [TokenBook().encoded(), tokens]) { bytes in
        // As it comes, and with its checksum put right.
        let sealed = bytes.dropLast(4)
        var writer = ByteWriter()
        writer.raw(sealed)
        writer.fixed(CRC32C.checksum(Array(sealed)))
        for form in [bytes, writer.bytes] {
            guard let book = try? TokenBook.decode(form) else { continue }
            guard (try? TokenBook.decode(book.encoded())) == book else { return "tokens changed: \(book)" }
        }
        return nil
    }

    public static let joinDetails = FuzzTarget("JoinDetails", corpus: details) { bytes in
        if let details = try? JoinDetails.decode(bytes),
            (try? JoinDetails.decode(details.encoded())) != details
        {
            return "the details of a request changed: \(details)"
        }
        if let details = try? AdmissionDetails.decode(bytes),
            (try? AdmissionDetails.decode(details.encoded())) != details
        {
            return "the details of an answer changed: \(details)"
        }
        return nil
    }

    private static func membership(_ partitions: Int) -> [UInt8]? {
        constants(partitions).map { constants in
            MembershipFile.encode(
                MembershipRecord(
                    origin: partitions == 1 ? .founded : .joined, constants: constants,
                    node: NodeID(rawValue: 3), store: StoreID(high: 5, low: 6)))
        }
    }

    private static func constants(_ partitions: Int) -> ClusterConstants? {
        HashRing(partitionCount: partitions, seed: (1, .max)).map { ring in
            ClusterConstants(
                cluster: ClusterID(high: 3, low: 4), ring: ring, formats: FormatVersions(journal: 1, map: 1))
        }
    }

    /// The text as it comes, and with its checksum put right.
    private static func forms(of bytes: [UInt8], _ check: ([UInt8]) -> String?) -> String? {
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if let complaint = check(bytes) { return complaint }
        guard lines.count > 2 else { return nil }
        let covered = Array(lines.dropLast(2).joined(separator: [UInt8(ascii: "\n")]))
        lines[lines.count - 2] = Array("crc32c \(CRC32C.checksum(covered + [UInt8(ascii: "\n")]))".utf8)[...]
        return check(Array(lines.joined(separator: [UInt8(ascii: "\n")])))
    }

    private static let peers = [
        Peer(node: NodeID(rawValue: 1), address: MeshAddress(host: "node.example", port: 7430)),
        Peer(node: NodeID(rawValue: .max), address: MeshAddress(host: "fe80::1", port: 1)),
    ]

    private static let tokens: [UInt8] = {
        var book = TokenBook()
        var entry = TokenBook.Entry(
            id: [1, 2, 3], memberKey: [4, 5], expiresAt: Timestamp(rawValue: .max), usesMax: 64)
        entry.stores = [StoreID(high: 1, low: 2), StoreID(high: 3, low: 4)]
        try? book.add(entry, at: Timestamp(rawValue: 0))
        return book.encoded()
    }()

    private static let details: [[UInt8]] =
        [
            JoinDetails(
                store: StoreID(high: 1, low: 2),
                profile: NodeProfile(meshAddress: "a:1", clientAddress: "b:2", zone: "z", weight: 1000),
                formats: FormatVersions(journal: 1, map: 1)
            ).encoded()
        ] + [1, 256].compactMap { constants($0)?.answer }
}

extension ClusterConstants {
    fileprivate var answer: [UInt8] {
        AdmissionDetails(
            constants: self,
            peers: [Peer(node: NodeID(rawValue: 1), address: MeshAddress(host: "a", port: 1))]
        ).encoded()
    }
}
