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
        let row = try rows.row(span.sequence, now: now) { () throws(StoreError) in
            guard let row = try journal.row(span.sequence) else {
                throw .damaged(what: "the journal", detail: "the row \(span.sequence) is missing")
            }
            return row
        }
        var found: [LogRecord] = []
        for piece in row.pieces[partition] ?? [] {
            switch piece {
            case .record(let mark, let previousHash, let bytes):
                guard mark.position <= span.last else { continue }
                found.append(
                    LogRecord(mark: mark, previousHash: previousHash, bytes: Array(row.bytes[bytes])))
            case .truncate(let last): found.removeAll { $0.mark.position > last }
            case .reset: found = []
            }
        }
        return found.filter { $0.mark.position >= span.first && $0.mark.position <= span.last }
    }
}
