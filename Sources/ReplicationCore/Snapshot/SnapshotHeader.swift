import ByteCoding
import Identifiers

/// What a snapshot of one partition's tables is: everything about it but its bytes.
///
///     version u8 | id u64 | partition varint | epoch varint | mark | time varint
///     | count varint, epochs | tableFormat varint | byteCount varint | chunkBytes varint
public struct SnapshotHeader: Hashable, Sendable {
    static let version: UInt8 = 1
    /// Bytes in one chunk, at the most.
    public static let chunkBytesMax = 1 << 20
    /// Epochs that a snapshot names, at the most; of more, the oldest are left out.
    public static let epochsMax = 1_024

    /// Tells all snapshots of all stores apart; drawn by whoever made it.
    public var id: UInt64
    public var partition: PartitionID
    /// The epoch whose owner sends it.
    public var epoch: Epoch
    /// The last record that the tables have; the log goes on after it.
    public var mark: LogMark
    /// Partition time of that record, in microseconds since 1970.
    public var time: UInt64
    /// Where epochs begin, ascending; the last one is the mark's.
    public var epochs: [EpochStart]
    /// The form of the tables, which the store knows.
    public var tableFormat: UInt32
    public var byteCount: Int
    /// Bytes in each chunk but the last, which has the rest.
    public var chunkBytes: Int

    /// - Parameter epochs: ascending; those behind the mark are left out.
    public init(
        id: UInt64, partition: PartitionID, epoch: Epoch, mark: LogMark, time: UInt64, epochs: [EpochStart],
        tableFormat: UInt32, byteCount: Int, chunkBytes: Int
    ) {
        self.id = id
        self.partition = partition
        self.epoch = epoch
        self.mark = mark
        self.time = time
        self.epochs = Self.epochs(epochs, upTo: mark)
        self.tableFormat = tableFormat
        self.byteCount = byteCount
        self.chunkBytes = chunkBytes
    }

    /// How many chunks there are, at least one.
    public var chunkCount: Int { (byteCount - 1) / chunkBytes + 1 }

    /// The bytes that a chunk has, by their offsets.
    public func range(of chunk: Int) -> Range<Int> {
        chunk * chunkBytes..<min(byteCount, (chunk + 1) * chunkBytes)
    }

    /// If the epoch of the mark is not among those that are remembered, it is known to reach to the mark at
    /// least.
    private static func epochs(_ epochs: [EpochStart], upTo mark: LogMark) -> [EpochStart] {
        guard mark.position > .zero else { return [] }
        var starts = epochs.filter { $0.first <= mark.position && $0.epoch <= mark.epoch }
        if starts.last?.epoch != mark.epoch {
            starts.removeAll { $0.first == mark.position }
            starts.append(EpochStart(epoch: mark.epoch, first: mark.position))
        }
        return Array(starts.suffix(epochsMax))
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 80 + epochs.count * 8)
        write(to: &writer)
        return writer.bytes
    }

    func write(to writer: inout ByteWriter) {
        writer.byte(Self.version)
        writer.fixed(id)
        writer.varint(UInt64(partition.rawValue))
        writer.varint(epoch.rawValue)
        mark.write(to: &writer)
        writer.varint(time)
        EpochStart.write(epochs, to: &writer)
        writer.varint(UInt64(tableFormat))
        writer.varint(byteCount)
        writer.varint(chunkBytes)
    }

    static func read(_ reader: inout ByteReader) throws(WireError) -> SnapshotHeader {
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "snapshot header", found: UInt64(version), newest: UInt64(Self.version))
        }
        let id: UInt64 = try reader.fixed()
        let partition = try reader.partition()
        let epoch = try reader.epoch()
        let mark = try LogMark.read(&reader)
        let time = try reader.varint()
        let epochs = try EpochStart.readList(&reader, limit: epochsMax)
        let rawFormat = try reader.varint()
        guard let format = UInt32(exactly: rawFormat) else {
            throw .unknown(what: "table format", value: rawFormat)
        }
        let bytes = try reader.varint().countable("the length of a snapshot")
        let chunkBytes = try reader.count("a chunk", limit: chunkBytesMax)
        guard bytes > 0, chunkBytes > 0, bytes / UInt64(chunkBytes) < UInt64(UInt32.max) else {
            throw .invalid("\(bytes) bytes in chunks of \(chunkBytes) are no snapshot")
        }
        guard mark.epoch <= epoch, mark.position > .zero || mark == .origin else {
            throw .invalid("\(mark) is no place of a log in epoch \(epoch.rawValue)")
        }
        let header = SnapshotHeader(
            id: id, partition: partition, epoch: epoch, mark: mark, time: time, epochs: epochs,
            tableFormat: format, byteCount: Int(bytes), chunkBytes: chunkBytes)
        guard header.epochs == epochs else { throw .invalid("the epochs of a snapshot end at its mark") }
        return header
    }
}

/// The hash of a snapshot's header and of all chunks so far: each chunk proves its bytes, its place and
/// everything before it, and the last one the whole.
public struct SnapshotHash: Hashable, Sendable {
    public private(set) var value: UInt64

    public init(_ header: SnapshotHeader) { value = XXH64.hash(header.encoded()) }

    /// Goes on after a chunk whose hash is known.
    public init(after value: UInt64) { self.value = value }

    public mutating func add(_ bytes: [UInt8]) { value = XXH64.hash(bytes, seed: value) }
}

/// A piece of a snapshot.
public struct SnapshotChunk: Hashable, Sendable {
    /// Counts from zero.
    public var index: Int
    /// `SnapshotHash` after these bytes.
    public var hash: UInt64
    public var bytes: [UInt8]

    public init(index: Int, hash: UInt64, bytes: [UInt8]) {
        self.index = index
        self.hash = hash
        self.bytes = bytes
    }
}
