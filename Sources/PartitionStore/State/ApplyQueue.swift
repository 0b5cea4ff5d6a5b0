import Identifiers
import ReplicationCore

/// Durable records that wait until they are committed and then applied, by partition.
struct ApplyQueue {
    private struct Slot {
        var records: [SealedRecord] = []
        /// Records before this index were taken.
        var head = 0
        var bytes = 0
        var committed: LogPosition
        /// Truncations that were appended and are not durable yet.
        var cuts: [LogPosition] = []
        /// Tables that are to take the place of those that are there, before any record.
        var reset: LogReset?
        /// In `ready`.
        var isReady = false
        /// In `urgent`.
        var isUrgent = false

        /// What is about to be cut off is not applied: a commit behind a cut means what follows it.
        var limit: LogPosition { min(committed, cuts.min() ?? committed) }
        var canApply: Bool {
            reset == nil && head < records.count && records[head].position <= limit
        }
    }

    private let urgentBytes: Int
    private var slots: [Slot]
    private var ready: [Int] = []
    private var urgent: [Int] = []
    /// Partitions whose tables must come onto the disk so that the journal can shrink.
    private var wanted: Set<Int> = []
    var isClosing = false

    /// - Parameter applied: how far each partition was applied; all of it is committed.
    init(applied: [LogPosition], urgentBytes: Int) {
        self.urgentBytes = urgentBytes
        slots = applied.map { Slot(committed: $0) }
    }

    /// Takes what has become durable.
    /// - Returns: whether something should be applied at once, and the bytes that were cut off.
    mutating func add(
        _ entries: ArraySlice<JournalEntry>, marks: [DurableMark]
    ) -> (isUrgent: Bool, cutBytes: Int) {
        var cutBytes = 0
        var isUrgent = false
        for entry in entries {
            switch entry {
            case .record(let record):
                let index = Int(record.partition.rawValue)
                slots[index].records.append(record)
                slots[index].bytes += record.bytes.count
            case .control(let control):
                let index = Int(control.partition.rawValue)
                switch control.kind {
                case .truncate(let position): cutBytes += cut(index, after: position)
                case .reset(let reset):
                    cutBytes += self.reset(index, to: reset)
                    if hurry(index) { isUrgent = true }
                case .adopt, .epochStart: continue
                }
            }
        }
        for mark in marks where note(Int(mark.partition.rawValue)) { isUrgent = true }
        return (isUrgent, cutBytes)
    }

    /// A truncation was appended and will become durable.
    mutating func expectCut(_ partition: PartitionID, after position: LogPosition) {
        let index = Int(partition.rawValue)
        // The tables have no undo, and a committed record is everybody's (R7).
        precondition(
            position >= slots[index].committed,
            """
            partition \(index) is to be cut after record \(position.rawValue), but record \
            \(slots[index].committed.rawValue) is committed
            """)
        slots[index].cuts.append(position)
    }

    private mutating func cut(_ index: Int, after position: LogPosition) -> Int {
        if !slots[index].cuts.isEmpty { slots[index].cuts.removeFirst() }
        var bytes = 0
        while slots[index].records.count > slots[index].head, let last = slots[index].records.last,
            last.position > position
        {
            bytes += last.bytes.count
            slots[index].records.removeLast()
        }
        slots[index].bytes -= bytes
        return bytes
    }

    /// What waits is of a log that is dead, and so is what is known of its commits.
    private mutating func reset(_ index: Int, to reset: LogReset) -> Int {
        let bytes = slots[index].bytes
        slots[index].records = []
        slots[index].head = 0
        slots[index].bytes = 0
        slots[index].committed = reset.mark.position
        slots[index].reset = reset
        return bytes
    }

    /// - Returns: whether something should be applied at once.
    mutating func commit(_ marks: [DurableMark]) -> Bool {
        var isUrgent = false
        for mark in marks {
            let index = Int(mark.partition.rawValue)
            guard mark.position > slots[index].committed else { continue }
            slots[index].committed = mark.position
            if note(index) { isUrgent = true }
        }
        return isUrgent
    }

    private mutating func note(_ index: Int) -> Bool {
        guard slots[index].canApply else { return false }
        if !slots[index].isReady {
            slots[index].isReady = true
            ready.append(index)
        }
        guard slots[index].bytes >= urgentBytes else { return false }
        return hurry(index)
    }

    private mutating func hurry(_ index: Int) -> Bool {
        guard !slots[index].isUrgent else { return false }
        slots[index].isUrgent = true
        urgent.append(index)
        return true
    }

    /// - Returns: whether the apply thread must be woken.
    mutating func request(_ partitions: [PartitionID]) -> Bool {
        var isNew = false
        for partition in partitions where hurry(Int(partition.rawValue)) { isNew = true }
        return isNew
    }

    mutating func wantSync(_ partitions: [PartitionID]) {
        for partition in partitions { wanted.insert(Int(partition.rawValue)) }
    }

    /// The partitions whose turn it is, and those that must be synced afterwards.
    mutating func due(everything: Bool) -> (apply: [Int], sync: [Int]) {
        let sync = wanted.sorted()
        wanted.removeAll()
        var apply = Set(urgent)
        apply.formUnion(sync)
        if everything { apply.formUnion(ready) }
        for index in apply {
            slots[index].isReady = false
            slots[index].isUrgent = false
        }
        ready.removeAll { apply.contains($0) }
        urgent.removeAll()
        return (apply.sorted(), sync)
    }

    /// Tables that a partition is to get before any more records, if there are such.
    func reset(_ index: Int) -> LogReset? { slots[index].reset }

    /// The tables are in place.
    mutating func endReset(_ index: Int) {
        slots[index].reset = nil
        _ = note(index)
    }

    /// The next committed records of a partition.
    mutating func take(_ index: Int, recordsMax: Int) -> ArraySlice<SealedRecord> {
        let slot = slots[index]
        guard slot.reset == nil else { return [] }
        let limit = slot.limit
        var end = slot.head
        while end < slot.records.count, end - slot.head < recordsMax,
            slot.records[end].position <= limit
        {
            end += 1
        }
        let taken = slot.records[slot.head..<end]
        slots[index].bytes -= taken.reduce(0) { $0 + $1.bytes.count }
        if end == slot.records.count {
            slots[index].records = []
            slots[index].head = 0
        } else if end > slot.records.count / 2 {
            slots[index].records = Array(slot.records[end...])
            slots[index].head = 0
        } else {
            slots[index].head = end
        }
        return taken
    }
}
