import Identifiers
import ReplicationCore

// Sealed bytes were proven when they were sealed, received or read back; only a field is taken out of them.
extension SealedRecord {
    /// The epoch that the record was written in.
    public var epoch: Epoch { Epoch(rawValue: bytes.headerField(at: 8)) }
    /// The link of the hash chain before the record.
    public var previousHash: UInt64 { bytes.headerField(at: 32) }

    init(_ record: LogRecord, in partition: PartitionID) {
        self.init(
            partition: partition, position: record.mark.position, hash: record.mark.hash, bytes: record.bytes)
    }
}

extension LogRecord {
    /// A sealed record as replication handles it; the bytes are shared.
    public init(_ record: SealedRecord) {
        self.init(
            mark: LogMark(position: record.position, epoch: record.epoch, hash: record.hash),
            previousHash: record.previousHash, bytes: record.bytes)
    }

    /// Partition time of the record, in microseconds since 1970; 0 where only the mark is kept.
    public var time: UInt64 { bytes.isEmpty ? 0 : bytes.headerField(at: 24) }
}

extension [UInt8] {
    /// An integer of a record's header, whose layout `JournalRecord` shows.
    fileprivate func headerField(at offset: Int) -> UInt64 {
        withUnsafeBytes {
            UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
    }
}
