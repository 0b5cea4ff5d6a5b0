import ByteCoding
import Identifiers
import ReplicationCore

extension LaneWriter {
    /// The records that follow a position, whole and in order, at least one if there is one.
    /// - Parameter bytesMax: of records; a first one that is larger goes alone.
    /// - Returns: nil if rows that held some of them are deleted.
    func records(
        of partition: PartitionID, after position: LogPosition, bytesMax: Int
    ) throws(StoreError) -> [LogRecord]? {
        guard let spans = index.spans(partition, after: position) else { return nil }
        var found: [LogRecord] = []
        var bytes = 0
        for span in spans {
            for record in try records(of: partition, in: span) where record.mark.position > position {
                bytes += record.bytes.count
                if bytes > bytesMax, !found.isEmpty { return found }
                found.append(record)
            }
        }
        return found
    }

    /// What a row holds of a partition and was not cut off, neither in the row itself nor later.
    private func records(
        of partition: PartitionID, in span: LogIndex.Span
    ) throws(StoreError) -> [LogRecord] {
        guard let row = try journal.row(span.sequence) else {
            throw damage("the row \(span.sequence) is missing")
        }
        var found: [LogRecord] = []
        do {
            try RowEntries.forEach(row, try BatchHeader.decode(row)) { entry in
                switch entry {
                case .record(let record, let hash, let bytes) where record.partition == partition:
                    let mark = LogMark(position: record.position, epoch: record.epoch, hash: hash)
                    found.append(
                        LogRecord(
                            mark: mark, previousHash: record.previousHash, bytes: Array(row[bytes])))
                case .control(let control) where control.partition == partition:
                    switch control.kind {
                    case .truncate(let last): found.removeAll { $0.mark.position > last }
                    case .reset: found = []
                    case .adopt, .epochStart: return
                    }
                default:
                    return
                }
            }
        } catch {
            throw damage("row \(span.sequence): \(error)")
        }
        return found.filter { $0.mark.position >= span.first && $0.mark.position <= span.last }
    }

    private func damage(_ detail: String) -> StoreError { .damaged(what: "the journal", detail: detail) }
}
