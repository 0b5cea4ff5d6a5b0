import ByteCoding
import Foundation
import Identifiers
import Synchronization
import Testing
import TimeAndChance

@testable import PartitionStore

@Suite struct CrashTests {
    @Test func `At the moment of acknowledgement the record is in the files (R6)`() throws {
        let scratch = Scratch()
        let store = try PartitionStore.open(.test(scratch.sub("data")))
        let listener = Listener()
        let round = Atomic<Int>(0)
        let promised = Mutex<[[DurableMark]]>([])
        // The journal's thread waits for its callback, so the copy shows exactly what a crash would leave.
        listener.start(store) { marks in
            let number = round.add(1, ordering: .relaxed).oldValue
            guard number < 24 else { return }
            promised.withLock { $0.append(marks) }
            scratch.copy("data", to: "crash-\(number)")
        }
        var logs = (0..<4).map { LogMaker($0) }
        var random = SplitMix64(seed: 1)
        var last: SealedRecord?
        for number in 0..<60 {
            var batch: [SealedRecord] = []
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                let partition = Int.random(in: 0..<4, using: &random)
                let home = address("A", "\(number)", "\(batch.count)")
                batch.append(logs[partition].turn(nil, .create(home, time: 1), .set(.state, [UInt8(number)])))
            }
            store.append(batch)
            last = batch.last
            if number % 3 == 0, let last { listener.waitUntilDurable(last) }
        }
        if let last { listener.waitUntilDurable(last) }
        let rounds = promised.withLock { $0 }
        var known: [PartitionID: LogPosition] = [:]
        for (number, marks) in rounds.enumerated() {
            for mark in marks { known[mark.partition] = mark.position }
            let copy = try PartitionStore.open(.test(scratch.sub("crash-\(number)")))
            for (partition, position) in known {
                #expect(copy.logEnd(of: partition).position >= position)
                #expect(copy.appliedPosition(of: partition) == copy.logEnd(of: partition).position)
                for id in 1...position.rawValue {
                    #expect(try copy.actor(ActorID(rawValue: id), in: partition) != nil)
                }
            }
            try copy.close()
        }
        try store.close()
    }

    @Test func `Records not committed stay out of the tables, and a replay applies them`() throws {
        let scratch = Scratch()
        let store = try PartitionStore.open(.test(scratch.sub("data")))
        let listener = Listener()
        listener.start(store)
        var log = LogMaker(2)
        let first = log.turn(nil, .create(address("A", "1"), time: 1))
        let second = log.turn(nil, .create(address("A", "2"), time: 1))
        store.append([first, second])
        listener.waitUntilDurable(second)
        store.commit([first.mark])
        store.requestApply([first.partition])
        listener.waitUntilApplied(first)
        #expect(store.appliedPosition(of: first.partition) == first.position)
        #expect(try store.actor(at: address("A", "2"), in: first.partition) == nil)
        #expect(store.backlogBytes == second.bytes.count)
        let copy = try PartitionStore.open(.test(scratch.copy("data", to: "crash")))
        #expect(copy.logEnd(of: first.partition) == log.end)
        #expect(try copy.actor(at: address("A", "2"), in: first.partition) != nil)
        try copy.close()
        try store.close()
    }

    @Test func `Tables that a power failure set back are brought forward again from the journal`() throws {
        let scratch = Scratch()
        let store = try PartitionStore.open(.test(scratch.sub("data")))
        let listener = Listener()
        listener.start(store)
        var log = LogMaker(1)
        let create = log.turn(nil, .create(address("A", "1"), time: 1), .set(.state, [0]))
        store.append([create])
        store.commit([create.mark])
        listener.waitUntilDurable(create)
        store.requestApply([create.partition])
        listener.waitUntilApplied(create)
        let early = scratch.copy("data/parts", to: "parts-early")
        let later = log.turn(1, .set(.state, [9]))
        store.append([later])
        store.commit([later.mark])
        try store.close()
        for parts in [early, nil] {
            let crash = scratch.copy("data", to: "crash")
            try FileManager.default.removeItem(atPath: crash + "/parts")
            if let parts {
                try FileManager.default.copyItem(atPath: parts, toPath: crash + "/parts")
            } else {
                try FileManager.default.createDirectory(
                    atPath: crash + "/parts", withIntermediateDirectories: false)
            }
            let copy = try PartitionStore.open(.test(crash))
            #expect(copy.logEnd(of: create.partition) == log.end)
            #expect(try copy.actor(ActorID(rawValue: 1), in: create.partition)?.state == [9])
            try copy.close()
        }
    }

    @Test func `A log goes on after a crash and another crash`() throws {
        let scratch = Scratch()
        var log = LogMaker(0)
        for round in 0..<6 {
            let store = try PartitionStore.open(.test(scratch.sub("data")))
            try #require(store.logEnd(of: log.partition) == log.end)
            let listener = Listener()
            listener.start(store)
            var last: SealedRecord?
            for number in 0..<10 {
                let record = log.turn(nil, .create(address("A", "\(round)-\(number)"), time: 1))
                store.append([record])
                listener.waitUntilDurable(record)
                last = record
            }
            let end = try #require(last)
            store.commit([end.mark])
            if round % 2 == 0 {
                store.requestApply([end.partition])
                listener.waitUntilApplied(end)
            }
            scratch.copy("data", to: "crash")
            try store.close()
            scratch.copy("crash", to: "data")
        }
    }

    @Test func `Ten thousand actors in many partitions come back`() throws {
        let scratch = Scratch()
        let configuration = StoreConfiguration.test(scratch.sub("data"), partitions: 64)
        let store = try PartitionStore.open(configuration)
        let listener = Listener()
        listener.start(store)
        var logs = (0..<64).map { LogMaker($0) }
        for number in 0..<10_000 {
            let home = address("A", "\(number)")
            store.append([
                logs[number % 64].turn(
                    nil, .create(home, time: 1), .set(.state, [1]), .wake(at: UInt64(number)))
            ])
        }
        store.commit(logs.map { DurableMark(partition: $0.partition, position: $0.end.position) })
        try store.close()
        let again = try PartitionStore.open(configuration)
        for log in logs {
            #expect(again.logEnd(of: log.partition) == log.end)
            #expect(try again.nextWake(in: log.partition) == UInt64(log.partition.rawValue))
        }
        var listed = 0
        for partition in 0..<64 {
            var after: ActorAddress?
            while true {
                let page = try again.actors(in: PartitionID(partition), kind: "A", limit: 50, after: after)
                listed += page.count
                #expect(page.map(\.address) == page.map(\.address).sorted())
                guard let last = page.last else { break }
                after = last.address
            }
        }
        #expect(listed == 10_000)
        #expect(try again.actors(in: PartitionID(0), kind: "B", limit: 5, after: nil).isEmpty)
        #expect(try again.actors(in: PartitionID(0), kind: nil, limit: 5, after: nil).count == 5)
        try again.close()
    }
}
