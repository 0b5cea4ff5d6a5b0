import Identifiers
import ReplicationCore

/// Where the records of each partition's log lie in the journal, and what the journal tells about its epochs.
///
/// Rows are deleted from the front. What only a deleted row told is carried forward: it goes once more into
/// the row that the deletion comes with.
struct LogIndex {
    /// The records of one partition in one row.
    struct Span: Hashable {
        var first: LogPosition
        var last: LogPosition
        var sequence: UInt64
    }

    fileprivate struct Start {
        var start: EpochStart
        /// The last row that tells it.
        var sequence: UInt64
    }

    fileprivate struct Slot {
        var spans: [Span] = []
        var starts: [Start] = []
        var lastEpoch = Epoch(rawValue: 0)
        var promised = Epoch(rawValue: 0)
        /// The last row that tells `promised`.
        var promisedAt: UInt64 = 0
        var end = LogPosition.zero
    }

    /// Epochs remembered of a partition; of more, the oldest are forgotten. Replicas compare no more of them.
    static let epochsMax = 64

    private var slots: [Slot]
    /// Whether `spans` is ever asked: only logs of replicas are read.
    private let keepsSpans: Bool

    init(partitionCount: Int, keepsSpans: Bool) {
        slots = [Slot](repeating: Slot(), count: partitionCount)
        self.keepsSpans = keepsSpans
    }

    mutating func add(_ entry: JournalEntry, sequence: UInt64) {
        switch entry {
        case .record(let record): add(record.partition, record.position, record.epoch, sequence: sequence)
        case .control(let control): add(control, sequence: sequence)
        }
    }

    mutating func add(
        _ partition: PartitionID, _ position: LogPosition, _ epoch: Epoch, sequence: UInt64
    ) {
        let index = Int(partition.rawValue)
        slots[index].end = position
        if keepsSpans { slots[index].span(position, sequence: sequence) }
        guard epoch > slots[index].lastEpoch else { return }
        slots[index].add(EpochStart(epoch: epoch, first: position), sequence: sequence)
        slots[index].promise(epoch, sequence: sequence)
    }

    mutating func add(_ control: ControlEntry, sequence: UInt64) {
        let index = Int(control.partition.rawValue)
        switch control.kind {
        case .adopt(let epoch): slots[index].promise(epoch, sequence: sequence)
        case .truncate(let position): slots[index].truncate(after: position)
        case .epochStart(let start): slots[index].add(start, sequence: sequence)
        case .reset(let reset): slots[index].reset(reset, sequence: sequence)
        }
    }

    /// After the last row was read: what the tables know and no row tells any more.
    mutating func settle(_ partition: Int, end: LogPosition, applied: Epoch) {
        slots[partition].end = end
        if applied > slots[partition].promised { slots[partition].promised = applied }
    }

    /// Forgets deleted rows.
    /// - Parameters:
    ///   - sequence: the row that the deletion comes with, which tells again what is returned.
    ///   - partitions: those that the deleted rows tell something of.
    mutating func trim(
        through last: UInt64, of partitions: [PartitionID], carryingTo sequence: UInt64
    ) -> [ControlEntry] {
        var carried: [ControlEntry] = []
        for partition in partitions {
            let index = Int(partition.rawValue)
            let gone = slots[index].spans.prefix { $0.sequence <= last }.count
            slots[index].spans.removeFirst(gone)
            for place in slots[index].starts.indices where slots[index].starts[place].sequence <= last {
                slots[index].starts[place].sequence = sequence
                let start = slots[index].starts[place].start
                carried.append(ControlEntry(partition: partition, kind: .epochStart(start)))
            }
            guard slots[index].promisedAt <= last, slots[index].promised.rawValue > 0 else { continue }
            slots[index].promisedAt = sequence
            carried.append(ControlEntry(partition: partition, kind: .adopt(slots[index].promised)))
        }
        return carried
    }

    /// The highest epoch adopted, or that a record was written in.
    func promised(_ partition: PartitionID) -> Epoch { slots[Int(partition.rawValue)].promised }

    /// Where epochs begin, ascending.
    func epochs(_ partition: PartitionID) -> [EpochStart] {
        slots[Int(partition.rawValue)].starts.map(\.start)
    }

    /// The rows that hold what follows a position, in order; nil if the journal no longer has it all.
    func spans(_ partition: PartitionID, after position: LogPosition) -> ArraySlice<Span>? {
        let slot = slots[Int(partition.rawValue)]
        guard position < slot.end else { return [] }
        guard let first = slot.spans.first, first.first <= position.next else { return nil }
        var low = 0
        var high = slot.spans.count
        while low < high {
            let middle = (low + high) / 2
            if slot.spans[middle].last > position { high = middle } else { low = middle + 1 }
        }
        return slot.spans[low...]
    }
}

extension LogIndex.Slot {
    fileprivate mutating func span(_ position: LogPosition, sequence: UInt64) {
        let last = spans.count - 1
        if last >= 0, spans[last].sequence == sequence {
            spans[last].last = position
        } else {
            spans.append(LogIndex.Span(first: position, last: position, sequence: sequence))
        }
    }

    fileprivate mutating func promise(_ epoch: Epoch, sequence: UInt64) {
        guard epoch >= promised else { return }
        promised = epoch
        promisedAt = sequence
    }

    fileprivate mutating func add(_ start: EpochStart, sequence: UInt64) {
        if let known = starts.firstIndex(where: { $0.start.epoch >= start.epoch }) {
            if starts[known].start == start {
                starts[known].sequence = sequence
            } else if starts[known].start.epoch > start.epoch {
                starts.insert(LogIndex.Start(start: start, sequence: sequence), at: known)
            } else {
                // Retained rows show only the later records of an epoch that begins in deleted ones.
                starts[known] = LogIndex.Start(start: start, sequence: sequence)
            }
        } else {
            starts.append(LogIndex.Start(start: start, sequence: sequence))
        }
        if starts.count > LogIndex.epochsMax { starts.removeFirst() }
        lastEpoch = max(lastEpoch, start.epoch)
    }

    fileprivate mutating func reset(_ reset: LogReset, sequence: UInt64) {
        spans = []
        starts = reset.epochs.map { LogIndex.Start(start: $0, sequence: sequence) }
        lastEpoch = reset.mark.epoch
        promise(reset.mark.epoch, sequence: sequence)
        end = reset.mark.position
    }

    fileprivate mutating func truncate(after position: LogPosition) {
        while let last = spans.last, last.first > position { spans.removeLast() }
        if let last = spans.last, last.last > position { spans[spans.count - 1].last = position }
        while let last = starts.last, last.start.first > position { starts.removeLast() }
        lastEpoch = starts.last?.start.epoch ?? Epoch(rawValue: 0)
        end = position
    }
}
