import CChecksum

/// The CRC with the Castagnoli polynomial (RFC 3720, appendix B.4): with the processor's own instruction, or
/// sixteen bytes a round (Kounavis and Berry, "A systematic approach to building high performance
/// software-based CRC generators", 2005).
public enum CRC32C {
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 16 * 256)
        for byte in 0..<256 {
            var crc = UInt32(byte)
            for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 0 ? 0 : 0x82F6_3B78) }
            tables[byte] = crc
        }
        for byte in 0..<256 {
            for slice in 1..<16 {
                let previous = tables[(slice - 1) * 256 + byte]
                tables[slice * 256 + byte] = previous >> 8 ^ tables[Int(previous & 0xFF)]
            }
        }
        return tables
    }()

    private static let hasInstruction = apus_has_crc32c() != 0

    /// - Parameter start: the checksum of what comes before the bytes.
    public static func checksum(_ bytes: UnsafeRawBufferPointer, continuing start: UInt32 = 0) -> UInt32 {
        hasInstruction
            ? ~apus_crc32c(~start, bytes.baseAddress, bytes.count) : portable(bytes, continuing: start)
    }

    /// The same without the instruction.
    static func portable(_ bytes: UnsafeRawBufferPointer, continuing start: UInt32) -> UInt32 {
        tables.withUnsafeBufferPointer { table in
            var crc = ~start
            var index = 0
            while index + 16 <= bytes.count {
                let low = word(bytes, index) ^ UInt64(crc)
                let high = word(bytes, index + 8)
                crc = fold(low, table, 8) ^ fold(high, table, 0)
                index += 16
            }
            while index < bytes.count {
                crc = crc >> 8 ^ table[Int((crc ^ UInt32(bytes[index])) & 0xFF)]
                index += 1
            }
            return ~crc
        }
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// What the eight bytes of `word` add to the checksum when `slice` more bytes of the round follow them.
    private static func fold(
        _ word: UInt64, _ table: UnsafeBufferPointer<UInt32>, _ slice: Int
    ) -> UInt32 {
        let first =
            table[(slice + 7) * 256 + Int(word & 0xFF)]
            ^ table[(slice + 6) * 256 + Int(word >> 8 & 0xFF)]
        let second =
            table[(slice + 5) * 256 + Int(word >> 16 & 0xFF)]
            ^ table[(slice + 4) * 256 + Int(word >> 24 & 0xFF)]
        let third =
            table[(slice + 3) * 256 + Int(word >> 32 & 0xFF)]
            ^ table[(slice + 2) * 256 + Int(word >> 40 & 0xFF)]
        let fourth =
            table[(slice + 1) * 256 + Int(word >> 48 & 0xFF)]
            ^ table[slice * 256 + Int(word >> 56)]
        return first ^ second ^ third ^ fourth
    }

    /// The checksum of all of the bytes.
    public static func checksum(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { checksum($0) } }
}
