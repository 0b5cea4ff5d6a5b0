import Identifiers

extension JournalRecord {
    /// What a record says in front of its body.
    public struct Header: Hashable, Sendable {
        public var kind: Kind
        public var partition: PartitionID
        public var epoch: Epoch
        public var position: LogPosition
        public var time: UInt64
        public var previousHash: UInt64
    }

    /// Proves the checksum of one whole record and reads its header, without copying the body.
    /// - Returns: the header and the record's link in the hash chain.
    public static func verify(_ record: [UInt8]) throws(WireError) -> (header: Header, hash: UInt64) {
        var reader = ByteReader(record)
        let (header, _, hash) = try verify(&reader, from: record)
        try reader.finish()
        return (header, hash)
    }

    /// The same for the record at the reader's place, with the place of its body.
    static func verify(
        _ reader: inout ByteReader, from bytes: [UInt8]
    ) throws(WireError) -> (header: Header, body: Range<Int>, hash: UInt64) {
        let start = reader.offset
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "journal record", found: UInt64(version), newest: UInt64(Self.version))
        }
        let rawKind = try reader.byte()
        let flags = try reader.fixed(UInt16.self)
        let partition = PartitionID(rawValue: try reader.fixed())
        let epoch = Epoch(rawValue: try reader.fixed(UInt64.self).countable("an epoch"))
        let position = LogPosition(rawValue: try reader.fixed(UInt64.self).countable("a position"))
        let time = try reader.fixed(UInt64.self).countable("a record's time")
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
        let header = Header(
            kind: kind, partition: partition, epoch: epoch, position: position, time: time,
            previousHash: previousHash)
        return (header, body, hash)
    }
}
