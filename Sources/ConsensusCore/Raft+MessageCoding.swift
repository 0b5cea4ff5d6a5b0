import ByteCoding
import Identifiers

/// A message on the wire: version u8, kind u8, from, to, term, then what the kind has. Whoever carries it
/// guards it against damage; the frame has a checksum.
extension Raft.Message {
    public static let version: UInt8 = 1

    private enum Kind: UInt8 {
        case preVote = 1
        case preVoteResponse, vote, voteResponse, append, appendResponse, snapshot, snapshotResponse
        case timeoutNow
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        writer.byte(Self.version)
        writer.byte(kind.rawValue)
        writer.member(from)
        writer.member(to)
        writer.varint(term)
        switch body {
        case .preVote(let last): writer.position(last)
        case .preVoteResponse(let granted), .voteResponse(let granted): writer.bool(granted)
        case .vote(let last, let transfer):
            writer.position(last)
            writer.bool(transfer)
        case .append(let append): append.write(to: &writer)
        case .appendResponse(let response): response.write(to: &writer)
        case .snapshot(let chunk): chunk.write(to: &writer)
        case .snapshotResponse(let response):
            writer.position(response.position)
            writer.varint(response.receivedBytes)
            writer.varint(response.round)
        case .timeoutNow: break
        }
        return writer.bytes
    }

    /// Reads one whole message; anything else is an error.
    public static func decode(_ bytes: [UInt8]) throws(WireError) -> Self {
        var reader = ByteReader(bytes)
        try reader.version("raft message", newest: version)
        let rawKind = try reader.byte()
        guard let kind = Kind(rawValue: rawKind) else {
            throw .unknown(what: "raft message", value: UInt64(rawKind))
        }
        let from = try reader.member()
        let to = try reader.member()
        let term = try reader.number("term")
        let body = try Self.body(kind, &reader)
        try reader.finish()
        return Self(from: from, to: to, term: term, body: body)
    }

    private static func body(_ kind: Kind, _ reader: inout ByteReader) throws(WireError) -> Body {
        switch kind {
        case .preVote: .preVote(last: try reader.position())
        case .preVoteResponse: .preVoteResponse(granted: try reader.bool())
        case .vote: .vote(last: try reader.position(), transfer: try reader.bool())
        case .voteResponse: .voteResponse(granted: try reader.bool())
        case .append: .append(try Raft.Append(from: &reader))
        case .appendResponse: .appendResponse(try Raft.AppendResponse(from: &reader))
        case .snapshot: .snapshot(try Raft.SnapshotChunk(from: &reader))
        case .snapshotResponse:
            .snapshotResponse(
                Raft.SnapshotResponse(
                    position: try reader.position(),
                    receivedBytes: try reader.count("snapshot", limit: Int(Int32.max)),
                    round: try reader.varint()))
        case .timeoutNow: .timeoutNow
        }
    }

    private var kind: Kind {
        switch body {
        case .preVote: .preVote
        case .preVoteResponse: .preVoteResponse
        case .vote: .vote
        case .voteResponse: .voteResponse
        case .append: .append
        case .appendResponse: .appendResponse
        case .snapshot: .snapshot
        case .snapshotResponse: .snapshotResponse
        case .timeoutNow: .timeoutNow
        }
    }
}

extension Raft.Append {
    func write(to writer: inout ByteWriter) {
        writer.position(previous)
        writer.varint(commit)
        writer.varint(round)
        writer.varint(entries.count)
        for entry in entries { writer.entry(entry) }
    }

    init(from reader: inout ByteReader) throws(WireError) {
        previous = try reader.position()
        commit = try reader.number("commit index")
        round = try reader.varint()
        // Every entry takes three bytes at least, so a false count cannot make room for more than is there.
        let count = try reader.count("entries", limit: reader.remaining / 3)
        entries = []
        entries.reserveCapacity(count)
        for _ in 0..<count { entries.append(try reader.entry()) }
    }
}

extension Raft.AppendResponse {
    func write(to writer: inout ByteWriter) {
        switch result {
        case .accepted(let match):
            writer.bool(true)
            writer.varint(match)
        case .rejected(let previous, let hint):
            writer.bool(false)
            writer.varint(previous)
            writer.position(hint)
        }
        writer.varint(round)
    }

    init(from reader: inout ByteReader) throws(WireError) {
        if try reader.bool() {
            result = .accepted(match: try reader.number("index"))
        } else {
            result = .rejected(previous: try reader.number("index"), hint: try reader.position())
        }
        round = try reader.varint()
    }
}

extension Raft.SnapshotChunk {
    func write(to writer: inout ByteWriter) {
        writer.position(position)
        writer.configuration(configuration)
        writer.varint(stateBytes)
        writer.varint(offset)
        writer.blob(bytes)
        writer.varint(round)
    }

    init(from reader: inout ByteReader) throws(WireError) {
        position = try reader.position()
        configuration = try reader.configuration()
        stateBytes = try reader.count("snapshot", limit: Int(Int32.max))
        offset = try reader.count("snapshot offset", limit: stateBytes)
        bytes = try reader.blob()
        round = try reader.varint()
    }
}
