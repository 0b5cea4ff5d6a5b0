import ByteCoding
import ConsensusCore
import Identifiers
import Testing
import TimeAndChance

@Suite("Messages and records as bytes")
struct CodingTests {
    static let one = Raft.Member(node: NodeID(rawValue: 1), store: StoreID(high: 0x0102, low: 0x0304))
    static let two = Raft.Member(node: NodeID(rawValue: 300), store: StoreID(high: 5, low: 6))
    static let last = Raft.Position(term: 7, index: 200)
    static let members = Raft.Configuration(voters: [one], learners: [two]) ?? .empty

    static let entries = [
        Raft.Entry(position: Raft.Position(term: 7, index: 201), payload: .noop),
        Raft.Entry(position: Raft.Position(term: 7, index: 202), payload: .command([0xAA, 0xBB])),
        Raft.Entry(position: Raft.Position(term: 8, index: 203), payload: .configuration(members)),
    ]

    static let bodies: [Raft.Message.Body] = [
        .preVote(last: last), .preVoteResponse(granted: true), .vote(last: last, transfer: true),
        .voteResponse(granted: false),
        .append(Raft.Append(previous: last, entries: entries, commit: 199, round: 3)),
        .appendResponse(Raft.AppendResponse(result: .accepted(match: 201), round: 3)),
        .appendResponse(Raft.AppendResponse(result: .rejected(previous: 200, hint: last), round: 0)),
        .snapshot(
            Raft.SnapshotChunk(
                position: last, configuration: members, stateBytes: 10, offset: 4, bytes: [1, 2], round: 9)),
        .snapshotResponse(Raft.SnapshotResponse(position: last, receivedBytes: 6, round: 9)), .timeoutNow,
    ]

    static let messages = bodies.map { Raft.Message(from: one, to: two, term: 8, body: $0) }

    /// What each kind has behind the common head; these never change.
    static let goldenTails: [[UInt8]] = [
        [7, 0xC8, 1], [1], [7, 0xC8, 1, 1], [0],
        [7, 0xC8, 1, 0xC7, 1, 3, 3, 7, 0xC9, 1, 0, 7, 0xCA, 1, 1, 2, 0xAA, 0xBB, 8, 0xCB, 1, 2]
            + goldenMembers,
        [1, 0xC9, 1, 3], [0, 0xC8, 1, 7, 0xC8, 1, 0],
        [7, 0xC8, 1] + goldenMembers + [10, 4, 2, 1, 2, 9], [7, 0xC8, 1, 6, 9], [],
    ]
    static let goldenOne: [UInt8] = [1] + [2, 1, 0, 0, 0, 0, 0, 0] + [4, 3, 0, 0, 0, 0, 0, 0]
    static let goldenTwo: [UInt8] = [0xAC, 2] + [5, 0, 0, 0, 0, 0, 0, 0] + [6, 0, 0, 0, 0, 0, 0, 0]
    static let goldenMembers: [UInt8] = [1] + goldenOne + [1] + goldenTwo

    @Test func messagesHaveGoldenBytes() {
        let kinds: [UInt8] = [1, 2, 3, 4, 5, 6, 6, 7, 8, 9]
        for (index, message) in Self.messages.enumerated() {
            let head = [1, kinds[index]] + Self.goldenOne + Self.goldenTwo + [8]
            #expect(message.encoded() == head + Self.goldenTails[index], "\(message.text)")
        }
    }

    @Test func messagesRoundTrip() throws {
        for message in Self.messages { #expect(try Raft.Message.decode(message.encoded()) == message) }
    }

    /// Every record on disk proves itself, and is pinned.
    @Test func recordsHaveGoldenBytes() throws {
        func sealed(_ body: [UInt8]) -> [UInt8] {
            let crc = CRC32C.checksum(body)
            return body + (0..<4).map { UInt8(truncatingIfNeeded: crc >> ($0 * 8)) }
        }
        let voted = Raft.HardState(term: 300, vote: Self.one)
        #expect(voted.encoded() == sealed([1, 0xAC, 2, 1] + Self.goldenOne))
        #expect(try Raft.HardState.decode(voted.encoded()) == voted)
        #expect(Raft.HardState(term: 2).encoded() == [1, 2, 0, 0xEA, 0x01, 0x60, 0xE2])
        #expect(Self.entries[1].encoded() == sealed([1, 7, 0xCA, 1, 1, 2, 0xAA, 0xBB]))
        for entry in Self.entries { #expect(try Raft.Entry.decode(entry.encoded()) == entry) }
        let snapshot = Raft.Snapshot(position: Self.last, configuration: Self.members, state: [9])
        #expect(snapshot.encoded() == sealed([1, 7, 0xC8, 1] + Self.goldenMembers + [1, 9]))
        #expect(try Raft.Snapshot.decode(snapshot.encoded()) == snapshot)
    }

    @Test func everyTruncationIsAnError() {
        for message in Self.messages {
            let bytes = message.encoded()
            for count in 0..<bytes.count {
                #expect(throws: WireError.self) { try Raft.Message.decode(Array(bytes[..<count])) }
            }
            #expect(throws: WireError.trailing(count: 1)) { try Raft.Message.decode(bytes + [0]) }
        }
    }

    @Test func everyFlippedBitOfARecordIsDetected() {
        let snapshot = Raft.Snapshot(position: Self.last, configuration: Self.members, state: [9])
        let records: [([UInt8], ([UInt8]) throws -> Void)] = [
            (Raft.HardState(term: 300, vote: Self.one).encoded(), { _ = try Raft.HardState.decode($0) }),
            (Self.entries[2].encoded(), { _ = try Raft.Entry.decode($0) }),
            (snapshot.encoded(), { _ = try Raft.Snapshot.decode($0) }),
        ]
        for (bytes, decode) in records {
            for bit in 0..<bytes.count * 8 {
                var damaged = bytes
                damaged[bit / 8] ^= 1 << (bit % 8)
                #expect(throws: WireError.self) { try decode(damaged) }
            }
            for count in 0..<bytes.count {
                #expect(throws: WireError.self) { try decode(Array(bytes[..<count])) }
            }
        }
    }

    /// Bytes that mean nothing lead to an error that says what they are not, and never to a trap.
    @Test func nonsenseIsNamed() {
        var bytes = Self.messages[0].encoded()
        bytes[0] = 2
        #expect(throws: WireError.version(what: "raft message", found: 2, newest: 1)) {
            try Raft.Message.decode(bytes)
        }
        (bytes[0], bytes[1]) = (1, 10)
        #expect(throws: WireError.unknown(what: "raft message", value: 10)) {
            try Raft.Message.decode(bytes)
        }
        let head = [1, 5] + Self.goldenOne + Self.goldenTwo
        let huge: [UInt8] = Array(repeating: 0xFF, count: 9) + [1]
        #expect(throws: WireError.self, "a term that would overflow") {
            try Raft.Message.decode(head + huge)
        }
        #expect(throws: WireError.self, "more entries than bytes") {
            try Raft.Message.decode(head + [8, 1, 1, 1, 1] + huge)
        }
        let twice = [1] + Self.goldenOne + [1] + Self.goldenOne
        #expect(throws: WireError.invalid("a raft configuration names a node twice or has too many members"))
        {
            try Raft.Message.decode([1, 7] + Self.goldenOne + Self.goldenTwo + [8, 7, 9] + twice)
        }
    }

    /// Damaged messages that decode all the same do not stop a replica.
    @Test func noMessageTrapsAReplica() throws {
        var random = SplitMix64(seed: 1)
        var cluster = Cluster(voters: 3)
        for round in 0..<20_000 {
            let sent = Self.messages[Int.random(in: 0..<Self.messages.count, using: &random)]
            var message = sent
            message.from = Raft.Member(number: 2, generation: 0)
            message.to = Raft.Member(number: 1, generation: 0)
            message.term = UInt64.random(in: 1...3, using: &random)
            var bytes = message.encoded()
            let place = Int.random(in: 36..<bytes.count + 2, using: &random)
            if place < bytes.count { bytes[place] = UInt8.random(in: 0...255, using: &random) }
            guard let damaged = try? Raft.Message.decode(bytes) else { continue }
            _ = cluster[1].raft?.handle(.message(damaged))
            _ = cluster[1].raft?.handle(.tick)
            if round % 100 == 0 {
                cluster.crash(1)
                cluster.start(1)
            }
        }
        #expect(cluster[1].raft != nil)
    }
}
