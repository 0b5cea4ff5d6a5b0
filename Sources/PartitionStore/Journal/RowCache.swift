import ByteCoding
import Identifiers
import ReplicationCore

/// Rows that were read lately, taken apart. A row holds records of many partitions, and replicas that lag ask
/// for the same rows once for each. Used by the lane's thread only.
final class RowCache {
    enum Piece {
        case record(LogMark, previousHash: UInt64, bytes: Range<Int>)
        case truncate(after: LogPosition)
        case reset
    }

    /// One row, whose checksums are proven.
    struct Row {
        var bytes: [UInt8]
        var pieces: [PartitionID: [Piece]] = [:]
        var byteCount: Int { bytes.count + pieces.values.reduce(0) { $0 + $1.count * 64 } }
    }

    private let bytesMax: Int
    private var rows: [UInt64: Row] = [:]
    /// The oldest first; rows are read in order, so it is the one that is not needed any more.
    private var order: [UInt64] = []
    private var bytes = 0
    private var lastUse = Duration.zero

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    var isEmpty: Bool { rows.isEmpty }

    /// The row as it was read before, or as `read` gives it.
    func row(
        _ sequence: UInt64, now: Duration, read: () throws(StoreError) -> [UInt8]
    ) throws(StoreError) -> Row {
        lastUse = now
        if let row = rows[sequence] { return row }
        let row: Row
        do { row = try Self.takeApart(try read()) } catch let error as StoreError { throw error } catch {
            throw .damaged(what: "the journal", detail: "row \(sequence): \(error)")
        }
        while let oldest = order.first, bytes + row.byteCount > bytesMax {
            order.removeFirst()
            bytes -= rows.removeValue(forKey: oldest)?.byteCount ?? 0
        }
        rows[sequence] = row
        order.append(sequence)
        bytes += row.byteCount
        return row
    }

    /// Gives the memory back when nobody has asked for a while.
    func tidy(after idle: Duration, now: Duration) {
        guard !rows.isEmpty, now >= lastUse + idle else { return }
        rows = [:]
        order = []
        bytes = 0
    }

    private static func takeApart(_ bytes: [UInt8]) throws -> Row {
        var row = Row(bytes: bytes)
        try RowEntries.forEach(bytes, try BatchHeader.decode(bytes)) { entry in
            switch entry {
            case .record(let record, let hash, let range):
                let mark = LogMark(position: record.position, epoch: record.epoch, hash: hash)
                row.pieces[record.partition, default: []].append(
                    .record(mark, previousHash: record.previousHash, bytes: range))
            case .control(let control):
                switch control.kind {
                case .truncate(let last):
                    row.pieces[control.partition, default: []].append(.truncate(after: last))
                case .reset: row.pieces[control.partition, default: []].append(.reset)
                case .adopt, .epochStart: return
                }
            }
        }
        return row
    }
}
