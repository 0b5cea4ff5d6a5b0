import ByteCoding
import Identifiers
import TimeAndChance

/// The bytes of the file `tokens`; they hold keys, so the file is its owner's alone.
extension TokenBook {
    static let version: UInt8 = 1

    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(Self.version)
        writer.varint(entries.count)
        for entry in entries {
            writer.blob(entry.id)
            writer.blob(entry.memberKey)
            writer.fixed(entry.expiresAt.rawValue)
            writer.varint(entry.usesMax)
            writer.varint(entry.stores.count)
            for store in entry.stores {
                writer.fixed(store.high)
                writer.fixed(store.low)
            }
        }
        writer.fixed(CRC32C.checksum(writer.bytes))
        return writer.bytes
    }

    package static func decode(_ bytes: [UInt8]) throws(WireError) -> TokenBook {
        let (what, crcBytes) = ("the join tokens", 4)
        guard let version = bytes.first, bytes.count > crcBytes else { throw .truncated }
        guard version == Self.version else {
            throw .version(what: what, found: UInt64(version), newest: UInt64(Self.version))
        }
        var end = ByteReader(bytes[(bytes.count - crcBytes)...])
        guard try end.fixed() == CRC32C.checksum(Array(bytes.dropLast(crcBytes))) else {
            throw .checksum(what: what)
        }
        var reader = ByteReader(bytes[1..<(bytes.count - crcBytes)])
        var book = TokenBook()
        for _ in 0..<(try reader.count("tokens", limit: tokensMax)) {
            var entry = Entry(
                id: try reader.blob(), memberKey: try reader.blob(),
                expiresAt: Timestamp(rawValue: try reader.fixed()),
                usesMax: try reader.count("uses", limit: usesMax))
            for _ in 0..<(try reader.count("stores", limit: usesMax)) {
                entry.stores.append(StoreID(high: try reader.fixed(), low: try reader.fixed()))
            }
            book.entries.append(entry)
        }
        try reader.finish()
        return book
    }
}
