import ByteCoding
import Identifiers

/// The text of the file `identity`: one word and one value a line, the last line is the CRC-32C of those
/// before.
///
/// Version 1 is a node alone, version 2 a member of a cluster: a program that knows version 1 only would
/// count the incarnation up by itself.
package enum IdentityFile {
    static let versionNewest = 2
    static let what = "the file identity"

    package static func encode(_ identity: StoreIdentity) -> [UInt8] {
        let seed = StoreID(high: identity.ring.seed.0, low: identity.ring.seed.1)
        let text = """
            apus-store \(version(of: identity.role))
            cluster \(identity.cluster)
            node \(identity.node.rawValue)
            store \(identity.store)
            incarnation \(identity.incarnation.rawValue)
            partitions \(identity.ring.partitionCount)
            seed \(seed)

            """
        let crc = CRC32C.checksum(Array(text.utf8))
        return Array((text + "crc32c \(crc)\n").utf8)
    }

    private static func version(of role: StoreIdentity.Role) -> Int {
        switch role {
        case .alone: 1
        case .member: 2
        }
    }

    package static func decode(_ bytes: [UInt8]) throws(StoreError) -> StoreIdentity {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw broken("it is not text") }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard let first = lines.first, first.hasPrefix("apus-store "),
            let found = Int(first.dropFirst("apus-store ".count))
        else { throw broken("the first line is missing") }
        guard found <= versionNewest else {
            throw .newerFormat(what: what, found: found, newest: versionNewest)
        }
        guard lines.count == 9, lines[8].isEmpty else { throw broken("it does not have 8 lines") }
        let covered = lines[0..<7].joined(separator: "\n") + "\n"
        guard lines[7] == "crc32c \(CRC32C.checksum(Array(covered.utf8)))" else {
            throw broken("the checksum does not fit")
        }
        func value(_ line: Int, _ name: String) -> String? {
            lines[line].hasPrefix(name + " ") ? String(lines[line].dropFirst(name.utf8.count + 1)) : nil
        }
        guard let cluster = value(1, "cluster").flatMap({ ClusterID($0) }),
            let node = value(2, "node").flatMap({ UInt64($0) }),
            let store = value(3, "store").flatMap({ StoreID($0) }),
            let incarnation = value(4, "incarnation").flatMap({ UInt32($0) }),
            let partitions = value(5, "partitions").flatMap({ Int($0) }),
            let seed = value(6, "seed").flatMap({ StoreID($0) }),
            let ring = HashRing(partitionCount: partitions, seed: (seed.high, seed.low))
        else { throw broken("a line cannot be read") }
        let identity = StoreIdentity(
            found == version(of: .member) ? .member : .alone, cluster: cluster, node: NodeID(rawValue: node),
            store: store,
            incarnation: Incarnation(rawValue: incarnation), ring: ring)
        // Numbers have more forms than the one that is written here, such as "+7".
        guard encode(identity) == bytes else { throw broken("a line has another form than ours") }
        return identity
    }

    private static func broken(_ detail: String) -> StoreError { .damaged(what: what, detail: detail) }
}
