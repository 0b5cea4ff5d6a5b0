import ByteCoding
import Identifiers

/// Reads the entries of a row whose checksum was proven.
enum RowEntries {
    enum Entry {
        case record(JournalRecord, hash: UInt64, bytes: Range<Int>)
        case control(ControlEntry)
    }

    static func forEach(_ row: [UInt8], _ header: BatchHeader, _ visit: (Entry) throws -> Void) throws {
        var reader = try ByteReader(row, in: BatchHeader.byteCount..<row.count)
        for _ in 0..<header.entryCount {
            let start = reader.offset
            if header.version >= 2, start < row.count, row[start] >= ControlEntry.lowestTag {
                let control = try ControlEntry.decode(&reader)
                if case .reset = control.kind, header.version < 3 {
                    throw WireError.unknown(what: "control entry", value: UInt64(row[start]))
                }
                try visit(.control(control))
            } else {
                let (record, hash) = try JournalRecord.decode(&reader, from: row)
                try visit(.record(record, hash: hash, bytes: start..<reader.offset))
            }
        }
        try reader.finish()
    }
}
