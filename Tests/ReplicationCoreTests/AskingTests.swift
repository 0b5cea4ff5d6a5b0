import ByteCoding
import Identifiers
import ReplicationCore
import Testing

/// R20: a process that has only its disk's word for its log asks the other members before it begins.
@Suite("Owners that ask before they begin") struct AskingTests {
    /// Node 1, which was started with a log of one record, and was granted epoch 2 with nodes 2 and 3.
    private struct Owner {
        var replica: Replica
        var now: UInt64 = 1_000_000
        var effects: [ReplicaEffect] = []
        var configuration = PartitionConfiguration(
            epoch: Epoch(rawValue: 2), revision: 7, owner: life(1),
            inSync: [1, 2, 3].map { life($0).replica })

        static func life(_ node: UInt64, _ incarnation: UInt32 = 1) -> NodeLife {
            AdditionTests.Pair.life(node, incarnation)
        }

        init(rules: ReplicationRules = .all) {
            let start = EpochStart(epoch: Epoch(rawValue: 1), first: LogPosition(rawValue: 1))
            let mark = LogMark(position: LogPosition(rawValue: 1), epoch: Epoch(rawValue: 1), hash: 9)
            replica = Replica(
                partition: PartitionID(0), me: Self.life(1), log: LogTail(base: mark, epochs: [start]),
                promised: Epoch(rawValue: 1), committed: LogPosition(rawValue: 1))
            replica.rules = rules
        }

        mutating func handle(_ event: ReplicaEvent) {
            var new = replica.handle(event, now: now) + replica.handle(.flush, now: now)
            effects += new
            while let ticket = new.compactMap(\.ticket).last {
                new = replica.handle(.persisted(ticket: ticket), now: now) + replica.handle(.flush, now: now)
                effects += new
            }
        }

        /// The node's log ends there, and its last record is of that epoch.
        mutating func answer(_ life: NodeLife, epoch: UInt64, position: UInt64) {
            let start = EpochStart(epoch: Epoch(rawValue: epoch), first: LogPosition(rawValue: position))
            handle(
                .received(
                    .mismatch(
                        epoch: configuration.epoch, probe: 1 << 62, end: LogPosition(rawValue: position),
                        epochs: position == 0 ? [] : [start]), from: life))
        }

        mutating func pass(_ micros: UInt64) {
            now += micros
            handle(.tick)
        }

        var asked: [UInt64] {
            effects.compactMap { effect in
                if case .send(.append(let append), let node) = effect, append.records.isEmpty {
                    node.rawValue
                } else {
                    nil
                }
            }
        }

        var hasLed: Bool {
            effects.contains { if case .lead = $0 { true } else { false } }
        }

        var handedTo: [NodeLife] {
            effects.compactMap { if case .handOver(let life, 7) = $0 { life } else { nil } }
        }

        var dropped: [ReplicaID] {
            effects.compactMap { effect in
                if case .propose(let request) = effect, case .drop(let replica) = request.change {
                    replica
                } else {
                    nil
                }
            }
        }
    }

    @Test("It begins when every other member has said that it has no more")
    func begins() {
        var owner = Owner()
        owner.handle(.configured(owner.configuration))
        #expect(owner.asked == [2, 3] && !owner.hasLed)
        owner.answer(Owner.life(2), epoch: 1, position: 1)
        #expect(!owner.hasLed)
        owner.answer(Owner.life(3), epoch: 0, position: 0)
        #expect(owner.hasLed && owner.handedTo.isEmpty)
    }

    @Test(
        "It hands over to whoever has more, again until the control plane decides, and never begins"
    )
    func handsOver() {
        var owner = Owner()
        owner.handle(.configured(owner.configuration))
        owner.answer(Owner.life(2), epoch: 1, position: 1)
        owner.answer(Owner.life(3), epoch: 1, position: 2)
        #expect(owner.handedTo == [Owner.life(3)])
        for _ in 0..<100 { owner.pass(1_000_000) }
        #expect(owner.handedTo.count > 10 && !owner.hasLed && owner.dropped.isEmpty)
        // A later epoch counts more than a longer log.
        var other = Owner()
        other.handle(.configured(other.configuration))
        other.answer(Owner.life(2), epoch: 2, position: 1)
        #expect(other.handedTo == [Owner.life(2)])
    }

    @Test("It asks again, asks a new process anew, and does without the silent only after a long time")
    func silence() {
        var owner = Owner()
        owner.handle(.configured(owner.configuration))
        owner.answer(Owner.life(2), epoch: 1, position: 1)
        owner.pass(1_000_000)
        #expect(owner.asked == [2, 3, 3])
        owner.handle(.linkChanged(Owner.life(2).node))
        #expect(owner.asked == [2, 3, 3, 2, 3])
        owner.answer(Owner.life(2, 2), epoch: 1, position: 1)
        for _ in 0..<18 { owner.pass(1_000_000) }
        #expect(owner.dropped.isEmpty)
        for _ in 0..<3 { owner.pass(1_000_000) }
        #expect(owner.dropped.first == Owner.life(3).replica && !owner.hasLed)
        owner.configuration.inSync.removeLast()
        owner.configuration.revision += 1
        owner.handle(.configured(owner.configuration))
        #expect(owner.hasLed)
    }

    @Test("A member that is held to be down is waited for, one whose disk was replaced is not")
    func gone() {
        var owner = Owner()
        owner.configuration.leaving = [Owner.life(2).replica, Owner.life(3).replica]
        owner.handle(.configured(owner.configuration))
        owner.pass(2_000_000)
        #expect(owner.dropped.isEmpty)
        owner.configuration.replaced = [Owner.life(3).replica]
        owner.handle(.configured(owner.configuration))
        #expect(owner.dropped == [Owner.life(3).replica])
    }

    @Test("Without the rule it begins at once")
    func without() {
        var owner = Owner(rules: .all.subtracting(.asksBeforeItBegins))
        owner.handle(.configured(owner.configuration))
        #expect(owner.hasLed)
    }

    /// A follower is asked like with any append whose predecessor it lacks.
    @Test("Whoever is asked takes part in the epoch first, and says where its log ends")
    func answers() {
        var owner = Owner()
        owner.handle(.configured(owner.configuration))
        let question = owner.effects.compactMap { effect in
            if case .send(.append(let append), _) = effect { append } else { nil }
        }
        var follower = Owner()
        follower.configuration.owner = nil
        follower.configuration.epoch = Epoch(rawValue: 1)
        follower.handle(.configured(follower.configuration))
        follower.effects = []
        follower.handle(.received(.append(question[0]), from: Owner.life(2)))
        #expect(
            follower.effects.first.map { if case .persist(_, .adopt) = $0 { true } else { false } } == true)
        let answers = follower.effects.compactMap { effect in
            if case .send(.mismatch(_, _, let end, let epochs), _) = effect { (end, epochs) } else { nil }
        }
        #expect(answers.count == 1)
        #expect(answers.first?.0 == LogPosition(rawValue: 1))
        #expect(answers.first?.1.last?.epoch == Epoch(rawValue: 1))
    }
}
