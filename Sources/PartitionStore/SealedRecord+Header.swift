import Identifiers
import ReplicationCore

// Sealed bytes were proven when they were sealed, received or read back; only a field is taken out of them.
extension SealedRecord {
    var epoch: Epoch { Epoch(rawValue: field(at: 8)) }
    var previousHash: UInt64 { field(at: 32) }

    private func field(at offset: Int) -> UInt64 {
        bytes.withUnsafeBytes {
            UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
    }

    init(_ record: LogRecord, in partition: PartitionID) {
        self.init(
            partition: partition, position: record.mark.position, hash: record.mark.hash, bytes: record.bytes)
    }
}
