import Identifiers

/// A place in a log: where, written in which epoch, and the link of the hash chain there.
public struct LogMark: Hashable, Sendable, CustomStringConvertible {
    public var position: LogPosition
    public var epoch: Epoch
    public var hash: UInt64

    public init(position: LogPosition, epoch: Epoch, hash: UInt64) {
        self.position = position
        self.epoch = epoch
        self.hash = hash
    }

    /// Before the first record.
    public static let origin = LogMark(position: .zero, epoch: Epoch(rawValue: 0), hash: 0)

    public var description: String { "\(position.rawValue)@\(epoch.rawValue)" }
}

/// A record as replication handles it; what is in the bytes is not its business.
public struct LogRecord: Hashable, Sendable {
    public var mark: LogMark
    /// The link of the hash chain before it.
    public var previousHash: UInt64
    /// `JournalRecord.encoded()`; empty where only the mark is kept in memory.
    public var bytes: [UInt8]

    public init(mark: LogMark, previousHash: UInt64, bytes: [UInt8]) {
        self.mark = mark
        self.previousHash = previousHash
        self.bytes = bytes
    }
}

/// Where an epoch begins in a log.
public struct EpochStart: Hashable, Sendable {
    public var epoch: Epoch
    public var first: LogPosition

    public init(epoch: Epoch, first: LogPosition) {
        self.epoch = epoch
        self.first = first
    }
}
