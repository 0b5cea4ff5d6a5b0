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
        writer.byte(Self.version)
        writer.byte(kind.rawValue)
        writer.fixed(0 as UInt16)
        writer.fixed(partition.rawValue)
        writer.fixed(epoch.rawValue)
        writer.fixed(position.rawValue)
        writer.fixed(time)
        writer.fixed(previousHash)
        writer.fixed(UInt32(body.count))
        writer.fixed(0 as UInt32)
        writer.raw(body)
        let crc = writer.bytes.withUnsafeBytes { Self.checksum($0) }
        writer.patch(crc, at: Self.headerBytes - 4)
        return (writer.bytes, XXH64.hash(writer.bytes))
    }

    /// Reads the record at the reader's place and proves its checksum.
    /// - Returns: the record and its link in the hash chain.
    public static func decode(
        _ reader: inout ByteReader, from bytes: [UInt8]
    ) throws(WireError) -> (JournalRecord, hash: UInt64) {
        let start = reader.offset
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "journal record", found: UInt64(version), newest: UInt64(Self.version))
        }
        let rawKind = try reader.byte()
        let flags = try reader.fixed(UInt16.self)
        let partition = PartitionID(rawValue: try reader.fixed())
        let epoch = Epoch(rawValue: try reader.fixed())
        let position = LogPosition(rawValue: try reader.fixed())
        let time = try reader.fixed(UInt64.self)
        let previousHash = try reader.fixed(UInt64.self)
        let length = try reader.fixed(UInt32.self)
        let crc = try reader.fixed(UInt32.self)
        guard length <= UInt32(bodyBytesMax) else {
            throw .tooLong(what: "journal record", count: UInt64(length), limit: UInt64(bodyBytesMax))
        }
        let body = try reader.skip(Int(length))
        let (actual, hash) = bytes.withUnsafeBytes { all in
            let record = UnsafeRawBufferPointer(rebasing: all[start..<body.upperBound])
            return (checksum(record), XXH64.hash(record))
        }
        guard actual == crc else { throw .checksum(what: "journal record \(position.rawValue)") }
        guard let kind = Kind(rawValue: rawKind) else {
            throw .unknown(what: "journal record kind", value: UInt64(rawKind))
        }
        guard flags == 0 else { throw .unknown(what: "journal record flags", value: UInt64(flags)) }
        let record = JournalRecord(
            kind: kind, partition: partition, epoch: epoch, position: position, time: time,
            previousHash: previousHash, body: Array(bytes[body]))
        return (record, hash)
    }

    private static func checksum(_ record: UnsafeRawBufferPointer) -> UInt32 {
        let crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: record[0..<headerBytes - 4]))
        return CRC32C.checksum(UnsafeRawBufferPointer(rebasing: record[headerBytes...]), continuing: crc)
    }
}
