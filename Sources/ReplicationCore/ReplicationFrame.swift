import ByteCoding
import Identifiers

/// What one node says to another about many partitions, in one frame.
///
///     version u8 | count varint | count x (partition varint, kind u8, message)
///
/// Records are whole `JournalRecord`s; a receiver proves each one's checksum and works its hash out anew.
public struct ReplicationFrame: Hashable, Sendable {
    public struct Group: Hashable, Sendable {
        public var partition: PartitionID
        public var message: ReplicaMessage

        public init(partition: PartitionID, message: ReplicaMessage) {
            self.partition = partition
            self.message = message
        }
    }

    public static let version: UInt8 = 1
    /// Messages in one frame, at the most.
    public static let groupsMax = 65_536
    /// Records in one message, at the most.
    public static let recordsMax = 65_536

    public var groups: [Group]

    public init(_ groups: [Group]) { self.groups = groups }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(
            capacity: groups.reduce(64 + groups.count * 48) { $0 + $1.message.recordBytes })
        writer.byte(Self.version)
        writer.varint(groups.count)
        for group in groups {
            writer.varint(UInt64(group.partition.rawValue))
            group.message.write(to: &writer)
        }
        return writer.bytes
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> ReplicationFrame {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "replication frame", found: UInt64(version), newest: UInt64(Self.version))
        }
        let count = try reader.count("replication groups", limit: groupsMax)
        var groups: [Group] = []
        for _ in 0..<count {
            let partition = try reader.partition()
            groups.append(Group(partition: partition, message: try .read(&reader, of: partition)))
        }
        try reader.finish()
        return ReplicationFrame(groups)
    }
}

extension ReplicaMessage {
    /// Bytes that its records take, each with its length.
    var recordBytes: Int {
        guard case .append(let append) = self else { return 0 }
        return append.records.reduce(0) { $0 + $1.bytes.count + 4 }
    }

    func write(to writer: inout ByteWriter) {
        switch self {
        case .append(let append):
            writer.byte(1)
            writer.varint(append.epoch.rawValue)
            writer.varint(append.probe)
            append.previous.write(to: &writer)
            writer.varint(append.committed.rawValue)
            writer.varint(append.records.count)
            for record in append.records { writer.blob(record.bytes) }
        case .acknowledged(let epoch, let position):
            writer.byte(2)
            writer.varint(epoch.rawValue)
            writer.varint(position.rawValue)
        case .mismatch(let epoch, let probe, let end, let epochs):
            writer.byte(3)
            writer.varint(epoch.rawValue)
            writer.varint(probe)
            writer.varint(end.rawValue)
            EpochStart.write(epochs, to: &writer)
        case .damaged(let epoch):
            writer.byte(4)
            writer.varint(epoch.rawValue)
        case .rejected(let epoch, let promised):
            writer.byte(5)
            writer.varint(epoch.rawValue)
            writer.varint(promised.rawValue)
        case .confirm(let epoch, let round), .confirmed(let epoch, let round):
            if case .confirm = self { writer.byte(6) } else { writer.byte(7) }
            writer.varint(epoch.rawValue)
            writer.varint(round)
        }
    }

    static func read(
        _ reader: inout ByteReader, of partition: PartitionID
    ) throws(WireError) -> ReplicaMessage {
        switch try reader.byte() {
        case 1: return .append(try readAppend(&reader, partition))
        case 2:
            let epoch = try reader.epoch()
            return .acknowledged(epoch: epoch, position: try reader.position())
        case 3:
            let epoch = try reader.epoch()
            let probe = try reader.varint()
            let end = try reader.position()
            let epochs = try EpochStart.readList(&reader, limit: 4_096)
            return .mismatch(epoch: epoch, probe: probe, end: end, epochs: epochs)
        case 4: return .damaged(epoch: try reader.epoch())
        case 5:
            let epoch = try reader.epoch()
            return .rejected(epoch: epoch, promised: try reader.epoch())
        case 6:
            let epoch = try reader.epoch()
            return .confirm(epoch: epoch, round: try reader.varint())
        case 7:
            let epoch = try reader.epoch()
            return .confirmed(epoch: epoch, round: try reader.varint())
        case let tag: throw .unknown(what: "replication message", value: UInt64(tag))
        }
    }

    private static func readAppend(
        _ reader: inout ByteReader, _ partition: PartitionID
    ) throws(WireError) -> Append {
        let epoch = try reader.epoch()
        let probe = try reader.varint()
        let previous = try LogMark.read(&reader)
        let committed = try reader.position()
        let count = try reader.count("records", limit: ReplicationFrame.recordsMax)
        var records: [LogRecord] = []
        var last = previous
        for _ in 0..<count {
            let record = try LogRecord.verified(try reader.blob(), of: partition)
            guard record.mark.position.rawValue == last.position.rawValue &+ 1,
                record.previousHash == last.hash, record.mark.epoch >= last.epoch,
                record.mark.epoch <= epoch
            else { throw .invalid("\(record.mark) does not follow \(last) in epoch \(epoch.rawValue)") }
            last = record.mark
            records.append(record)
        }
        return Append(
            epoch: epoch, probe: probe, previous: previous, committed: committed, records: records)
    }
}

extension LogRecord {
    /// A record from bytes that come from elsewhere, its checksum proven and its hash worked out.
    public static func verified(
        _ bytes: [UInt8], of partition: PartitionID
    ) throws(WireError) -> LogRecord {
        let (header, hash) = try JournalRecord.verify(bytes)
        guard header.partition == partition else {
            throw .invalid("a record of partition \(header.partition.rawValue) in \(partition.rawValue)")
        }
        let mark = LogMark(position: header.position, epoch: header.epoch, hash: hash)
        return LogRecord(mark: mark, previousHash: header.previousHash, bytes: bytes)
    }
}

extension LogMark {
    func write(to writer: inout ByteWriter) {
        writer.varint(position.rawValue)
        writer.varint(epoch.rawValue)
        writer.fixed(hash)
    }

    static func read(_ reader: inout ByteReader) throws(WireError) -> LogMark {
        let position = try reader.position()
        let epoch = try reader.epoch()
        return LogMark(position: position, epoch: epoch, hash: try reader.fixed())
    }
}

extension EpochStart {
    static func write(_ epochs: [EpochStart], to writer: inout ByteWriter) {
        writer.varint(epochs.count)
        for start in epochs {
            writer.varint(start.epoch.rawValue)
            writer.varint(start.first.rawValue)
        }
    }

    static func readList(_ reader: inout ByteReader, limit: Int) throws(WireError) -> [EpochStart] {
        let count = try reader.count("epochs", limit: limit)
        var epochs: [EpochStart] = []
        for _ in 0..<count {
            let epoch = try reader.epoch()
            let start = EpochStart(epoch: epoch, first: try reader.position())
            if let last = epochs.last, start.epoch <= last.epoch || start.first <= last.first {
                throw .invalid("the epochs of a log ascend")
            }
            guard start.first > .zero else { throw .invalid("an epoch begins at a position") }
            epochs.append(start)
        }
        return epochs
    }
}

// Code goes on counting from these, so the largest numbers are not for others to choose.
extension ByteReader {
    mutating func epoch() throws(WireError) -> Epoch {
        Epoch(rawValue: try varint().countable("an epoch"))
    }

    mutating func position() throws(WireError) -> LogPosition {
        LogPosition(rawValue: try varint().countable("a position"))
    }

    mutating func partition() throws(WireError) -> PartitionID {
        let raw = try varint()
        guard let number = UInt32(exactly: raw) else { throw .unknown(what: "partition", value: raw) }
        return PartitionID(rawValue: number)
    }
}
