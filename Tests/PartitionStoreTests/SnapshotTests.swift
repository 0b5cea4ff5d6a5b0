import ByteCoding
import Dispatch
import DurableFiles
import Foundation
import Identifiers
import ReplicationCore
import Synchronization
import Testing

@testable import PartitionStore

/// Tables that go from an owner to a replica (`cluster.md` 2.6.6, D21, D22).
@Suite struct SnapshotTests {
    private let scratch = Scratch()

    private func open(_ name: String) throws -> TestReplica {
        try TestReplica(.snapshots(scratch.sub(name)))
    }

    /// Brings a snapshot of the owner to the replica.
    private func transfer(
        _ owner: TestReplica, _ replica: TestReplica, isDamaged: Bool = false
    ) throws -> SnapshotHeader {
        let reader = try owner.export()
        let writer = try replica.store.importSnapshot(reader.header, replacingDamaged: isDamaged)
        try writer.write(try reader.chunks())
        try writer.install()
        return reader.header
    }

    @Test func `A snapshot is the state at its mark, whatever is written meanwhile (D22)`() throws {
        let owner = try open("owner")
        owner.fill(40)
        owner.log.epoch = 2
        owner.fill(20)
        let mark = owner.mark
        let reader = try owner.export()
        #expect(reader.header.mark == mark)
        #expect(reader.header.epochs.map(\.epoch.rawValue) == [1, 2])
        var chunks = [try reader.chunk(0)]
        for index in 1..<reader.header.chunkCount {
            // Every record goes into the tables at once, and above the limit for their log.
            owner.fill(5, bytes: 40_000)
            chunks.append(try reader.chunk(index))
        }
        #expect(chunks.count > 5)
        for chunk in chunks { #expect(try reader.chunk(chunk.index) == chunk, "it can be read again") }
        let replica = try open("replica")
        let writer = try replica.store.importSnapshot(reader.header)
        try writer.write(chunks)
        #expect(replica.store.appliedPosition(of: replica.partition) == .zero)
        try writer.install()
        #expect(try replica.hasTables(of: owner, through: mark.position))
        reader.end()
        #expect(throws: SnapshotError.ended) { try reader.chunk(0) }
        try owner.store.close()
        try replica.store.close()
    }

    @Test(arguments: [0, 7])
    func `The log goes on after the mark, with its hash chain, also after a restart (D22)`(
        known: Int
    ) throws {
        let owner = try open("owner")
        let replica = try open("replica")
        if known > 0 {
            owner.fill(known)
            replica.follow(owner)
            let records = try owner.log(after: .zero)
            replica.append(records)
            // Something that was never committed, and is not in the owner's log.
            var fork = owner.log
            replica.replica.append([
                (replica.partition, .append([fork.create("x"), fork.create("y")].map(\.logRecord)))
            ])
        }
        owner.fill(50)
        let header = try transfer(owner, replica)
        #expect(header.mark == owner.mark)
        replica.follow(owner)
        let gone = try replica.log(after: LogPosition(rawValue: UInt64(known)))
        #expect(gone.isEmpty, "the old log is dead")
        owner.fill(3)
        replica.append(try owner.log(after: header.mark.position))
        #expect(try replica.hasTables(of: owner, through: owner.mark.position))
        #expect(try replica.log(after: header.mark.position).last?.mark == owner.mark)
        try replica.store.close()
        let again = try PartitionStore.open(.snapshots(scratch.sub("replica")))
        let found = again.recoveredLog(of: replica.partition)
        #expect(found.tail.base.position >= header.mark.position)
        #expect(found.tail.end == owner.mark)
        #expect(found.tail.mark(at: found.tail.base.position)?.epoch == header.mark.epoch)
        #expect(found.tail.epochs == header.epochs)
        #expect(found.promised == header.mark.epoch)
        #expect(found.applied == owner.mark.position)
        #expect(again.logEnd(of: replica.partition) == owner.log.end)
        try again.close()
        try owner.store.close()
    }

    @Test func `A restart right after a snapshot finds its mark, its epochs and nothing before`() throws {
        let owner = try open("owner")
        for epoch in [1, 4, 9] as [UInt64] {
            owner.log.epoch = epoch
            owner.fill(4)
        }
        let replica = try open("replica")
        let header = try transfer(owner, replica)
        #expect(header.epochs.map(\.first.rawValue) == [1, 5, 9])
        try replica.store.close()
        let again = try PartitionStore.open(.snapshots(scratch.sub("replica")))
        let found = again.recoveredLog(of: replica.partition)
        #expect(found.tail.base == header.mark)
        #expect(found.tail.end == header.mark)
        #expect(found.tail.epochs == header.epochs)
        #expect(found.promised.rawValue == 9)
        #expect(found.applied == header.mark.position)
        #expect(again.logEnd(of: replica.partition) == owner.log.end)
        try again.close()
        try owner.store.close()
    }

    @Test func `A damaged replica takes an older snapshot, and only a damaged one`() throws {
        let owner = try open("owner")
        owner.fill(10)
        let reader = try owner.export()
        let damaged = try open("damaged")
        damaged.log.epoch = 1
        damaged.fill(30, bytes: 500)
        #expect(throws: SnapshotError.older(than: LogPosition(rawValue: 30))) {
            try damaged.store.importSnapshot(reader.header)
        }
        let writer = try damaged.store.importSnapshot(reader.header, replacingDamaged: true)
        try writer.write(try reader.chunks())
        try writer.install()
        #expect(try damaged.hasTables(of: owner, through: LogPosition(rawValue: 10)))
        damaged.follow(owner)
        owner.fill(2)
        // What was called committed before says nothing about the new log.
        damaged.replica.append([
            (damaged.partition, .append(try owner.log(after: reader.header.mark.position)))
        ])
        damaged.replica.waitUntilDurable()
        damaged.store.requestApply([damaged.partition])
        try damaged.store.close()
        let again = try PartitionStore.open(.snapshots(scratch.sub("damaged")))
        #expect(again.appliedPosition(of: damaged.partition).rawValue == 10)
        #expect(again.recoveredLog(of: damaged.partition).tail.end == owner.mark)
        again.commit([DurableMark(partition: damaged.partition, position: owner.mark.position)])
        try again.close()
        let last = try PartitionStore.open(.snapshots(scratch.sub("damaged")))
        #expect(try last.hasTables(owner.states, in: owner.partition, through: owner.mark.position))
        try last.close()
        try owner.store.close()
    }

    @Test func `A snapshot of nothing brings a damaged replica back to the log's beginning`() throws {
        let owner = try open("owner")
        let damaged = try open("damaged")
        damaged.fill(3)
        let header = try transfer(owner, damaged, isDamaged: true)
        #expect(header.mark == .origin)
        damaged.follow(owner)
        owner.fill(2)
        damaged.append(try owner.log(after: .zero))
        #expect(try damaged.hasTables(of: owner, through: LogPosition(rawValue: 2)))
        try damaged.store.close()
        let again = try PartitionStore.open(.snapshots(scratch.sub("damaged")))
        #expect(again.logEnd(of: damaged.partition) == owner.log.end)
        try again.close()
        try owner.store.close()
    }

    @Test func `One snapshot of a partition comes in at a time, and one that has the tables is not taken`()
        throws
    {
        let owner = try open("owner")
        owner.fill(5)
        let reader = try owner.export()
        #expect(throws: SnapshotError.older(than: LogPosition(rawValue: 5))) {
            try owner.store.importSnapshot(reader.header)
        }
        let replica = try open("replica")
        let first = try replica.store.importSnapshot(reader.header)
        #expect(throws: SnapshotError.busy) { try replica.store.importSnapshot(reader.header) }
        _ = try first.write(try reader.chunk(0))
        first.cancel()
        // The cancellation is over when something that was asked for later is answered.
        let answer = Result { try first.write(try reader.chunk(1)) }
        #expect(throws: SnapshotError.ended) { try answer.get() }
        #expect(try DurableFile.names(in: scratch.sub("replica/incoming")).isEmpty)
        let header = try transfer(owner, replica)
        #expect(header.id != reader.header.id)
        #expect(try replica.hasTables(of: owner, through: header.mark.position))
        var newer = reader.header
        newer.tableFormat += 1
        #expect(throws: SnapshotError.newerFormat(found: newer.tableFormat, newest: newer.tableFormat - 1)) {
            try replica.store.importSnapshot(newer)
        }
        newer.partition = PartitionID(4)
        #expect(throws: SnapshotError.unknownPartition) { try replica.store.importSnapshot(newer) }
        try owner.store.close()
        try replica.store.close()
    }

    @Test func `A closed store answers, too`() throws {
        let owner = try open("owner")
        owner.fill(5)
        let reader = try owner.export()
        let replica = try open("replica")
        let whole = try replica.store.importSnapshot(reader.header)
        let chunks = try reader.chunks()
        try whole.write(chunks)
        try owner.store.close()
        try replica.store.close()
        #expect(throws: SnapshotError.store(.closed)) { try reader.chunk(0) }
        #expect(throws: SnapshotError.store(.closed)) { try owner.export() }
        #expect(throws: SnapshotError.store(.closed)) { try whole.install() }
        #expect(throws: SnapshotError.store(.closed)) { try replica.store.importSnapshot(reader.header) }
    }
}

/// How long the owner keeps what a replica will need, and what that may cost.
@Suite struct SnapshotLimitTests {
    private let scratch = Scratch()

    private var configuration: StoreConfiguration {
        var configuration = StoreConfiguration.snapshots(scratch.sub("owner"))
        configuration.journalBytesMax = 256 << 10
        configuration.journalLogBytesMax = 128 << 10
        configuration.stateLogBytesMax = 64 << 10
        return configuration
    }

    /// Appends until the journal could have been cut back several times.
    private func write(_ owner: TestReplica) { for _ in 0..<150 { owner.fill(1, bytes: 4_000) } }

    @Test func `What the log has behind a snapshot is kept until the replica is fed from it (D22)`() throws {
        let owner = try TestReplica(configuration)
        owner.fill(5)
        let mark = owner.mark
        let reader = try owner.export()
        let chunks = try reader.chunks()
        write(owner)
        #expect(try reader.chunks() == chunks)
        reader.end()
        write(owner)
        #expect(try owner.log(after: mark.position).count == 300)
        #expect(reader.journal.isHeld)
        reader.journal.release()
        #expect(!reader.journal.isHeld)
        write(owner)
        #expect(try owner.log(after: mark.position).isEmpty, "nobody needs it")
        try owner.store.close()
    }

    @Test func `A forgotten snapshot holds nothing`() throws {
        let owner = try TestReplica(configuration)
        owner.fill(5)
        let mark = owner.mark
        do {
            let reader = try owner.export()
            _ = try reader.chunk(0)
            #expect(owner.store.snapshots.pins.floors == [owner.partition: mark.position])
        }
        // The reader goes with the last answer, on the thread that gives it.
        owner.store.snapshots.queue.drain()
        #expect(owner.store.snapshots.pins.floors.isEmpty)
        write(owner)
        #expect(try owner.log(after: mark.position).isEmpty)
        try owner.store.close()
    }

    @Test func `A journal that grows too large breaks the snapshot, says so, and shrinks`() throws {
        var configuration = configuration
        configuration.pinnedJournalBytesMax = 128 << 10
        let owner = try TestReplica(configuration)
        owner.fill(5)
        let mark = owner.mark
        let reader = try owner.export()
        let pin = owner.store.pinJournal(of: owner.partition, after: mark.position)
        let other = owner.store.pinJournal(of: PartitionID(3), after: .zero)
        write(owner)
        write(owner)
        #expect(!reader.journal.isHeld)
        #expect(!pin.isHeld)
        #expect(other.isHeld, "it holds nothing that is in the way")
        #expect(throws: SnapshotError.outgrown) { try reader.chunk(0) }
        #expect(try owner.log(after: mark.position).isEmpty)
        try owner.store.close()
    }

    @Test func `A tables' log that grows too large breaks the snapshot, and is cut back`() throws {
        var configuration = configuration
        configuration.pinnedStateLogBytesMax = 256 << 10
        let owner = try TestReplica(configuration)
        owner.fill(5)
        let reader = try owner.export()
        _ = try reader.chunk(0)
        write(owner)
        #expect(throws: SnapshotError.outgrown) { try reader.chunk(0) }
        #expect(reader.journal.isHeld, "the log itself is there")
        let again = try owner.export()
        #expect(again.header.mark == owner.mark)
        _ = try again.chunks()
        try owner.store.close()
    }

    @Test func `Two replicas are sent one image, which is let go of with the second`() throws {
        let owner = try TestReplica(configuration)
        owner.fill(5)
        let first = try owner.export()
        owner.fill(5)
        let second = try owner.export()
        #expect(second.header.mark == first.header.mark)
        #expect(second.header.id != first.header.id)
        first.end()
        write(owner)
        #expect(try second.chunks().map(\.bytes) == second.chunks().map(\.bytes))
        second.end()
        #expect(throws: SnapshotError.ended) { try second.chunk(0) }
        owner.fill(1)
        #expect(try owner.export().header.mark == owner.mark)
        try owner.store.close()
    }

    @Test func `What a snapshot has replaced pins the journal no more, and the row that says so stays`()
        throws
    {
        var configuration = configuration
        let owner = try TestReplica(configuration)
        owner.fill(20)
        let reader = try owner.export()
        configuration.directory = scratch.sub("replica")
        let replica = try TestReplica(configuration)
        // Never committed, so it could not leave the journal before.
        var fork = replica.log
        let dead = (0..<40).map { _ in
            fork.turn(
                nil, .create(address("B", "x"), time: 1), .set(.state, [UInt8](repeating: 1, count: 4_000)))
        }
        replica.replica.append([(replica.partition, .append(dead.map(\.logRecord)))])
        let writer = try replica.store.importSnapshot(reader.header, replacingDamaged: true)
        try writer.write(try reader.chunks())
        try writer.install()
        replica.follow(owner)
        write(replica)
        scratch.copy("replica", to: "crash")
        configuration.directory = scratch.sub("crash")
        let again = try PartitionStore.open(configuration)
        let found = again.recoveredLog(of: replica.partition)
        #expect(found.tail.end == replica.mark)
        #expect(found.tail.base.position > reader.header.mark.position, "rows were deleted")
        #expect(found.tail.epochs == reader.header.epochs)
        try again.close()
        try replica.store.close()
        try owner.store.close()
    }

    @Test func `Before the tables are replaced, nothing counts as synced and nothing is applied`() throws {
        var configuration = configuration
        // Everything applied is synced at once.
        configuration.stateLogBytesMax = 0
        let replica = try TestReplica(configuration)
        replica.fill(3)
        let partition = replica.partition
        func synced() -> UInt64 { replica.store.applier.withSynced { $0(partition).rawValue } }
        #expect(synced() == 3)
        var log = LogMaker(1, end: replica.log.end)
        let next = log.create("next")
        let mark = LogMark(position: LogPosition(rawValue: 2), epoch: Epoch(rawValue: 1), hash: 7)
        let reset = LogReset(mark: mark, epochs: [], image: 1)
        let entry = JournalEntry.control(ControlEntry(partition: partition, kind: .reset(reset)))
        var queue = ApplyQueue(applied: [.zero, .zero], urgentBytes: 1)
        var other = LogMaker(
            1, end: LogEnd(epoch: Epoch(rawValue: 1), position: mark.position, hash: 7, time: 1))
        let third = other.create("third")
        let added = queue.add([.record(next), entry, .record(third)], marks: [])
        #expect(added.isUrgent)
        #expect(added.cutBytes == next.bytes.count)
        _ = queue.commit([third.mark])
        #expect(queue.take(1, recordsMax: 9).isEmpty)
        #expect(queue.reset(1) == reset)
        queue.endReset(1)
        #expect(queue.take(1, recordsMax: 9).map(\.hash) == [third.hash])
        try replica.store.close()
        // The thread has ended, so it stays as it is right after the commit.
        replica.store.applier.add([entry], marks: [])
        #expect(synced() == 0)
    }

    @Test func `A record that does not continue the snapshot's mark is damage (R13)`() throws {
        var log = LogMaker(0)
        let first = log.create("1")
        let mark = LogMark(position: LogPosition(rawValue: 5), epoch: Epoch(rawValue: 1), hash: 77)
        for hash in [77, 78] as [UInt64] {
            var next = LogMaker(
                0, end: LogEnd(epoch: mark.epoch, position: mark.position, hash: hash, time: 1))
            let (sixth, applied) = (next.create("6"), next.end)
            var verifier = ChainVerifier(applied: [applied])
            func add(_ sealed: SealedRecord) throws {
                var reader = ByteReader(sealed.bytes)
                let (record, hash) = try JournalRecord.decode(&reader, from: sealed.bytes)
                _ = try verifier.record(record, hash: hash)
            }
            try add(first)
            try verifier.reset(PartitionID(0), to: mark)
            if hash == mark.hash {
                try add(sixth)
                try verifier.finish(witness: Witness(sequence: 0, hash: 0))
            } else {
                #expect(throws: StoreError.self) { try add(sixth) }
            }
        }
    }
}
