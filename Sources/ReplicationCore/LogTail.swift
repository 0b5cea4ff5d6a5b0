import DequeModule
import Identifiers

/// The end of a partition's log as it is held in memory: marks of everything that may still be truncated, and
/// the bytes of what replicas may still need.
public struct LogTail: Hashable, Sendable {
    /// The last record that is not kept here; it is committed.
    public private(set) var base: LogMark
    private var records = Deque<LogRecord>()
    /// Where each epoch begins, ascending; the first may lie before `base`.
    public private(set) var epochs: [EpochStart]
    /// Bytes of records held.
    public private(set) var byteCount = 0

    /// - Parameters:
    ///   - base: where the retained log begins, or how far it is known to be committed.
    ///   - epochs: the epochs up to `base`, ascending.
    public init(base: LogMark, epochs: [EpochStart]) {
        self.base = base
        self.epochs = epochs
    }

    public var end: LogMark { records.last?.mark ?? base }

    /// The mark of a position; nil outside of what is kept.
    public func mark(at position: LogPosition) -> LogMark? {
        if position == base.position { return base }
        return record(at: position)?.mark
    }

    func record(at position: LogPosition) -> LogRecord? {
        guard position > base.position, position <= end.position else { return nil }
        return records[Int(position.rawValue - base.position.rawValue - 1)]
    }

    public mutating func append(_ record: LogRecord) {
        // A log without gaps is what positions mean; a caller that broke this would corrupt a replica.
        precondition(record.mark.position == end.position.next, "\(record.mark) does not follow \(end)")
        if (epochs.last?.epoch).map({ record.mark.epoch > $0 }) ?? true {
            epochs.append(EpochStart(epoch: record.mark.epoch, first: record.mark.position))
        }
        byteCount += record.bytes.count
        records.append(record)
    }

    /// Forgets everything behind a position, which is not before `base`.
    mutating func truncate(after position: LogPosition) {
        while let last = records.last, last.mark.position > position {
            byteCount -= last.bytes.count
            records.removeLast()
        }
        while let last = epochs.last, last.first > position { epochs.removeLast() }
    }

    /// Moves `base` up to a committed position.
    mutating func trim(through position: LogPosition) {
        while let first = records.first, first.mark.position <= position {
            byteCount -= first.bytes.count
            base = first.mark
            records.removeFirst()
        }
    }

    /// The last position of an epoch, if this log has records of it.
    func lastPosition(of epoch: Epoch) -> LogPosition? {
        guard let index = epochs.lastIndex(where: { $0.epoch == epoch }) else { return nil }
        guard index + 1 < epochs.count else { return end.position }
        return LogPosition(rawValue: epochs[index + 1].first.rawValue - 1)
    }

    /// How far a log with these epochs and that end can agree with this one. In one epoch one owner
    /// gave out the positions, so two logs that both have records of an epoch agree up to the shorter one's
    /// last record of it (KIP-101).
    func agreement(with theirs: [EpochStart], end theirEnd: LogPosition) -> LogPosition {
        var last = theirEnd
        for start in theirs.reversed() {
            if let mine = lastPosition(of: start.epoch) { return min(mine, last) }
            last = LogPosition(rawValue: start.first.rawValue - 1)
        }
        return last
    }
}

extension LogTail {
    /// The epoch that a position was written in, also for positions before `base`.
    func epoch(at position: LogPosition) -> Epoch {
        epochs.last { $0.first <= position }?.epoch ?? Epoch(rawValue: 0)
    }
}
