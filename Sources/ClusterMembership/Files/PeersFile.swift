import ByteCoding
import Identifiers
import MeshProtocol

/// The text of the file `peers`: a title, then a line `NODE HOST:PORT` for each. Without a checksum: an
/// operator may correct an address here when all voters moved at once.
package enum PeersFile {
    static let version: UInt64 = 1
    static let peersMax = 64
    private static let title = "apus-peers "

    package static func encode(_ peers: [Peer]) -> [UInt8] {
        let lines = peers.map { "\($0.node.rawValue) \($0.address)\n" }
        return Array("\(title)\(version)\n\(lines.joined())".utf8)
    }

    package static func decode(_ bytes: [UInt8]) throws(WireError) -> [Peer] {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .notUTF8 }
        var lines = text.split(separator: "\n").map(String.init)
        guard let first = lines.first, first.hasPrefix(title),
            let found = UInt64(first.dropFirst(title.utf8.count))
        else { throw .invalid("the first line is not \"\(title)\(version)\"") }
        guard found <= version else { throw .version(what: "a list of peers", found: found, newest: version) }
        lines.removeFirst()
        guard lines.count <= peersMax else {
            throw .tooLong(what: "the list of peers", count: UInt64(lines.count), limit: UInt64(peersMax))
        }
        var peers: [Peer] = []
        for line in lines {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 2, let node = UInt64(words[0]), node != 0,
                let address = MeshAddress(words[1])
            else { throw .invalid("a line is not NODE HOST:PORT") }
            peers.append(Peer(node: NodeID(rawValue: node), address: address))
        }
        return peers
    }
}
