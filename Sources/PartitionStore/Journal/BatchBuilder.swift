import Identifiers

/// Gathers records into one row of the journal, up to a cap, and remembers how far each partition got.
struct BatchBuilder {
    private let bytesMax: Int
    private let recordsMax: Int
    /// Room for the header, then the records.
    private(set) var row: [UInt8]
    private(set) var recordCount = 0
    /// The highest position per partition, in the order in which the partitions first appeared.
    private(set) var marks: [DurableMark] = []
    private var markOf: [Int32]

    init(partitionCount: Int, bytesMax: Int, recordsMax: Int) {
        self.bytesMax = bytesMax
        self.recordsMax = recordsMax
        row = [UInt8](repeating: 0, count: BatchHeader.byteCount)
        row.reserveCapacity(bytesMax + BatchHeader.byteCount)
        markOf = [Int32](repeating: -1, count: partitionCount)
    }

    /// Takes the record unless the row is full. An empty row takes a record of any size.
    mutating func add(_ record: SealedRecord) -> Bool {
        let size = row.count - BatchHeader.byteCount + record.bytes.count
        guard recordCount == 0 || (size <= bytesMax && recordCount < recordsMax) else { return false }
        row.append(contentsOf: record.bytes)
        recordCount += 1
        let partition = Int(record.partition.rawValue)
        if markOf[partition] < 0 {
            markOf[partition] = Int32(marks.count)
            marks.append(DurableMark(partition: record.partition, position: record.position))
        } else {
            marks[Int(markOf[partition])].position = record.position
        }
        return true
    }

    mutating func seal(sequence: UInt64, oldest: UInt64, previousHash: UInt64) -> BatchHeader {
        BatchHeader.seal(
            &row, recordCount: recordCount, sequence: sequence, oldest: oldest, previousHash: previousHash)
    }

    /// Starts the next row.
    mutating func removeAll() {
        for mark in marks { markOf[Int(mark.partition.rawValue)] = -1 }
        marks.removeAll(keepingCapacity: true)
        row.removeLast(row.count - BatchHeader.byteCount)
        // A row that one huge record blew up gives its memory back.
        if row.capacity > 4 * (bytesMax + BatchHeader.byteCount) { row = Array(row) }
        recordCount = 0
    }
}
