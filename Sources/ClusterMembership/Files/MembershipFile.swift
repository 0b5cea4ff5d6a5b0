import ByteCoding
import Identifiers
import PlacementCore

/// The text of the file `member`: one word and its values a line, the last line is the CRC-32C of those
/// before.
package enum MembershipFile {
    static let version: UInt64 = 1
    static let what = "a membership"
    private static let title = "apus-member "

    package static func encode(_ record: MembershipRecord) -> [UInt8] {
        let constants = record.constants
        let seed = StoreID(high: constants.ring.seed.0, low: constants.ring.seed.1)
        let text = """
            \(title)\(version)
            origin \(record.origin.rawValue)
            cluster \(constants.cluster)
            node \(record.node.rawValue)
            store \(record.store)
            partitions \(constants.ring.partitionCount)
            seed \(seed)
            formats \(constants.formats.journal) \(constants.formats.map)

            """
        return Array((text + "crc32c \(CRC32C.checksum(Array(text.utf8)))\n").utf8)
    }

    package static func decode(_ bytes: [UInt8]) throws(WireError) -> MembershipRecord {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .notUTF8 }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard let first = lines.first, first.hasPrefix(title),
            let found = UInt64(first.dropFirst(title.utf8.count))
        else { throw .invalid("the first line is missing") }
        guard found <= version else { throw .version(what: what, found: found, newest: version) }
        guard lines.count == 10, lines[9].isEmpty else { throw .invalid("it does not have 9 lines") }
        let covered = lines[0..<8].joined(separator: "\n") + "\n"
        guard lines[8] == "crc32c \(CRC32C.checksum(Array(covered.utf8)))" else {
            throw .checksum(what: what)
        }
        func value(_ line: Int, _ name: String) -> String? {
            lines[line].hasPrefix(name + " ") ? String(lines[line].dropFirst(name.utf8.count + 1)) : nil
        }
        let formats = value(7, "formats")?.split(separator: " ").compactMap { UInt8($0) } ?? []
        guard let origin = value(1, "origin").flatMap({ UInt8($0) }).flatMap(MembershipRecord.Origin.init),
            let cluster = value(2, "cluster").flatMap({ ClusterID($0) }),
            let node = value(3, "node").flatMap({ UInt64($0) }), node != 0,
            let store = value(4, "store").flatMap({ StoreID($0) }),
            let partitions = value(5, "partitions").flatMap({ Int($0) }),
            let seed = value(6, "seed").flatMap({ StoreID($0) }),
            let ring = HashRing(partitionCount: partitions, seed: (seed.high, seed.low)), formats.count == 2
        else { throw .invalid("a line cannot be read") }
        let record = MembershipRecord(
            origin: origin,
            constants: ClusterConstants(
                cluster: cluster, ring: ring, formats: FormatVersions(journal: formats[0], map: formats[1])),
            node: NodeID(rawValue: node), store: store)
        // Numbers have more forms than the one that is written here, such as "+7".
        guard encode(record) == bytes else { throw .invalid("a line has another form than ours") }
        return record
    }
}
