import ByteCoding
import Identifiers

/// What an owner says to a replica that it sends a snapshot to; each in a frame of its own.
///
///     version u8 | kind u8 | message
public enum SnapshotMessage: Hashable, Sendable {
    /// There is a snapshot for the replica; said again on every new connection.
    case offer(SnapshotHeader)
    case chunk(PartitionID, id: UInt64, SnapshotChunk)
    /// Nothing more comes.
    case end(PartitionID, id: UInt64)

    static let version: UInt8 = 1

    public var partition: PartitionID {
        switch self {
        case .offer(let header): header.partition
        case .chunk(let partition, _, _), .end(let partition, _): partition
        }
    }

    public var id: UInt64 {
        switch self {
        case .offer(let header): header.id
        case .chunk(_, let id, _), .end(_, let id): id
        }
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        writer.byte(Self.version)
        switch self {
        case .offer(let header):
            writer.byte(1)
            header.write(to: &writer)
        case .chunk(let partition, let id, let chunk):
            writer = ByteWriter(capacity: 64 + chunk.bytes.count)
            writer.byte(Self.version)
            writer.byte(2)
            writer.varint(UInt64(partition.rawValue))
            writer.fixed(id)
            writer.varint(chunk.index)
            writer.fixed(chunk.hash)
            writer.blob(chunk.bytes)
        case .end(let partition, let id):
            writer.byte(3)
            writer.varint(UInt64(partition.rawValue))
            writer.fixed(id)
        }
        return writer.bytes
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> SnapshotMessage {
        var reader = ByteReader(bytes)
        try reader.version("snapshot message", newest: version)
        let message: SnapshotMessage
        switch try reader.byte() {
        case 1: message = .offer(try SnapshotHeader.read(&reader))
        case 2:
            let partition = try reader.partition()
            let id: UInt64 = try reader.fixed()
            let index = try reader.count("a chunk's index", limit: Int(UInt32.max))
            let hash: UInt64 = try reader.fixed()
            let bytes = try reader.blob()
            guard 1...SnapshotHeader.chunkBytesMax ~= bytes.count else {
                throw .tooLong(
                    what: "a chunk", count: UInt64(bytes.count), limit: UInt64(SnapshotHeader.chunkBytesMax))
            }
            message = .chunk(partition, id: id, SnapshotChunk(index: index, hash: hash, bytes: bytes))
        case 3: message = .end(try reader.partition(), id: try reader.fixed())
        case let kind: throw .unknown(what: "snapshot message", value: UInt64(kind))
        }
        try reader.finish()
        return message
    }
}

/// What a replica answers to whoever sends it a snapshot; each in a frame of its own.
///
///     version u8 | kind u8 | partition varint | id u64 | the rest
public struct SnapshotAnswer: Hashable, Sendable {
    public enum Body: Hashable, Sendable {
        /// To an offer: chunks are wanted from this one on; the number of chunks once it has them all.
        case accepted(next: Int)
        /// Chunks before this one are written; room for more.
        case received(next: Int)
        /// The snapshot is in place and durable.
        case installed
        case refused(Refusal)
    }

    public enum Refusal: UInt8, CaseIterable, Hashable, Sendable {
        /// The log there does not need it, or no longer in this epoch.
        case notWanted = 1
        /// As many snapshots come in as are allowed; ask later.
        case busy = 2
        /// It could not be written, or is not what its header says.
        case failed = 3
        /// A newer program made it.
        case newerFormat = 4
    }

    static let version: UInt8 = 1

    public var partition: PartitionID
    /// The snapshot's.
    public var id: UInt64
    public var body: Body

    public init(_ partition: PartitionID, id: UInt64, _ body: Body) {
        self.partition = partition
        self.id = id
        self.body = body
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 24)
        writer.byte(Self.version)
        switch body {
        case .accepted: writer.byte(1)
        case .received: writer.byte(2)
        case .installed: writer.byte(3)
        case .refused: writer.byte(4)
        }
        writer.varint(UInt64(partition.rawValue))
        writer.fixed(id)
        switch body {
        case .accepted(let next), .received(let next): writer.varint(next)
        case .installed: break
        case .refused(let reason): writer.byte(reason.rawValue)
        }
        return writer.bytes
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> SnapshotAnswer {
        var reader = ByteReader(bytes)
        try reader.version("snapshot answer", newest: version)
        let kind = try reader.byte()
        let partition = try reader.partition()
        let id: UInt64 = try reader.fixed()
        let body: Body
        switch kind {
        case 1: body = .accepted(next: try reader.count("a chunk's index", limit: Int(UInt32.max)))
        case 2: body = .received(next: try reader.count("a chunk's index", limit: Int(UInt32.max)))
        case 3: body = .installed
        case 4:
            let raw = try reader.byte()
            guard let reason = Refusal(rawValue: raw) else {
                throw .unknown(what: "refusal of a snapshot", value: UInt64(raw))
            }
            body = .refused(reason)
        default: throw .unknown(what: "snapshot answer", value: UInt64(kind))
        }
        try reader.finish()
        return SnapshotAnswer(partition, id: id, body)
    }
}

extension ByteReader {
    fileprivate mutating func version(_ what: String, newest: UInt8) throws(WireError) {
        let version = try byte()
        guard version == newest else {
            throw .version(what: what, found: UInt64(version), newest: UInt64(newest))
        }
    }
}
