import ByteCoding
import Foundation
import Identifiers
import SQLiteDriver
import Testing

@testable import PartitionStore

@Suite struct RetentionTests {
    private func mark(_ partition: Int, _ position: UInt64) -> DurableMark {
        DurableMark(partition: PartitionID(partition), position: LogPosition(rawValue: position))
    }

    @Test func `Rows go only when every record in them is applied and synced`() {
        var retention = Retention(runBytesMax: 10)
        retention.add(sequence: 1, bytes: 10, marks: [mark(0, 1), mark(1, 1)])
        retention.add(sequence: 2, bytes: 10, marks: [mark(0, 2)])
        retention.add(sequence: 3, bytes: 10, marks: [mark(1, 2)])
        func trim(_ synced: (PartitionID) -> LogPosition) -> UInt64? { retention.trim(synced: synced)?.last }
        #expect(trim { $0 == PartitionID(0) ? LogPosition(rawValue: 9) : .zero } == nil)
        #expect(retention.pinning(target: 0) { _ in .zero } == [PartitionID(0), PartitionID(1)])
        #expect(
            retention.pinning(target: 0) { LogPosition(rawValue: $0 == PartitionID(0) ? 1 : 5) }
                == [PartitionID(0)])
        #expect(retention.pinning(target: 20) { LogPosition(rawValue: $0 == PartitionID(0) ? 1 : 5) } == [])
        #expect(trim { _ in LogPosition(rawValue: 1) } == 1)
        #expect(retention.bytes == 20)
        #expect(trim { _ in LogPosition(rawValue: 1) } == nil)
        #expect(trim { _ in LogPosition(rawValue: 2) } == 2)
        #expect(trim { _ in LogPosition(rawValue: 2) } == nil, "the last run shows the log's end")
    }

    @Test func `A row takes records up to its cap, and one of any size`() {
        var builder = BatchBuilder(partitionCount: 4, bytesMax: 200, entriesMax: 3)
        var log = LogMaker(1)
        let small = (0..<4).map { _ in log.seal([]) }
        let huge = log.seal([UInt8](repeating: 1, count: 10_000))
        var taken: [Bool] = []
        for record in small { taken.append(builder.add(.record(record))) }
        #expect(taken == [true, true, true, false])
        #expect(builder.marks == [small[2].mark])
        builder.removeAll()
        let takesHuge = builder.add(.record(huge))
        let takesMore = builder.add(.record(small[0]))
        #expect(takesHuge && !takesMore)
        #expect(builder.row.count == BatchHeader.byteCount + huge.bytes.count)
        builder.removeAll()
        let takesAgain = builder.add(.record(small[0]))
        #expect(takesAgain)
        #expect(builder.marks == [small[0].mark])
    }
}

@Suite struct ChainVerifierTests {
    /// What a trial on a faulty disk found: the rows before record 25 are deleted, and a cut that goes back
    /// behind an earlier one must not keep the link at the earlier.
    @Test func `A cut behind a cut, where the records between are deleted, leaves a sound log`() throws {
        var log = LogMaker(0)
        for _ in 0..<23 { _ = log.seal([1]) }
        let applied = log.end
        _ = log.seal([1])
        var verifier = ChainVerifier(applied: [applied])
        for sealed in [log.seal([1]), log.seal([1])] {
            let (record, hash) = try record(sealed)
            _ = try verifier.record(record, hash: hash)
        }
        try verifier.truncate(log.partition, after: LogPosition(rawValue: 24))
        try verifier.truncate(log.partition, after: LogPosition(rawValue: 23))
        log.end = applied
        log.epoch = 2
        let (next, hash) = try record(log.seal([2]))
        _ = try verifier.record(next, hash: hash)
        #expect(verifier.end(of: 0) == log.end)
    }

    private func record(_ sealed: SealedRecord) throws -> (JournalRecord, hash: UInt64) {
        var reader = ByteReader(sealed.bytes)
        return try JournalRecord.decode(&reader, from: sealed.bytes)
    }

    private func verify(_ records: [SealedRecord], applied: LogEnd = .empty) throws -> [Bool] {
        var verifier = ChainVerifier(applied: [applied])
        var unapplied: [Bool] = []
        for sealed in records {
            let (record, hash) = try record(sealed)
            unapplied.append(try verifier.record(record, hash: hash))
        }
        try verifier.finish(witness: Witness(sequence: 0, hash: 0))
        return unapplied
    }

    @Test func `A log with a gap, a repetition, a fork or a step back is damage`() throws {
        var log = LogMaker(0)
        let one = log.seal([1])
        let two = log.seal([2])
        var fork = LogMaker(0)
        _ = fork.seal([9])
        let otherTwo = fork.seal([2])
        let three = log.seal([3])
        var older = log
        older.epoch = 0
        let afterEpoch = older.seal([4])
        #expect(try verify([one, two, three]) == [true, true, true])
        for records in [[one, three], [one, one], [one, otherTwo], [two], [one, two, three, afterEpoch]] {
            #expect(throws: StoreError.self) { try verify(records) }
        }
    }

    @Test func `The journal must fit what was applied (R13)`() throws {
        var log = LogMaker(0)
        let one = log.seal([1])
        let afterOne = log.end
        let two = log.seal([2])
        let afterTwo = log.end
        let three = log.seal([3])
        #expect(try verify([one, two, three], applied: afterOne) == [false, true, true])
        #expect(try verify([two, three], applied: afterOne) == [true, true])
        #expect(try verify([two, three], applied: afterTwo) == [false, true])
        #expect(try verify([], applied: afterTwo) == [])
        #expect(throws: StoreError.self) { try verify([three], applied: afterOne) }
        #expect(throws: StoreError.self) { try verify([one], applied: afterTwo) }
        var wrong = afterOne
        wrong.hash ^= 1
        #expect(throws: StoreError.self) { try verify([one, two], applied: wrong) }
        #expect(throws: StoreError.self) { try verify([two], applied: wrong) }
    }
}

@Suite struct JournalLimitTests {
    @Test func `The journal shrinks to what the tables do not have on disk, and nothing is lost`() throws {
        let scratch = Scratch()
        var configuration = StoreConfiguration.test(scratch.sub("data"))
        configuration.journalBytesMax = 4 << 20
        configuration.journalLogBytesMax = 1 << 20
        configuration.stateLogBytesMax = 256 << 10
        let store = try PartitionStore.open(configuration)
        let listener = Listener()
        listener.start(store)
        var logs = (0..<4).map { LogMaker($0) }
        var home: [ActorAddress] = []
        for partition in 0..<4 {
            home.append(address("A", "\(partition)"))
            let create = logs[partition].turn(nil, .create(home[partition], time: 1))
            store.append([create])
            store.commit([create.mark])
        }
        // Partition 3 falls silent: its one record must not pin the journal for ever.
        let value = [UInt8](repeating: 3, count: 100_000)
        for round in 0..<120 {
            for partition in 0..<3 {
                let turn = logs[partition].turn(1, .set(.state, value))
                store.append([turn])
                listener.waitUntilDurable(turn)
                store.commit([turn.mark])
                // The apply thread also does what the journal asked it for before this.
                guard round % 10 == 9 else { continue }
                store.requestApply([turn.partition])
                listener.waitUntilApplied(turn)
            }
        }
        scratch.copy("data", to: "copy")
        try store.close()
        for name in ["data", "copy"] {
            configuration.directory = scratch.sub(name)
            let journal = configuration.directory + "/lanes/0/journal.db"
            let size = try #require(FileManager.default.attributesOfItem(atPath: journal)[.size] as? Int)
            #expect(size < 24 << 20, "36 MB went through")
            #expect(try oldestRow(journal) > 50)
            let again = try PartitionStore.open(configuration)
            for log in logs {
                #expect(again.logEnd(of: log.partition) == log.end)
                #expect(try again.actor(ActorID(rawValue: 1), in: log.partition) != nil)
            }
            try again.close()
        }
    }

    private func oldestRow(_ path: String) throws -> Int64 {
        let connection = try Connection(path: path, create: false)
        try connection.keepLogOnClose()
        let row = try connection.statement("SELECT min(seq) FROM log")
        defer { row.reset() }
        return try row.step() ? row.integer(at: 0) : 0
    }

    @Test func `A record larger than a batch is committed alone`() throws {
        let scratch = Scratch()
        let store = try PartitionStore.open(.test(scratch.sub("data")))
        var log = LogMaker(0)
        let big = [UInt8](repeating: 5, count: 5 << 20)
        let records = [
            log.turn(nil, .create(address("A", "k"), time: 1)), log.turn(1, .set(.state, big)),
            log.turn(1, .set(.run, [1])),
        ]
        store.append(records)
        store.commit([records[2].mark])
        try store.close()
        let again = try PartitionStore.open(.test(scratch.sub("data")))
        #expect(again.logEnd(of: log.partition) == log.end)
        let actor = try again.actor(ActorID(rawValue: 1), in: log.partition)
        #expect(actor?.state == big)
        #expect(actor?.run == [1])
        try again.close()
    }

    @Test func `A full disk stops the store once, and nothing acknowledged is lost (R14, D20)`() throws {
        let scratch = Scratch()
        var configuration = StoreConfiguration.test(scratch.sub("data"))
        configuration.journalPagesMax = 60
        let store = try PartitionStore.open(configuration)
        let listener = Listener()
        listener.start(store)
        var log = LogMaker(0)
        var number = 0
        while listener.failures.isEmpty {
            let record = log.turn(
                nil, .create(address("A", "\(number)"), time: 1),
                .set(.state, [UInt8](repeating: 1, count: 10_000)))
            store.append([record])
            listener.waitUntilDurable(record)
            number += 1
            try #require(number < 1_000)
        }
        let acknowledged = listener.durable(0)
        #expect(acknowledged.rawValue > 5)
        store.append([log.turn(nil, .create(address("A", "later"), time: 1))])
        let path = configuration.directory + "/lanes/0/journal.db"
        #expect(throws: StoreError.full(path: path)) { try store.close() }
        #expect(listener.failures == [.full(path: path)])
        #expect(listener.durable(0) == acknowledged)
        configuration.journalPagesMax = nil
        let again = try PartitionStore.open(configuration)
        #expect(again.logEnd(of: log.partition).position == acknowledged)
        for id in 1...acknowledged.rawValue {
            #expect(try again.actor(ActorID(rawValue: id), in: log.partition) != nil)
        }
        try again.close()
    }

    @Test func `A record that contradicts the tables stops the store and names the partition (R14)`() throws {
        let scratch = Scratch()
        let store = try PartitionStore.open(.test(scratch.sub("data")))
        let listener = Listener()
        listener.start(store)
        var log = LogMaker(3)
        let records = [
            log.turn(nil, .create(address("A", "same"), time: 1)),
            log.turn(nil, .create(address("A", "same"), time: 2)),
        ]
        store.append(records)
        listener.waitUntilDurable(records[1])
        store.commit([records[1].mark])
        store.requestApply([log.partition])
        listener.waitForFailure()
        #expect(listener.failures.count == 1)
        guard case .damaged(let what, _) = listener.failures.first else {
            Issue.record("\(listener.failures)")
            return
        }
        #expect(what.contains("partition 3 "))
        #expect(try store.actor(ActorID(rawValue: 1), in: log.partition) == nil, "all or nothing")
        #expect(throws: StoreError.self) { try store.close() }
    }

    @Test func `A log scan tells a torn end from lost commits (D15)`() throws {
        let scratch = Scratch()
        let store = try PartitionStore.open(.test(scratch.sub("data")))
        let listener = Listener()
        listener.start(store)
        var log = LogMaker(0)
        for number in 0..<5 {
            let record = log.turn(nil, .create(address("A", "\(number)"), time: 1))
            store.append([record])
            listener.waitUntilDurable(record)
        }
        let file = URL(fileURLWithPath: scratch.sub("data") + "/lanes/0/journal.db-wal")
        let bytes = Array(try Data(contentsOf: file))
        try store.close()
        let whole = LogScan(bytes)
        #expect(whole.soundFrames * 4_120 + 32 == bytes.count)
        #expect(!whole.losesCommits)
        for frame in 0..<whole.soundFrames {
            var broken = bytes
            broken[32 + frame * 4_120 + 2_000] ^= 4
            let scan = LogScan(broken)
            #expect(scan.soundFrames <= frame)
            #expect(scan.losesCommits == (scan.commitsAfter > 1))
            if frame < whole.soundFrames - 3 { #expect(scan.losesCommits) }
        }
        var broken = bytes
        broken[16] ^= 1
        #expect(LogScan(broken).isHeaderBroken)
        #expect(LogScan([]) == LogScan([UInt8](repeating: 0, count: 32)))
    }
}
