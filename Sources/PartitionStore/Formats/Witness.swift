import ByteCoding

/// The journal's last row, told to a file beside it after every commit: a journal that ends before its
/// witness has lost acknowledged records, whatever SQLite thinks of it (R13).
///
/// 64 bytes, integers little-endian: "APUSWIT1" | sequence u64 | hash u64 | 36 zero bytes | crc32c u32.
/// They lie in one sector, so that a power failure leaves the old or the new ones.
package struct Witness: Hashable, Sendable {
    package static let byteCount = 64
    private static let magic = Array("APUSWIT1".utf8)

    /// The last committed row's sequence; 0 before the first.
    var sequence: UInt64
    /// The last committed row's hash; 0 before the first.
    var hash: UInt64

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.raw(Self.magic)
        writer.fixed(sequence)
        writer.fixed(hash)
        writer.raw(repeatElement(0, count: 36))
        writer.fixed(CRC32C.checksum(writer.bytes))
        return writer.bytes
    }

    /// Nil for anything that `encoded()` did not write.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount, bytes.starts(with: Self.magic) else { return nil }
        var reader = ByteReader(bytes)
        guard (try? reader.skip(8)) != nil, let sequence: UInt64 = try? reader.fixed(),
            let hash: UInt64 = try? reader.fixed()
        else { return nil }
        self.init(sequence: sequence, hash: hash)
        guard encoded() == bytes else { return nil }
    }

    package init(sequence: UInt64, hash: UInt64) {
        self.sequence = sequence
        self.hash = hash
    }
}
