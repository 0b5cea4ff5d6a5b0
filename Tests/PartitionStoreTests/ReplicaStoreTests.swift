import ByteCoding
import Foundation
import Identifiers
import ReplicationCore
import Synchronization
import Testing

@testable import PartitionStore

/// What a replica must find again: R6, R7, R14, R18.
@Suite struct ReplicaStoreTests {
    private let scratch = Scratch()

    private func open(_ name: String = "data") throws -> PartitionStore {
        try PartitionStore.open(.replica(scratch.sub(name)))
    }

    @Test func `A truncated suffix is gone after a crash, and positions go on after it (R7)`() throws {
        let store = try open()
        let replica = ReplicaListener(store)
        var log = LogMaker(1)
        let kept = log.create("kept")
        var cut = log
        replica.append([(log.partition, .append([kept, cut.create("b"), cut.create("c")].map(\.logRecord)))])
        log.epoch = 2
        let other = log.create("other")
        replica.append([
            (log.partition, .adopt(Epoch(rawValue: 2))),
            (log.partition, .truncate(after: kept.position)),
            (log.partition, .append([other.logRecord])),
        ])
        replica.waitUntilDurable()
        scratch.copy("data", to: "crash")
        try store.close()
        let again = try open("crash")
        let found = again.recoveredLog(of: log.partition)
        #expect(found.promised == Epoch(rawValue: 2))
        #expect(found.applied == .zero)
        #expect(found.tail.end == other.logRecord.mark)
        #expect(found.tail.mark(at: kept.position) == kept.logRecord.mark)
        #expect(
            found.tail.epochs == [
                EpochStart(epoch: Epoch(rawValue: 1), first: kept.position),
                EpochStart(epoch: Epoch(rawValue: 2), first: other.position),
            ])
        #expect(again.logEnd(of: log.partition) == log.end)
        #expect(try again.actor(ActorID(rawValue: 1), in: log.partition) == nil, "not known as committed")
        let next = ReplicaListener(again)
        let third = log.create("third")
        next.append([(log.partition, .append([third.logRecord]))])
        next.waitUntilDurable()
        again.commit([third.mark])
        try again.close()
        let last = try open("crash")
        #expect(last.appliedPosition(of: log.partition) == third.position)
        #expect(try last.actor(at: address("A", "other"), in: log.partition) != nil)
        #expect(try last.actor(at: address("A", "b"), in: log.partition) == nil)
        try last.close()
    }

    @Test func `What was durable is in the files when its batch is reported (R6, R18)`() throws {
        let store = try open()
        let copies = Mutex<[(batch: UInt64, name: String)]>([])
        let replica = ReplicaListener(store) { [scratch] commit in
            copies.withLock { copies in
                guard copies.last?.batch ?? 0 < commit.batch else { return }
                copies.append((commit.batch, scratch.copy("data", to: "crash-\(commit.batch)")))
            }
        }
        var log = LogMaker(2)
        for number in 1...8 {
            log.epoch = UInt64(number)
            let record = log.create("\(number)")
            replica.append([
                (log.partition, .adopt(Epoch(rawValue: log.epoch))),
                (log.partition, .append([record.logRecord])),
            ])
            // Another partition's promise goes before any record of it.
            replica.append([(PartitionID(3), .adopt(Epoch(rawValue: UInt64(number))))])
            if number % 2 == 0 { replica.waitUntilDurable() }
        }
        let found = copies.withLock { $0 }
        #expect(found.last?.batch == 16)
        for (batch, path) in found {
            let copy = try PartitionStore.open(.replica(path))
            #expect(copy.recoveredLog(of: log.partition).promised.rawValue >= (batch + 1) / 2)
            #expect(copy.logEnd(of: log.partition).position.rawValue >= (batch + 1) / 2)
            #expect(copy.recoveredLog(of: PartitionID(3)).promised.rawValue >= batch / 2)
            try copy.close()
        }
        try store.close()
    }

    @Test func `A batch is reported when its last row is durable, not before (R6)`() throws {
        var configuration = StoreConfiguration.replica(scratch.sub("data"))
        configuration.batchRecordsMax = 2
        let store = try PartitionStore.open(configuration)
        let seen = Mutex<[GroupCommit]>([])
        let replica = ReplicaListener(store) { commit in seen.withLock { $0.append(commit) } }
        var log = LogMaker(0)
        let records = (0..<7).map { log.create("\($0)") }
        replica.append([(log.partition, .append(records.map(\.logRecord)))])
        replica.append([(log.partition, .adopt(Epoch(rawValue: 1)))])
        replica.waitUntilDurable()
        try store.close()
        for commit in seen.withLock({ $0 }) {
            let end = commit.marks.first?.position.rawValue ?? 7
            if commit.batch == 0 { #expect(end < 7) } else { #expect(end == 7) }
        }
    }

    @Test func `A commit that overtakes a truncation applies nothing that is cut off (R7)`() throws {
        let store = try open()
        var log = LogMaker(0)
        let kept = log.create("kept")
        var cut = log
        let wrong = cut.create("wrong")
        log.epoch = 2
        let right = log.create("right")
        // Nothing is started: the truncation waits in the lane while the commit arrives.
        store.append([(log.partition, .append([kept, wrong].map(\.logRecord)))], batch: 1)
        store.append(
            [
                (log.partition, .truncate(after: kept.position)),
                (log.partition, .append([right.logRecord])),
            ], batch: 2)
        store.commit([right.mark])
        try store.close()
        let again = try open()
        #expect(again.appliedPosition(of: log.partition) == right.position)
        #expect(try again.actor(at: address("A", "right"), in: log.partition) != nil)
        #expect(try again.actor(at: address("A", "wrong"), in: log.partition) == nil)
        #expect(again.backlogBytes == 0)
        try again.close()
    }

    @Test func `What waits behind a cut is not applied, and neither is what was cut off (R7)`() {
        var queue = ApplyQueue(applied: [.zero], urgentBytes: 1)
        var log = LogMaker(0)
        let one = log.create("1")
        var fork = log
        let old = log.create("2")
        let new = fork.create("two")
        let cut = ControlEntry(partition: one.partition, kind: .truncate(after: one.position))
        _ = queue.add([.record(one), .record(old)], marks: [old.mark])
        queue.expectCut(one.partition, after: one.position)
        _ = queue.commit([new.mark])
        #expect(queue.take(0, recordsMax: 9).map(\.hash) == [one.hash])
        let added = queue.add([.control(cut), .record(new)], marks: [new.mark])
        #expect(added.cutBytes == old.bytes.count)
        #expect(queue.take(0, recordsMax: 9).map(\.hash) == [new.hash])
    }

    @Test func `A journal that cuts off what was applied is damage (R7)`() throws {
        var log = LogMaker(0)
        let records = (0..<3).map { log.create("\($0)") }
        func verify(cutAfter position: UInt64, applied: LogEnd) throws {
            var verifier = ChainVerifier(applied: [applied])
            for sealed in records {
                var reader = ByteReader(sealed.bytes)
                let (record, hash) = try JournalRecord.decode(&reader, from: sealed.bytes)
                _ = try verifier.record(record, hash: hash)
            }
            try verifier.truncate(log.partition, after: LogPosition(rawValue: position))
            try verifier.finish(witness: Witness(sequence: 0, hash: 0))
        }
        let two = LogEnd(
            epoch: Epoch(rawValue: 1), position: LogPosition(rawValue: 2), hash: records[1].hash, time: 2)
        try verify(cutAfter: 2, applied: two)
        try verify(cutAfter: 0, applied: .empty)
        for (cut, applied) in [(1, two), (4, two), (0, two)] as [(UInt64, LogEnd)] {
            #expect(throws: StoreError.self) { try verify(cutAfter: cut, applied: applied) }
        }
    }

    @Test func `A promise outlives the row that told it (R18)`() throws {
        var configuration = StoreConfiguration.replica(scratch.sub("data"))
        configuration.journalBytesMax = 256 << 10
        configuration.journalLogBytesMax = 128 << 10
        configuration.stateLogBytesMax = 64 << 10
        let silent = PartitionID(3)
        var log = LogMaker(0)
        var quiet = LogMaker(2)
        for round in 0..<2 {
            let store = try PartitionStore.open(configuration)
            let replica = ReplicaListener(store)
            if round == 0 {
                let first = quiet.create("first")
                quiet.epoch = 2
                let second = quiet.create("second")
                replica.append([
                    (silent, .adopt(Epoch(rawValue: 9))),
                    (quiet.partition, .append([first, second].map(\.logRecord))),
                ])
                store.commit([second.mark])
            }
            for number in 0..<200 {
                let record = log.turn(
                    nil, .create(address("A", "\(round)", "\(number)"), time: 1),
                    .set(.state, [UInt8](repeating: 1, count: 8_000)))
                replica.append([(log.partition, .append([record.logRecord]))])
                replica.waitUntilDurable()
                store.commit([record.mark])
                store.requestApply([record.partition])
                replica.listener.waitUntilApplied(record)
            }
            scratch.copy("data", to: "crash")
            try store.close()
            for name in ["data", "crash"] {
                configuration.directory = scratch.sub(name)
                let again = try PartitionStore.open(configuration)
                #expect(again.recoveredLog(of: silent).promised == Epoch(rawValue: 9))
                let found = again.recoveredLog(of: quiet.partition)
                #expect(found.promised == Epoch(rawValue: 2))
                #expect(found.tail.epochs.map(\.first.rawValue) == [1, 2])
                #expect(found.tail.end.position == quiet.end.position)
                let busy = again.recoveredLog(of: log.partition)
                #expect(busy.tail.base.position.rawValue > 50, "rows were deleted")
                #expect(busy.tail.epochs == [EpochStart(epoch: Epoch(rawValue: 1), first: log.start)])
                #expect(busy.tail.end.position == log.end.position)
                try again.close()
            }
            configuration.directory = scratch.sub("data")
        }
    }

    @Test func `A full disk reports no batch that is not durable (R14)`() throws {
        var configuration = StoreConfiguration.replica(scratch.sub("data"))
        configuration.journalPagesMax = 40
        let store = try PartitionStore.open(configuration)
        let replica = ReplicaListener(store)
        var epoch: UInt64 = 0
        var log = LogMaker(1)
        while replica.listener.failures.isEmpty {
            epoch += 1
            try #require(epoch < 1_000)
            let record = log.turn(
                nil, .create(address("A", "\(epoch)"), time: 1),
                .set(
                    .state,
                    [
                        UInt8
                    ](repeating: 1, count: 6_000)))
            replica.append([
                (PartitionID(0), .adopt(Epoch(rawValue: epoch))),
                (log.partition, .append([record.logRecord])),
            ])
            replica.waitUntilDurable()
        }
        let durable = replica.durableBatch
        #expect(durable > 3)
        #expect(throws: StoreError.self) { try store.close() }
        configuration.journalPagesMax = nil
        let again = try PartitionStore.open(configuration)
        #expect(again.recoveredLog(of: PartitionID(0)).promised.rawValue == durable)
        #expect(again.logEnd(of: log.partition).position.rawValue == durable)
        try again.close()
    }

    @Test func `The journal is read in pieces, and no further than it goes`() throws {
        let store = try open()
        var log = LogMaker(1)
        let first = log.create("1")
        var cut = log
        let old = cut.create("old")
        let rest = (2...9).map { log.create("\($0)") }
        func read(after position: UInt64, bytesMax: Int) -> [UInt64]? {
            let answer = Mutex<[UInt64]?>(nil)
            let semaphore = DispatchSemaphore(value: 0)
            let position = LogPosition(rawValue: position)
            store.readLog(of: log.partition, after: position, bytesMax: bytesMax) { records in
                answer.withLock { $0 = records?.map(\.mark.hash) }
                semaphore.signal()
            }
            semaphore.wait()
            return answer.withLock { $0 }
        }
        let replica = ReplicaListener(store)
        // The same position twice in one row.
        replica.append([
            (log.partition, .append([first, old].map(\.logRecord))),
            (log.partition, .truncate(after: first.position)),
            (log.partition, .append(rest.map(\.logRecord))),
        ])
        replica.waitUntilDurable()
        let hashes = ([first] + rest).map(\.hash)
        #expect(read(after: 0, bytesMax: 1 << 20) == hashes)
        #expect(read(after: 0, bytesMax: 1) == [hashes[0]])
        #expect(read(after: 3, bytesMax: 2 * rest[2].bytes.count) == Array(hashes[3..<5]))
        #expect(read(after: 9, bytesMax: 1) == [])
        try store.close()
        #expect(read(after: 0, bytesMax: 1) == nil, "a closed store answers, too")
    }
}
