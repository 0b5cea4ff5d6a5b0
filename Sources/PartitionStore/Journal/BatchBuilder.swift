import Identifiers

/// Gathers entries into one row of the journal, up to a cap, and remembers how far each partition got.
struct BatchBuilder {
    private let bytesMax: Int
    private let entriesMax: Int
    /// Room for the header, then the entries.
    private(set) var row: [UInt8]
    private(set) var entryCount = 0
    /// The last position per partition, in the order in which the partitions first appeared.
    private(set) var marks: [DurableMark] = []
    /// Truncations and resets in the row; what is retained of earlier rows reaches no further.
    private(set) var cuts: [DurableMark] = []
    /// Partitions of which the row tells something besides positions.
    private(set) var others: [PartitionID] = []
    private var markOf: [Int32]

    init(partitionCount: Int, bytesMax: Int, entriesMax: Int) {
        self.bytesMax = bytesMax
        self.entriesMax = entriesMax
        row = [UInt8](repeating: 0, count: BatchHeader.byteCount)
        row.reserveCapacity(bytesMax + BatchHeader.byteCount)
        markOf = [Int32](repeating: -1, count: partitionCount)
    }

    /// Takes the entry unless the row is full. An empty row takes an entry of any size.
    mutating func add(_ entry: JournalEntry) -> Bool {
        switch entry {
        case .record(let record):
            guard hasRoom(record.bytes.count) else { return false }
            row.append(contentsOf: record.bytes)
            entryCount += 1
            mark(record.partition, record.position)
        case .control(let control):
            guard hasRoom(control.byteCount) else { return false }
            carry(control)
        }
        return true
    }

    /// Takes a control entry although the row may be full.
    mutating func carry(_ control: ControlEntry) {
        row.append(contentsOf: control.encoded())
        entryCount += 1
        guard let position = control.end else { return others.append(control.partition) }
        cuts.append(DurableMark(partition: control.partition, position: position))
        mark(control.partition, position)
    }

    private func hasRoom(_ bytes: Int) -> Bool {
        let size = row.count - BatchHeader.byteCount + bytes
        return entryCount == 0 || (size <= bytesMax && entryCount < entriesMax)
    }

    private mutating func mark(_ partition: PartitionID, _ position: LogPosition) {
        let index = Int(partition.rawValue)
        if markOf[index] < 0 {
            markOf[index] = Int32(marks.count)
            marks.append(DurableMark(partition: partition, position: position))
        } else {
            marks[Int(markOf[index])].position = position
        }
    }

    mutating func seal(sequence: UInt64, oldest: UInt64, previousHash: UInt64) -> BatchHeader {
        BatchHeader.seal(
            &row, entryCount: entryCount, sequence: sequence, oldest: oldest, previousHash: previousHash)
    }

    /// Starts the next row.
    mutating func removeAll() {
        for mark in marks { markOf[Int(mark.partition.rawValue)] = -1 }
        marks.removeAll(keepingCapacity: true)
        cuts.removeAll(keepingCapacity: true)
        others.removeAll(keepingCapacity: true)
        row.removeLast(row.count - BatchHeader.byteCount)
        // A row that one huge record blew up gives its memory back.
        if row.capacity > 4 * (bytesMax + BatchHeader.byteCount) { row = Array(row) }
        entryCount = 0
    }
}
