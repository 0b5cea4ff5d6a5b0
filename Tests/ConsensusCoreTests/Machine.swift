import ByteCoding
import ConsensusCore

/// The state machine of the tests: a digest of everything that was applied, so that two machines agree at an
/// index only if they agree on all before it.
struct Machine: Equatable {
    /// Longer than a chunk, so that snapshots travel in pieces.
    static let encodedBytes = 40
    static let founding = Machine(index: 1)

    var index: UInt64 = 0
    var digest: UInt64 = 0

    mutating func apply(_ entry: Raft.Entry) {
        var writer = ByteWriter()
        writer.fixed(digest)
        writer.raw(entry.encoded())
        digest = XXH64.hash(writer.bytes)
        index = entry.index
    }

    func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.fixed(index)
        writer.fixed(digest)
        writer.raw(repeatElement(0, count: Self.encodedBytes - 16))
        return writer.bytes
    }

    init(index: UInt64) { self.index = index }

    /// The state of a disk that was never part of a group is empty.
    init(_ snapshot: Raft.Snapshot) throws {
        guard !snapshot.state.isEmpty else { return }
        var reader = ByteReader(snapshot.state)
        index = try reader.fixed()
        digest = try reader.fixed()
    }
}
