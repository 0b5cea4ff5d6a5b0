import Identifiers

/// Durable records that wait until they are committed and then applied, by partition.
struct ApplyQueue {
    private struct Slot {
        var records: [SealedRecord] = []
        /// Records before this index were taken.
        var head = 0
        var bytes = 0
        var committed = LogPosition.zero
        /// In `ready`.
        var isReady = false
        /// In `urgent`.
        var isUrgent = false

        var canApply: Bool { head < records.count && records[head].position <= committed }
    }

    private let urgentBytes: Int
    private var slots: [Slot]
    private var ready: [Int] = []
    private var urgent: [Int] = []
    /// Partitions whose tables must come onto the disk so that the journal can shrink.
    private var wanted: Set<Int> = []
    var isClosing = false

    init(partitionCount: Int, urgentBytes: Int) {
        self.urgentBytes = urgentBytes
        slots = [Slot](repeating: Slot(), count: partitionCount)
    }

    /// - Returns: whether something should be applied at once.
    mutating func add(_ records: ArraySlice<SealedRecord>, marks: [DurableMark]) -> Bool {
        for record in records {
            let index = Int(record.partition.rawValue)
            slots[index].records.append(record)
            slots[index].bytes += record.bytes.count
        }
        var isUrgent = false
        for mark in marks where note(Int(mark.partition.rawValue)) { isUrgent = true }
        return isUrgent
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

    /// The next committed records of a partition.
    mutating func take(_ index: Int, recordsMax: Int) -> ArraySlice<SealedRecord> {
        let slot = slots[index]
        var end = slot.head
        while end < slot.records.count, end - slot.head < recordsMax,
            slot.records[end].position <= slot.committed
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
