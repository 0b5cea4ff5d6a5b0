import ByteCoding
import Identifiers
import ReplicationCore
import Testing

/// What an owner makes of the outcomes of the additions that it has asked for (R3).
@Suite("Additions to the in-sync set") struct AdditionTests {
    /// An owner alone in its in-sync set that has committed its first record, and a learner on node 2.
    struct Pair {
        var owner: Replica
        var now: UInt64 = 1_000_000
        var effects: [ReplicaEffect] = []
        var configuration = PartitionConfiguration(
            epoch: Epoch(rawValue: 1), revision: 1, owner: life(1, 1), inSync: [life(1, 1).replica],
            learners: [life(2, 1).replica])
        var end = LogMark.origin

        static func life(_ node: UInt64, _ incarnation: UInt32) -> NodeLife {
            NodeLife(
                node: NodeID(rawValue: node), incarnation: Incarnation(rawValue: incarnation),
                store: StoreID(high: 7, low: node))
        }

        static let settings: ReplicationSettings = {
            var settings = ReplicationSettings()
            settings.expandAfterMicros = 1_000
            settings.shrinkAfterMicros = 10_000
            return settings
        }()

        init(_ settings: ReplicationSettings = Self.settings, inSyncMin: Int = 1) {
            configuration.inSyncMin = inSyncMin
            owner = Replica(
                partition: PartitionID(rawValue: 0), me: Self.life(1, 1),
                log: LogTail(base: .origin, epochs: []), promised: Epoch(rawValue: 0), committed: .zero,
                settings: settings)
            handle(.configured(configuration))
            append()
            #expect(owner.servingEpoch == (inSyncMin == 1 ? configuration.epoch : nil))
        }

        /// Handles an event, and everything that is to be written becomes durable at once.
        mutating func handle(_ event: ReplicaEvent) {
            var new = owner.handle(event, now: now) + owner.handle(.flush, now: now)
            effects += new
            while let ticket = new.compactMap(\.ticket).last {
                new = owner.handle(.persisted(ticket: ticket), now: now)
                effects += new
            }
        }

        mutating func append() {
            let position = end.position.next
            let (bytes, hash) = JournalRecord(
                kind: .turn, partition: owner.partition, epoch: configuration.epoch, position: position,
                time: 0, previousHash: end.hash, body: []
            ).encoded()
            let mark = LogMark(position: position, epoch: configuration.epoch, hash: hash)
            let record = LogRecord(mark: mark, previousHash: end.hash, bytes: bytes)
            end = mark
            handle(.append([record]))
        }

        mutating func acknowledge(as life: NodeLife, _ position: LogPosition) {
            let message = ReplicaMessage.acknowledged(epoch: configuration.epoch, position: position)
            handle(.received(message, from: life))
        }

        /// The additions that are asked for after some time.
        mutating func requests(after micros: UInt64) -> [MembershipRequest] {
            effects = []
            handle(.tick)
            for _ in 0..<2 {
                now += micros
                handle(.tick)
            }
            return effects.compactMap { if case .propose(let request) = $0 { request } else { nil } }
        }
    }

    /// The first life's refusal comes while the second life's request is on its way.
    @Test func theRefusalOfAnEarlierLifeDoesNotEndTheWaitForALaterOne() throws {
        var pair = Pair()
        pair.acknowledge(as: Pair.life(2, 1), pair.end.position)
        let first = try #require(pair.requests(after: 2_000).first)
        #expect(first.change == .add(Pair.life(2, 1)))
        pair.acknowledge(as: Pair.life(2, 2), pair.end.position)
        let second = try #require(pair.requests(after: 20_000).first)
        #expect(second.change == .add(Pair.life(2, 2)))

        pair.handle(.changeRefused(first))
        let committed = pair.owner.committed
        pair.append()
        #expect(pair.owner.committed == committed, "R3: the second life may have been added by now")
        pair.acknowledge(as: Pair.life(2, 2), pair.end.position)
        #expect(pair.owner.committed == pair.end.position)
    }

    /// A learner that died right after it was asked for would otherwise hold up every commit.
    @Test func theRefusalOfTheOnlyLifeEndsTheWait() throws {
        var pair = Pair()
        pair.acknowledge(as: Pair.life(2, 1), pair.end.position)
        let request = try #require(pair.requests(after: 2_000).first)
        pair.append()
        #expect(pair.owner.committed < pair.end.position)
        pair.handle(.changeRefused(request))
        pair.append()
        #expect(pair.owner.committed == pair.end.position)
        // It is asked for again only once its next life has shown itself.
        #expect(pair.requests(after: 20_000).isEmpty)
        pair.acknowledge(as: Pair.life(2, 2), pair.end.position)
        let again = try #require(pair.requests(after: 20_000).first)
        #expect(again.change == .add(Pair.life(2, 2)))
    }

    /// Under load a learner never has everything, and there would be one copy for as long as it lasts.
    @Test func aLearnerThatIsAlwaysALittleBehindIsAdded() throws {
        var pair = Pair()
        var last = pair.end.position
        var isAsked = false
        for _ in 0..<20 where !isAsked {
            pair.append()
            pair.acknowledge(as: Pair.life(2, 1), last)
            isAsked = !pair.requests(after: 300).isEmpty
            if isAsked { #expect(pair.owner.committed <= last, "R9: it has everything that is committed") }
            last = pair.end.position
        }
        #expect(isAsked)
    }

    /// A learner that stops does not hold up the others while it has not been asked for.
    @Test func aLearnerThatFallsBehindIsNotWaitedFor() {
        var pair = Pair()
        pair.acknowledge(as: Pair.life(2, 1), pair.end.position)
        _ = pair.requests(after: 500)
        pair.append()
        for _ in 0..<4 { #expect(pair.requests(after: 400_000).isEmpty) }
        pair.append()
        #expect(pair.owner.committed == pair.end.position)
    }

    /// It once was a replica, and what it said then comes late: everything since is still to be sent.
    @Test func anOldAnswerDoesNotEndTheSearchForTheLogsAgreement() throws {
        var pair = Pair()
        for _ in 0..<4 { pair.append() }
        pair.configuration.revision = 2
        pair.configuration.learners.append(Pair.life(3, 1).replica)
        pair.handle(.configured(pair.configuration))
        pair.effects = []
        pair.acknowledge(as: Pair.life(3, 1), LogPosition(rawValue: 1))
        let appends = pair.effects.compactMap { effect -> Append? in
            guard case .send(.append(let append), NodeID(rawValue: 3)) = effect else { return nil }
            return append
        }
        let append = try #require(appends.last)
        #expect(append.previous.position.rawValue == 1 || append.records.isEmpty)
        #expect(
            pair.effects.contains { if case .readLog = $0 { true } else { false } } || !append.records.isEmpty
        )
    }

    /// Nobody who left the set in this epoch can own the next one.
    @Test func aReadDoesNotWaitForAMemberThatWasRemoved() throws {
        var pair = Pair()
        pair.configuration.revision = 2
        pair.configuration.inSync.append(Pair.life(2, 1).replica)
        pair.configuration.learners = []
        pair.handle(.configured(pair.configuration))
        pair.effects = []
        pair.handle(.confirmRead(9))
        #expect(!pair.effects.contains(.readConfirmed(9)))
        pair.configuration.revision = 3
        pair.configuration.inSync.removeLast()
        pair.handle(.configured(pair.configuration))
        #expect(pair.effects.contains(.readConfirmed(9)))
    }

    /// Else a partition that nobody writes to could not be read for as long as its follower is away.
    @Test func aMemberThatConfirmsNoReadIsDroppedLikeOneThatAcknowledgesNothing() throws {
        var pair = Pair()
        pair.configuration.revision = 2
        pair.configuration.inSync.append(Pair.life(2, 1).replica)
        pair.configuration.learners = []
        pair.handle(.configured(pair.configuration))
        pair.acknowledge(as: Pair.life(2, 1), pair.end.position)
        #expect(pair.requests(after: 20_000).isEmpty, "nothing waits for it")
        pair.handle(.confirmRead(9))
        #expect(pair.requests(after: 1_000).isEmpty, "it may still answer")
        let request = try #require(pair.requests(after: 20_000).first)
        #expect(request.change == .drop(Pair.life(2, 1).replica))
        #expect(!pair.effects.contains(.readConfirmed(9)), "R2: it counts until its removal is confirmed")
    }

    /// Its node is gone for good, and nothing else would end the read.
    @Test func aReadDoesNotWaitForAnAdditionThatWasRefused() throws {
        var pair = Pair()
        pair.acknowledge(as: Pair.life(2, 1), pair.end.position)
        let request = try #require(pair.requests(after: 2_000).first)
        pair.handle(.confirmRead(9))
        #expect(!pair.effects.contains(.readConfirmed(9)), "R3: it may have been added by now")
        pair.handle(.changeRefused(request))
        #expect(pair.effects.contains(.readConfirmed(9)))
    }
}

extension ReplicaEffect {
    var ticket: UInt64? { if case .persist(let ticket, _) = self { ticket } else { nil } }
}
