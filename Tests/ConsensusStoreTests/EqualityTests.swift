import Identifiers
import Testing
import TimeAndChance

@testable import ConsensusCore
@testable import ConsensusStore

/// The tables mean what `Raft.PersistentState.apply` says.
@Suite struct EqualityTests {
    @Test
    func `After every write of a random group, and any number of restarts, the state is the same (R14)`()
        throws
    {
        var seen: Group.Kinds = []
        for seed in 1...4 as ClosedRange<UInt64> { seen.formUnion(try live(seed: seed)) }
        #expect(seen == .all)
    }

    private func live(seed: UInt64) throws -> Group.Kinds {
        let scratch = Scratch()
        var group = try Group(seed: seed)
        let limits = ConsensusStore.Limits(logBytesMax: 100_000)
        var stores: [ConsensusStore?] = try group.members.indices.map { number in
            try ConsensusStore.open(
                directory: scratch.sub("\(number)"), replica: group.members[number],
                creating: group.disks[number], limits: limits
            ).store
        }
        for _ in 0..<5_000 {
            for (number, write) in group.step() { try stores[number]?.apply(write) }
            guard Int.random(in: 0..<100, using: &group.random) == 0 else { continue }
            let number = Int.random(in: stores.indices, using: &group.random)
            stores[number] = nil
            let (store, state) = try ConsensusStore.open(
                directory: scratch.sub("\(number)"), replica: group.members[number], limits: limits)
            try #require(state == group.disks[number])
            stores[number] = store
            try group.restart(number)
        }
        stores.removeAll()
        for (number, disk) in group.disks.enumerated() {
            #expect(try contents(scratch.sub("\(number)"), group.members[number]) == disk)
        }
        return group.seen
    }

    @Test func `A snapshot of many chunks is replaced as a whole`() throws {
        let scratch = Scratch()
        var disk = founding
        let store = try ConsensusStore.open(
            directory: scratch.sub("data"), replica: one, creating: founding
        ).store
        for length in [3_500_000, 1 << 20, 2_100_000, 0] {
            var write = Raft.Write(number: 1)
            write.snapshot = Raft.Snapshot(
                position: Raft.Position(term: 1, index: disk.snapshot.position.index + 1),
                configuration: founding.snapshot.configuration,
                state: (0..<length).map { UInt8(truncatingIfNeeded: $0 >> 8 ^ $0) })
            disk.apply(write)
            try store.apply(write)
            #expect(try contents(scratch.copy("data", to: "crash")) == disk)
        }
    }

    @Test func `A write that leaves a gap or a double entry is refused, and everything after it (R14)`()
        throws
    {
        let entry = { Raft.Entry(position: Raft.Position(term: 1, index: $0), payload: .noop) }
        for wrong in [[entry(4)], [entry(2)], [entry(0)], [entry(3), entry(5)]] {
            let scratch = Scratch()
            let store = try ConsensusStore.open(
                directory: scratch.sub("data"), replica: one, creating: founding
            ).store
            var write = Raft.Write(number: 1)
            write.entries = [entry(2)]
            try store.apply(write)
            var disk = founding
            disk.apply(write)
            write.entries = wrong
            let refusal = try #require(
                #expect(throws: ConsensusStoreError.self) { try store.apply(write) })
            write.entries = [entry(3)]
            #expect(throws: refusal) { try store.apply(write) }
            #expect(try contents(scratch.copy("data", to: "crash")) == disk)
        }
    }
}
