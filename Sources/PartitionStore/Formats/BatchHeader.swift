import ByteCoding

/// Stands before the entries of one group commit, in the same row of the journal. All integers little-endian:
///
///     version u8 | zero u8 | zero u16 | entries u32 | bytes u32 | crc32c u32
///     | sequence u64 | oldest u64 | previousHash u64 | entries, one after the other
///
/// An entry is a `JournalRecord` or, since version 2, a `ControlEntry`, since version 3 also one that resets
/// a log. The CRC covers the header without itself and all entries. `oldest` is the lowest sequence that the
/// journal holds once this row is in, so that rows lost at the front are noticed; `previousHash` is the hash
/// of the row before.
package struct BatchHeader: Hashable, Sendable {
    package static let newest: UInt8 = 3
    package static let byteCount = 40

    package var version: UInt8
    package var entryCount: UInt32
    package var entryBytes: UInt32
    package var crc: UInt32
    package var sequence: UInt64
    package var oldest: UInt64
    package var previousHash: UInt64

    private var encoded: [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.byte(version)
        writer.byte(0)
        writer.fixed(0 as UInt16)
        writer.fixed(entryCount)
        writer.fixed(entryBytes)
        writer.fixed(crc)
        writer.fixed(sequence)
        writer.fixed(oldest)
        writer.fixed(previousHash)
        return writer.bytes
    }

    /// The row's link in the chain of rows. It covers the entries through the CRC.
    package var hash: UInt64 { XXH64.hash(encoded) }

    /// Puts the header over the first bytes of a row and seals the row.
    package static func seal(
        _ row: inout [UInt8], version: UInt8 = newest, entryCount: Int, sequence: UInt64, oldest: UInt64,
        previousHash: UInt64
    ) -> BatchHeader {
        var header = BatchHeader(
            version: version, entryCount: UInt32(entryCount), entryBytes: UInt32(row.count - byteCount),
            crc: 0,
            sequence: sequence, oldest: oldest, previousHash: previousHash)
        row.replaceSubrange(0..<byteCount, with: header.encoded)
        header.crc = checksum(row)
        for shift in 0..<4 { row[12 + shift] = UInt8(truncatingIfNeeded: header.crc >> UInt32(shift * 8)) }
        return header
    }

    /// Reads the header of a row and proves the row's checksum.
    package static func decode(_ row: [UInt8]) throws(WireError) -> BatchHeader {
        var reader = ByteReader(row)
        let version = try reader.byte()
        guard 1...newest ~= version else {
            throw .version(what: "journal row", found: UInt64(version), newest: UInt64(newest))
        }
        guard try reader.byte() == 0, try reader.fixed(UInt16.self) == 0 else {
            throw .invalid("a journal row has unknown flags")
        }
        let header = BatchHeader(
            version: version, entryCount: try reader.fixed(), entryBytes: try reader.fixed(),
            crc: try reader.fixed(),
            sequence: try reader.fixed(UInt64.self).countable("a row's sequence"),
            oldest: try reader.fixed(), previousHash: try reader.fixed())
        guard reader.remaining == Int(header.entryBytes) else { throw .truncated }
        guard checksum(row) == header.crc else { throw .checksum(what: "journal row \(header.sequence)") }
        return header
    }

    private static func checksum(_ row: [UInt8]) -> UInt32 {
        row.withUnsafeBytes { all in
            let start = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: all[0..<12]))
            return CRC32C.checksum(UnsafeRawBufferPointer(rebasing: all[16...]), continuing: start)
        }
    }
}
