import ByteCoding
import Identifiers
import ReplicationCore
import Testing

/// R19: only the owner lets a member of the in-sync set go, and it asks at once when the map calls one gone.
@Suite("Members that leave") struct LeavingTests {
    private static func life(_ node: UInt64) -> NodeLife { AdditionTests.Pair.life(node, 1) }

    private static func configuration(
        epoch: UInt64, revision: UInt64, owner: UInt64?, inSync: [UInt64], leaving: [UInt64] = []
    ) -> PartitionConfiguration {
        PartitionConfiguration(
            epoch: Epoch(rawValue: epoch), revision: revision, owner: owner.map(life),
            inSync: inSync.map { life($0).replica }, leaving: leaving.map { life($0).replica })
    }

    /// A node with some partitions of which it is the follower, in epoch 1, with all that is committed (R20).
    private static func follower(partitions: Int) -> NodeReplication {
        var node = NodeReplication(me: life(2))
        for number in 0..<partitions {
            node.add(
                Replica(
                    partition: PartitionID(number), me: life(2), log: LogTail(base: .origin, epochs: []),
                    promised: Epoch(rawValue: 1), committed: .zero))
            let (bytes, hash) = JournalRecord(
                kind: .epochStart, partition: PartitionID(number), epoch: Epoch(rawValue: 1),
                position: LogPosition(rawValue: 1), time: 0, previousHash: 0, body: []
            ).encoded()
            let mark = LogMark(
                position: LogPosition(rawValue: 1), epoch: Epoch(rawValue: 1), hash: hash)
            let append = Append(
                epoch: Epoch(rawValue: 1), probe: 0, previous: .origin, committed: mark.position,
                records: [LogRecord(mark: mark, previousHash: 0, bytes: bytes)])
            let known = configuration(epoch: 1, revision: 0, owner: 1, inSync: [1, 2])
            node.handle(.configured(known), of: PartitionID(number), now: 0)
            node.handle(.received(.append(append), from: life(1)), of: PartitionID(number), now: 0)
        }
        _ = node.finishRound(now: 0)
        return node
    }

    private static func requests(_ node: inout NodeReplication, _ now: UInt64) -> [MembershipRequest] {
        node.finishRound(now: now).actions.compactMap {
            if case .propose(let request) = $1 { request } else { nil }
        }
    }

    private static func configure(
        _ node: inout NodeReplication, _ configuration: PartitionConfiguration, now: UInt64,
        partitions: Int = 3
    ) {
        for number in 0..<partitions {
            node.handle(.configured(configuration), of: PartitionID(number), now: now)
        }
    }

    @Test("After a node's death the new owner of all its partitions asks for all removals in one round")
    func failover() {
        var node = Self.follower(partitions: 3)
        Self.configure(&node, Self.configuration(epoch: 1, revision: 1, owner: 1, inSync: [1, 2]), now: 1)
        #expect(Self.requests(&node, 1).isEmpty)
        let granted = Self.configuration(epoch: 2, revision: 2, owner: 2, inSync: [1, 2], leaving: [1])
        Self.configure(&node, granted, now: 2)
        let asked = Self.requests(&node, 2)
        #expect(asked.map(\.partition) == (0..<3).map { PartitionID($0) })
        #expect(asked.allSatisfy { $0.change == .drop(Self.life(1).replica) && $0.revision == 2 })
        // Not again while it may be under way.
        Self.configure(&node, granted, now: 3)
        node.handleAll(.tick, now: 1_000)
        #expect(Self.requests(&node, 1_000).isEmpty)
        node.handleAll(.tick, now: 2_000_000)
        #expect(Self.requests(&node, 2_000_000).count == 3)
    }

    @Test("2.6.7: a request that got lost with the leader it was sent to is made again soon")
    func lostRequest() {
        var node = Self.follower(partitions: 3)
        let granted = Self.configuration(epoch: 2, revision: 2, owner: 2, inSync: [1, 2], leaving: [1])
        Self.configure(&node, granted, now: 2)
        var asked = Self.requests(&node, 2)
        #expect(asked.count == 3)
        for request in asked { node.handle(.changeLost(request), of: request.partition, now: 10) }
        node.handleAll(.tick, now: 50_000)
        #expect(Self.requests(&node, 50_000).isEmpty)
        node.handleAll(.tick, now: 100_010)
        #expect(Self.requests(&node, 100_010) == asked)
        // What was asked under an earlier revision hurries nobody.
        asked[0].revision = 1
        node.handle(.changeLost(asked[0]), of: asked[0].partition, now: 110_000)
        node.handleAll(.tick, now: 300_000)
        #expect(Self.requests(&node, 300_000).isEmpty)
    }

    @Test("An owner hears of a follower's death under the same revision; who comes back in time stays")
    func sameRevision() {
        var node = Self.follower(partitions: 3)
        var configuration = Self.configuration(epoch: 2, revision: 2, owner: 2, inSync: [1, 2, 3])
        Self.configure(&node, configuration, now: 1)
        #expect(Self.requests(&node, 1).isEmpty)
        configuration.leaving = [Self.life(3).replica]
        Self.configure(&node, configuration, now: 2)
        #expect(
            Self.requests(&node, 2).map(\.change) == Array(repeating: .drop(Self.life(3).replica), count: 3))
        configuration.leaving = []
        Self.configure(&node, configuration, now: 3)
        // Nothing but what was not answered in time, long after.
        node.handleAll(.tick, now: 1_400_000)
        #expect(Self.requests(&node, 1_400_000).isEmpty)
        // Another one that goes is not held up by what was asked before.
        configuration.leaving = [Self.life(1).replica]
        Self.configure(&node, configuration, now: 1_400_001)
        #expect(Self.requests(&node, 1_400_001).count == 3)
    }

    @Test("Two that are gone are dropped one after the other; an older decision changes nothing")
    func oneByOne() {
        var node = Self.follower(partitions: 1)
        let first = Self.configuration(epoch: 2, revision: 2, owner: 2, inSync: [1, 2, 3], leaving: [1, 3])
        Self.configure(&node, first, now: 1, partitions: 1)
        #expect(Self.requests(&node, 1).map(\.change) == [.drop(Self.life(1).replica)])
        let second = Self.configuration(epoch: 2, revision: 3, owner: 2, inSync: [2, 3], leaving: [3])
        Self.configure(&node, second, now: 2, partitions: 1)
        let asked = Self.requests(&node, 2)
        #expect(asked.map(\.change) == [.drop(Self.life(3).replica)] && asked.map(\.revision) == [3])
        Self.configure(&node, first, now: 3, partitions: 1)
        #expect(Self.requests(&node, 3).isEmpty)
    }

    @Test("Nobody asks who is not the owner, and nobody asks to drop itself")
    func owners() {
        var node = Self.follower(partitions: 1)
        Self.configure(
            &node, Self.configuration(epoch: 2, revision: 2, owner: 1, inSync: [1, 2], leaving: [1]), now: 1,
            partitions: 1)
        #expect(Self.requests(&node, 1).isEmpty)
        Self.configure(
            &node, Self.configuration(epoch: 3, revision: 3, owner: 2, inSync: [1, 2], leaving: [2]), now: 2,
            partitions: 1)
        #expect(Self.requests(&node, 2).isEmpty)
    }

    @Test("A learner that the plan does without is not added, however well it keeps up")
    func unwantedLearner() throws {
        var pair = AdditionTests.Pair()
        pair.configuration.leaving = [Self.life(2).replica]
        pair.handle(.configured(pair.configuration))
        pair.acknowledge(as: Self.life(2), pair.end.position)
        #expect(pair.requests(after: 20_000).isEmpty)
        pair.configuration.leaving = []
        pair.handle(.configured(pair.configuration))
        #expect(try #require(pair.requests(after: 20_000).first).change == .add(Self.life(2)))
    }
}
