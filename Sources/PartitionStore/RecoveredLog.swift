import Identifiers
import ReplicationCore

/// What the journal held of one partition's log when the store was opened; for `Replica.init`.
public struct RecoveredLog: Hashable, Sendable {
    /// The marks of the retained records, without their bytes, and where epochs begin.
    public var tail: LogTail
    /// The highest epoch that was adopted or that a record was written in (R18).
    public var promised: Epoch
    /// What the tables have; all of it is committed.
    public var applied: LogPosition

    /// - Parameters:
    ///   - records: the retained ones, without gaps, of which the first follows `applied` or lies before it.
    ///   - previousHash: the link before the first of them.
    ///   - epochs: where epochs begin, ascending.
    init(
        applied: LogEnd, records: [LogEnd], previousHash: UInt64,
        epochs: [EpochStart], promised: Epoch
    ) {
        self.promised = promised
        self.applied = applied.position
        var rest = records[...]
        var base = LogMark(position: applied.position, epoch: applied.epoch, hash: applied.hash)
        if let first = records.first, first.position <= applied.position {
            let position = LogPosition(rawValue: first.position.rawValue - 1)
            if position == .zero {
                base = .origin
            } else if let start = epochs.last(where: { $0.first <= position }) {
                base = LogMark(position: position, epoch: start.epoch, hash: previousHash)
            } else {
                // Which epoch the record before was written in is forgotten, so the log begins with this one.
                base = LogMark(position: first.position, epoch: first.epoch, hash: first.hash)
                rest = rest.dropFirst()
            }
        }
        tail = LogTail(base: base, epochs: epochs.filter { $0.first <= base.position })
        var hash = base.hash
        for record in rest {
            let mark = LogMark(position: record.position, epoch: record.epoch, hash: record.hash)
            tail.append(LogRecord(mark: mark, previousHash: hash, bytes: []))
            hash = record.hash
        }
    }
}
