import Identifiers

/// One entry of a partition's log: the header of a record and its body, which is what one turn of one
/// actor did.
///
/// On disk and on the wire (`cluster.md` 2.6.1), all integers little-endian:
///
///     version u8 | kind u8 | flags u16 | partition u32 | epoch u64 | position u64 | time u64
///     | previousHash u64 | bodyBytes u32 | crc32c u32 | body
///
/// The CRC covers everything but itself. `previousHash` is the XXH64 of the whole previous record of the
/// partition (0 for the first), so that logs that agree at one position agree on their whole prefix.
public struct JournalRecord: Hashable, Sendable {
    public enum Kind: UInt8, Sendable {
        /// What one turn did to one actor.
        case turn = 1
        /// A new owner's first record in its epoch.
        case epochStart = 2
    }

    public static let version: UInt8 = 1
    public static let headerBytes = 48
    /// A record above this is refused before it is written.
    public static let bodyBytesMax = 16 << 20

    public var kind: Kind
    public var partition: PartitionID
    public var epoch: Epoch
    public var position: LogPosition
    /// Partition time in microseconds since 1970 (`cluster.md` 2.12); never decreases along the log.
    public var time: UInt64
    public var previousHash: UInt64
    public var body: [UInt8]

    public init(
        kind: Kind, partition: PartitionID, epoch: Epoch, position: LogPosition, time: UInt64,
        previousHash: UInt64, body: [UInt8]
    ) {
        self.kind = kind
        self.partition = partition
        self.epoch = epoch
        self.position = position
        self.time = time
        self.previousHash = previousHash
        self.body = body
    }

    /// The record's bytes and its link in the hash chain.
    public func encoded() -> (bytes: [UInt8], hash: UInt64) {
        var writer = ByteWriter(capacity: Self.headerBytes + body.count)
        writer.raw(repeatElement(0, count: Self.headerBytes))
        writer.raw(body)
        let hash = Self.complete(
            &writer, kind: kind, partition: partition, epoch: epoch, position: position, time: time,
            previousHash: previousHash)
        return (writer.bytes, hash)
    }

    /// Writes the header into the bytes kept free for it in front of a body.
    /// - Returns: the record's link in the hash chain.
    static func complete(
        _ writer: inout ByteWriter, kind: Kind, partition: PartitionID, epoch: Epoch, position: LogPosition,
        time: UInt64, previousHash: UInt64
    ) -> UInt64 {
        writer.patch(version, at: 0)
        writer.patch(kind.rawValue, at: 1)
        writer.patch(0 as UInt16, at: 2)
        writer.patch(partition.rawValue, at: 4)
        writer.patch(epoch.rawValue, at: 8)
        writer.patch(position.rawValue, at: 16)
        writer.patch(time, at: 24)
        writer.patch(previousHash, at: 32)
        writer.patch(UInt32(writer.count - headerBytes), at: 40)
        writer.patch(writer.bytes.withUnsafeBytes { checksum($0) }, at: 44)
        return XXH64.hash(writer.bytes)
    }

    /// Reads the record at the reader's place and proves its checksum.
    /// - Returns: the record and its link in the hash chain.
    public static func decode(
        _ reader: inout ByteReader, from bytes: [UInt8]
    ) throws(WireError) -> (JournalRecord, hash: UInt64) {
        let (header, body, hash) = try verify(&reader, from: bytes)
        let record = JournalRecord(
            kind: header.kind, partition: header.partition, epoch: header.epoch, position: header.position,
            time: header.time, previousHash: header.previousHash, body: Array(bytes[body]))
        return (record, hash)
    }

    static func checksum(_ record: UnsafeRawBufferPointer) -> UInt32 {
        let crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: record[0..<headerBytes - 4]))
        return CRC32C.checksum(UnsafeRawBufferPointer(rebasing: record[headerBytes...]), continuing: crc)
    }
}
