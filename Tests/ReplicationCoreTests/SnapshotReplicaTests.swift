import Identifiers
import ReplicationCore
import Testing

/// What a replica does while a snapshot takes the place of its log.
@Suite struct SnapshotReplicaTests {
    private static func life(_ node: UInt64) -> NodeLife {
        NodeLife(
            node: NodeID(rawValue: node), incarnation: Incarnation(rawValue: 1),
            store: StoreID(high: 7, low: node))
    }

    private static let epoch = Epoch(rawValue: 1)
    private static let starts = [EpochStart(epoch: epoch, first: LogPosition(rawValue: 1))]

    private static func mark(_ position: UInt64) -> LogMark {
        LogMark(position: LogPosition(rawValue: position), epoch: epoch, hash: position * 100)
    }

    private static func append(after position: UInt64, count: UInt64, committed: UInt64 = 0) -> ReplicaEvent {
        let records = (position..<position + count).map {
            LogRecord(mark: mark($0 + 1), previousHash: mark($0).hash, bytes: [1])
        }
        let append = Append(
            epoch: epoch, probe: 0, previous: position == 0 ? .origin : mark(position),
            committed: LogPosition(rawValue: committed), records: records)
        return .received(.append(append), from: life(1))
    }

    /// A follower on node 2 with three records, of which one is committed.
    private func follower() -> Replica {
        var replica = Replica(
            partition: PartitionID(0), me: Self.life(2), log: LogTail(base: .origin, epochs: []),
            promised: Epoch(rawValue: 0), committed: .zero)
        let configuration = PartitionConfiguration(
            epoch: Self.epoch, revision: 1, owner: Self.life(1), inSync: [Self.life(1).replica],
            learners: [Self.life(2).replica])
        _ = replica.handle(.configured(configuration), now: 1)
        _ = replica.handle(Self.append(after: 0, count: 3, committed: 1), now: 1)
        _ = replica.handle(.persisted(ticket: 9), now: 1)
        return replica
    }

    private func isWritten(_ effects: [ReplicaEffect]) -> Bool {
        effects.contains { if case .persist = $0 { true } else { false } }
    }

    private func acknowledged(_ effects: [ReplicaEffect]) -> [LogPosition] {
        effects.compactMap { effect in
            if case .send(.acknowledged(_, let position), _) = effect { position } else { nil }
        }
    }

    @Test func `Records that come while a snapshot is put in place are lost, and wanted again after it (R6)`()
    {
        var replica = follower()
        let ready = replica.handle(.snapshotReady(Self.mark(10), epoch: Self.epoch), now: 1)
        #expect(ready == [.installSnapshot(Self.mark(10))])
        // They continue the log that is about to be replaced.
        let meanwhile = replica.handle(Self.append(after: 3, count: 2), now: 1)
        #expect(meanwhile.isEmpty)
        #expect(replica.log.end == Self.mark(3))
        let installed = replica.handle(
            .snapshotInstalled(Self.mark(10), epochs: Self.starts, epoch: Self.epoch), now: 1)
        #expect(acknowledged(installed).map(\.rawValue) == [10])
        #expect(installed.contains(.committed(LogPosition(rawValue: 10))))
        let next = replica.handle(Self.append(after: 10, count: 1), now: 1)
        #expect(isWritten(next))
        #expect(replica.log.end == Self.mark(11))
    }

    @Test func `A snapshot that was not put in place leaves the log as it was`() {
        var replica = follower()
        _ = replica.handle(.snapshotReady(Self.mark(10), epoch: Self.epoch), now: 1)
        #expect(replica.handle(.snapshotFailed, now: 1).isEmpty)
        #expect(isWritten(replica.handle(Self.append(after: 3, count: 2), now: 1)))
        #expect(replica.log.end == Self.mark(5))
    }

    @Test func `A snapshot that the log has caught up with, or of another epoch, is not put in place`() {
        var replica = follower()
        for (mark, epoch) in [(Self.mark(3), Self.epoch), (Self.mark(10), Epoch(rawValue: 2))] {
            #expect(replica.handle(.snapshotReady(mark, epoch: epoch), now: 1) == [.discardSnapshot])
            #expect(!replica.isInstalling)
        }
        #expect(isWritten(replica.handle(Self.append(after: 3, count: 2), now: 1)))
    }

    @Test func `A damaged replica takes an older snapshot, and goes on from there`() {
        var replica = follower()
        _ = replica.handle(Self.append(after: 3, count: 0, committed: 3), now: 1)
        var previous = Self.mark(3)
        previous.hash = 8
        let contradiction = Append(
            epoch: Self.epoch, probe: 0, previous: previous, committed: .zero, records: [])
        _ = replica.handle(.received(.append(contradiction), from: Self.life(1)), now: 1)
        #expect(replica.isDamaged)
        #expect(replica.handle(.snapshotReady(Self.mark(2), epoch: Self.epoch), now: 1).count == 1)
        let installed = replica.handle(
            .snapshotInstalled(Self.mark(2), epochs: Self.starts, epoch: Self.epoch), now: 1)
        #expect(installed.contains(.committed(LogPosition(rawValue: 2))))
        #expect(!replica.isDamaged)
        let next = replica.handle(Self.append(after: 2, count: 2, committed: 4), now: 1)
        #expect(isWritten(next))
        #expect(next.contains(.committed(LogPosition(rawValue: 4))))
    }

    private func grant(_ epoch: UInt64) -> ReplicaEvent {
        .configured(
            PartitionConfiguration(
                epoch: Epoch(rawValue: epoch), revision: epoch, owner: Self.life(2),
                inSync: [Self.life(2).replica]))
    }

    private func led(_ effects: [ReplicaEffect]) -> LogMark? {
        effects.lazy.compactMap { if case .lead(_, let mark) = $0 { mark } else { nil } }.first
    }

    @Test func `A forced grant that comes while a snapshot is put in place begins behind the snapshot`() {
        var replica = follower()
        _ = replica.handle(.snapshotReady(Self.mark(10), epoch: Self.epoch), now: 1)
        let granted =
            replica.handle(grant(2), now: 1) + replica.handle(.persisted(ticket: .max), now: 1)
        #expect(led(granted) == nil, "its log is about to be replaced")
        let installed =
            replica.handle(
                .snapshotInstalled(Self.mark(10), epochs: Self.starts, epoch: Self.epoch), now: 1)
            + replica.handle(.persisted(ticket: .max), now: 1)
        #expect(led(installed) == Self.mark(10))
        #expect(replica.log.end == Self.mark(10))
    }

    @Test func `A forced grant begins behind the old log if the snapshot is not put in place`() {
        var replica = follower()
        _ = replica.handle(.snapshotReady(Self.mark(10), epoch: Self.epoch), now: 1)
        _ = replica.handle(grant(2), now: 1)
        let failed =
            replica.handle(.snapshotFailed, now: 1) + replica.handle(.persisted(ticket: .max), now: 1)
        #expect(led(failed) == Self.mark(3))
    }

    @Test func `R13: a replica that contradicts another copy begins no epoch, and says so`() {
        var replica = follower()
        _ = replica.handle(Self.append(after: 3, count: 0, committed: 3), now: 1)
        var previous = Self.mark(3)
        previous.hash = 8
        let contradiction = Append(
            epoch: Self.epoch, probe: 0, previous: previous, committed: .zero, records: [])
        _ = replica.handle(.received(.append(contradiction), from: Self.life(1)), now: 1)
        let granted =
            replica.handle(grant(2), now: 1) + replica.handle(.persisted(ticket: .max), now: 1)
        #expect(led(granted) == nil && replica.owner == nil)
        #expect(granted.contains { if case .damaged = $0 { true } else { false } })
    }
}
