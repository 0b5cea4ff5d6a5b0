import ByteCoding
import ConsensusCore
import ConsensusStore
import Identifiers

extension FuzzTarget {
    /// What is accepted as a message between voters reads back the same after it was encoded anew.
    public static let raftMessage = FuzzTarget("RaftMessage", corpus: messages.map { $0.encoded() }) {
        bytes in
        guard let message = try? Raft.Message.decode(bytes) else { return nil }
        return (try? Raft.Message.decode(message.encoded())) == message
            ? nil : "a message changed on its way: \(message)"
    }

    /// The same for what a voter has on its disk, with the checksum made right.
    public static let raftDisk = FuzzTarget("RaftDisk", corpus: disk) { bytes in
        var sealed = bytes
        var writer = ByteWriter()
        writer.fixed(CRC32C.checksum(bytes))
        sealed += writer.bytes
        if let state = try? Raft.HardState.decode(sealed), (try? .decode(state.encoded())) != state {
            return "a hard state changed on its way: \(state)"
        }
        if let entry = try? Raft.Entry.decode(sealed), (try? .decode(entry.encoded())) != entry {
            return "an entry changed on its way: \(entry)"
        }
        if let snapshot = try? Raft.Snapshot.decode(sealed), (try? .decode(snapshot.encoded())) != snapshot {
            return "a snapshot changed on its way: \(snapshot)"
        }
        return nil
    }

    /// The seal of a voter's files has one form only, as it comes and with its checksum made right.
    public static let consensusSeal = FuzzTarget("ConsensusSeal", corpus: [seal.encoded()]) { bytes in
        var writer = ByteWriter()
        writer.raw(bytes.dropLast(4))
        writer.fixed(CRC32C.checksum(writer.bytes))
        for form in [bytes, writer.bytes] {
            if let seal = try? Seal.decode(form), seal.encoded() != form {
                return "a seal has a second form: \(seal)"
            }
        }
        return nil
    }

    private static let seal: Seal = {
        var seal = Seal(replica: members[0])
        (seal.sequence, seal.entryCount, seal.snapshotHash) = (1 << 62, 3, .max)
        return seal
    }()

    private static let members = (1...3).map {
        ReplicaID(node: NodeID(rawValue: $0), store: StoreID(high: $0, low: 7))
    }
    private static let configuration = Raft.Configuration(voters: members) ?? .empty
    private static let position = Raft.Position(term: 3, index: 300)
    private static let entries = [
        Raft.Entry(position: position, payload: .noop),
        Raft.Entry(position: position, payload: .command([1, 2, 3])),
        Raft.Entry(position: position, payload: .configuration(configuration)),
    ]

    private static let messages: [Raft.Message] = {
        let append = Raft.Append(previous: position, entries: entries, commit: 299, round: 1)
        let chunk = Raft.SnapshotChunk(
            position: position, configuration: configuration, stateBytes: 9, offset: 3, bytes: [1, 2],
            round: 4)
        let bodies: [Raft.Message.Body] = [
            .preVote(last: position), .preVoteResponse(granted: true), .vote(last: position, transfer: true),
            .voteResponse(granted: false), .append(append),
            .appendResponse(.init(result: .accepted(match: 300), round: 2)),
            .appendResponse(.init(result: .rejected(previous: 300, hint: position), round: 2)),
            .snapshot(chunk), .snapshotResponse(.init(position: position, receivedBytes: 5, round: 6)),
            .timeoutNow,
        ]
        return bodies.map { Raft.Message(from: members[0], to: members[1], term: 3, body: $0) }
    }()

    private static let disk: [[UInt8]] = {
        let snapshot = Raft.Snapshot(position: position, configuration: configuration, state: [4, 5])
        let records =
            [Raft.HardState(term: 3, vote: members[0]).encoded(), snapshot.encoded()]
            + entries.map { $0.encoded() }
        // Without the checksum, which is put back before decoding.
        return records.map { Array($0.dropLast(4)) }
    }()
}
