import Foundation
import Identifiers
import Testing
import TimeAndChance

@testable import ConsensusCore
@testable import ConsensusStore

/// A process or a machine may stop at any moment: what was answered is there, and a write is there as a whole
/// or not at all.
@Suite struct CrashTests {
    private let scratch = Scratch()

    /// Lets the first voter of a random group live, and shows each of its writes with the states before and
    /// after; `before` and `after` are directories as a crash would leave them.
    private func live(
        _ count: Int, seed: UInt64, logBytesMax: Int,
        _ visit: (_ old: Raft.PersistentState, _ new: Raft.PersistentState) throws -> Void
    ) throws {
        var group = try Group(seed: seed)
        let store = try ConsensusStore.open(
            directory: scratch.sub("live"), replica: group.members[0], creating: group.disks[0],
            limits: ConsensusStore.Limits(logBytesMax: logBytesMax)
        ).store
        var disk = group.disks[0]
        var written = 0
        while written < count {
            for (number, write) in group.step() where number == 0 {
                scratch.copy("live", to: "before")
                let old = disk
                disk.apply(write)
                try store.apply(write)
                scratch.copy("live", to: "after")
                try visit(old, disk)
                written += 1
            }
        }
    }

    @Test func `At the moment of the answer the write is in the files (R14)`() throws {
        try live(150, seed: 11, logBytesMax: 60_000) { _, new in
            try #require(try contents(scratch.copy("after", to: "crash")) == new)
        }
    }

    @Test func `Between the commit and its witness the write is there`() throws {
        try live(60, seed: 12, logBytesMax: 60_000) { _, new in
            scratch.copy("after", to: "crash")
            scratch.write(scratch.bytes("before/witness"), to: "crash/witness")
            try #require(try contents(scratch.sub("crash")) == new)
            // From now on the witness says so too.
            try #require(scratch.bytes("crash/witness") == scratch.bytes("after/witness"))
        }
    }

    @Test func `A log torn in its last transaction gives the state before it, or the one after`() throws {
        var random = SplitMix64(seed: 3)
        var (old, new) = (0, 0)
        try live(40, seed: 13, logBytesMax: 1 << 30) { before, after in
            let log = scratch.bytes("after/control.db-wal")
            // After the first write there was no log before.
            let had = scratch.has("before/control.db-wal") ? scratch.bytes("before/control.db-wal").count : 0
            let sound = min(had, log.count)
            for place in (0..<4).map({ _ in Int.random(in: sound...log.count, using: &random) }) + [log.count]
            {
                scratch.copy("before", to: "crash")
                // The length of the file may have reached the disk before its contents.
                let tail = [UInt8](repeating: 0, count: place % 2 == 0 ? 0 : log.count - place)
                scratch.write(log[..<place] + tail, to: "crash/control.db-wal")
                let state = try contents(scratch.sub("crash"))
                try #require(state == before || state == after)
                if state == after { new += 1 } else { old += 1 }
                // It goes on from there.
                let store = try ConsensusStore.open(
                    directory: scratch.sub("crash"), replica: one
                ).store
                var (write, next) = (Raft.Write(number: 1), state)
                write.hardState = Raft.HardState(term: state.hardState.term + 1)
                next.apply(write)
                try store.apply(write)
                try #require(try contents(scratch.copy("crash", to: "again")) == next)
            }
        }
        #expect(old > 20 && new > 20, "\(old) before, \(new) after")
    }

    @Test func `A checkpoint may stop at any page`() throws {
        var random = SplitMix64(seed: 4)
        var checkpoints = 0
        try live(200, seed: 14, logBytesMax: 60_000) { _, new in
            let (old, current) = (scratch.bytes("before/control.db"), scratch.bytes("after/control.db"))
            guard old != current else { return }
            checkpoints += 1
            for _ in 0..<5 {
                scratch.copy("after", to: "crash")
                var mixed = current
                if Bool.random(using: &random) { mixed.removeLast(max(0, current.count - old.count)) }
                for page in 0..<old.count / 4_096 where Bool.random(using: &random) {
                    let range = page * 4_096..<(page + 1) * 4_096
                    if range.upperBound <= mixed.count { mixed.replaceSubrange(range, with: old[range]) }
                }
                scratch.write(mixed, to: "crash/control.db")
                try #require(try contents(scratch.sub("crash")) == new)
            }
        }
        #expect(checkpoints > 3)
    }

    @Test func `A crash while the files are made leaves nothing, or all of them`() throws {
        _ = try ConsensusStore.open(directory: scratch.sub("data"), replica: one, creating: founding)
        for missing in [["control.db", "witness", "control.db-wal"], ["control.db", "control.db-wal"]] {
            scratch.copy("data", to: "crash")
            scratch.write([1, 2, 3], to: "crash/control.db.new")
            for file in missing where scratch.has("crash/\(file)") { scratch.remove("crash/\(file)") }
            #expect(throws: ConsensusStoreError.self) { try contents(scratch.sub("crash")) }
            let state = try ConsensusStore.open(
                directory: scratch.sub("crash"), replica: one, creating: founding
            ).state
            #expect(state == founding)
            #expect(try contents(scratch.sub("crash")) == founding)
        }
    }

    @Test func `A full disk stops the store for good, and a restart finds what was answered (R14, D20)`()
        throws
    {
        let limits = ConsensusStore.Limits(pagesMax: 40)
        let store = try ConsensusStore.open(
            directory: scratch.sub("data"), replica: one, creating: founding, limits: limits
        ).store
        var disk = founding
        var failure: ConsensusStoreError?
        while failure == nil {
            var write = Raft.Write(number: 1)
            let index = disk.snapshot.position.index + UInt64(disk.entries.count) + 1
            let payload = Raft.Entry.Payload.command([UInt8](repeating: 7, count: 5_000))
            write.entries = [Raft.Entry(position: Raft.Position(term: 1, index: index), payload: payload)]
            do throws(ConsensusStoreError) {
                try store.apply(write)
                disk.apply(write)
            } catch {
                failure = error
            }
        }
        #expect(failure == .full(path: scratch.sub("data/control.db")))
        #expect(disk.entries.count > 10)
        // There would be room for this.
        var small = Raft.Write(number: 1)
        small.removeFrom = 2
        #expect(throws: try #require(failure)) { try store.apply(small) }
        scratch.copy("data", to: "crash")
        #expect(try contents(scratch.sub("crash")) == disk)
        let again = try ConsensusStore.open(directory: scratch.sub("crash"), replica: one, limits: limits)
        try again.store.apply(small)
        disk.apply(small)
        #expect(try contents(scratch.copy("crash", to: "last")) == disk)
    }
}
