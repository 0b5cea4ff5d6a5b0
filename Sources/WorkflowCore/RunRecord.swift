import ByteCoding

/// What a run is doing (W80).
public enum RunStatus: UInt8, Sendable, CaseIterable {
    case pending = 1, running, sleeping, waiting, retrying, rollingBack, paused, stalled, completed, failed,
        cancelled
    /// The actor is gone with its run; stored only where the memory of its requests outlives it (A13).
    case destroyed

    public var name: String { "\(self)" }

    /// Whether the run has ended for good (W6).
    public var hasEnded: Bool {
        switch self {
        case .completed, .failed, .cancelled, .destroyed: true
        default: false
        }
    }
}

/// What is stored of a run as a whole, beside its history.
public struct RunRecord: Hashable, Sendable {
    public static let version: UInt8 = 1

    public var status: RunStatus
    /// Since when, microseconds since 1970.
    public var since: UInt64
    /// A plain answer to "what is it waiting for", or why it stalled.
    public var detail: String
    /// Why it failed.
    public var failure: FailureRecord?
    /// How often in a row the run was woken because its process had died under it, without getting further
    /// (W13).
    public var crashWakes: UInt64
    public var startedAt: UInt64

    public init(
        status: RunStatus, since: UInt64, detail: String = "", failure: FailureRecord? = nil,
        crashWakes: UInt64 = 0,
        startedAt: UInt64
    ) {
        self.status = status
        self.since = since
        self.detail = detail
        self.failure = failure
        self.crashWakes = crashWakes
        self.startedAt = startedAt
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 48)
        writer.byte(Self.version)
        writer.byte(status.rawValue)
        writer.varint(since)
        writer.string(detail)
        writer.optional(failure) { $1.write(to: &$0) }
        writer.varint(crashWakes)
        writer.varint(startedAt)
        return writer.bytes
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> RunRecord {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "run record", found: UInt64(version), newest: UInt64(Self.version))
        }
        let raw = try reader.byte()
        guard let status = RunStatus(rawValue: raw) else {
            throw .unknown(what: "run status", value: UInt64(raw))
        }
        let since = try reader.varint()
        let detail = try reader.string()
        let failure = try reader.optional { reader throws(WireError) in try FailureRecord.read(&reader) }
        let crashWakes = try reader.varint().countable("a run's crashes")
        let startedAt = try reader.varint()
        try reader.finish()
        return RunRecord(
            status: status, since: since, detail: detail, failure: failure, crashWakes: crashWakes,
            startedAt: startedAt)
    }
}
