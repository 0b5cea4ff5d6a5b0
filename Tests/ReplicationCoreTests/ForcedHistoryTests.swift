import Identifiers
import ReplicationCore
import Testing

/// After a promotion that an operator forced, the log goes on from a copy that lacked committed records, and
/// other copies come back with a longer one of which they hold only the end in memory.
@Suite("Copies that come back after a forced promotion") struct ForcedHistoryTests {
    private static func mark(_ position: UInt64, _ epoch: UInt64) -> LogMark {
        LogMark(
            position: LogPosition(rawValue: position), epoch: Epoch(rawValue: epoch),
            hash: position * 100 + epoch)
    }

    private static func life(_ node: UInt64) -> NodeLife { AdditionTests.Pair.life(node, 1) }

    /// Node 2, which has applied 80 records of epoch 1 and let go of them, and is a learner of node 1 in
    /// epoch 2, which began after record 50.
    private func learner(lettingGoThrough base: UInt64 = 80) -> Replica {
        let start = EpochStart(epoch: Epoch(rawValue: 1), first: LogPosition(rawValue: 1))
        var replica = Replica(
            partition: PartitionID(0), me: Self.life(2),
            log: LogTail(base: Self.mark(base, 1), epochs: [start]), promised: Epoch(rawValue: 1),
            committed: LogPosition(rawValue: base))
        let configuration = PartitionConfiguration(
            epoch: Epoch(rawValue: 2), revision: 1, owner: Self.life(1), inSync: [Self.life(1).replica],
            learners: [Self.life(2).replica])
        _ = replica.handle(.configured(configuration), now: 1)
        _ = replica.handle(.persisted(ticket: .max), now: 1)
        return replica
    }

    private func append(after previous: LogMark, through last: UInt64) -> ReplicaEvent {
        var records: [LogRecord] = []
        var before = previous
        while before.position.rawValue < last {
            let mark = Self.mark(before.position.rawValue + 1, 2)
            records.append(LogRecord(mark: mark, previousHash: before.hash, bytes: [1]))
            before = mark
        }
        let append = Append(
            epoch: Epoch(rawValue: 2), probe: 0, previous: previous, committed: .zero, records: records)
        return .received(.append(append), from: Self.life(1))
    }

    private func answers(_ effects: [ReplicaEffect]) -> [ReplicaMessage] {
        effects.compactMap { if case .send(let message, _) = $0 { message } else { nil } }
    }

    private static let contradicted = [ReplicaMessage.damaged(epoch: Epoch(rawValue: 2))]

    @Test("It acknowledges no place that it has only in another history, and asks for a snapshot")
    func place() {
        var learner = learner()
        #expect(answers(learner.handle(append(after: Self.mark(60, 2), through: 60), now: 1)).isEmpty)
        #expect(learner.isDamaged)
        let again = learner.handle(append(after: Self.mark(60, 2), through: 60), now: 1)
        #expect(answers(again) == Self.contradicted)
    }

    @Test("It does not pass over records of which it has others in their place", arguments: [51, 80, 81])
    func records(_ last: UInt64) {
        var learner = learner()
        #expect(answers(learner.handle(append(after: Self.mark(50, 1), through: last), now: 1)).isEmpty)
        #expect(learner.isDamaged)
        let again = learner.handle(append(after: Self.mark(50, 1), through: last), now: 1)
        #expect(answers(again) == Self.contradicted)
    }

    @Test("What it has let go of in the same epoch is acknowledged, as ever")
    func same() {
        var learner = learner(lettingGoThrough: 50)
        let known = learner.handle(append(after: Self.mark(40, 1), through: 40), now: 1)
        #expect(
            answers(known) == [.acknowledged(epoch: Epoch(rawValue: 2), position: LogPosition(rawValue: 40))])
        let next = learner.handle(append(after: Self.mark(50, 1), through: 52), now: 1)
        #expect(next.contains { if case .persist(_, .append) = $0 { true } else { false } })
        #expect(!learner.isDamaged)
    }
}
