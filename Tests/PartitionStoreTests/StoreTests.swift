import ByteCoding
import Foundation
import Identifiers
import Testing

@testable import PartitionStore

@Suite struct StoreTests {
    @Test func `A turn is durable, then committed, then readable`() throws {
        let scratch = Scratch()
        let store = try PartitionStore.open(.test(scratch.sub("data")))
        let listener = Listener()
        listener.start(store)
        var log = LogMaker(1)
        let home = address("Account", "eve", "1")
        let create = log.turn(
            nil, .create(home, time: 77), .set(.state, [1]), .set(.input, []), .wake(at: 5),
            .put(.message, id: [2], [20]), .put(.message, id: [1], [10]))
        store.append([create])
        listener.waitUntilDurable(create)
        #expect(try store.actor(at: home, in: PartitionID(1)) == nil)
        store.commit([create.mark])
        store.requestApply([PartitionID(1)])
        listener.waitUntilApplied(create)
        let actor = try #require(try store.actor(at: home, in: PartitionID(1)))
        #expect(
            actor
                == StoredActor(
                    id: ActorID(rawValue: 1), address: home, createdAt: 77, state: [1], run: nil, input: [],
                    wakeAt: 5))
        #expect(try store.actor(ActorID(rawValue: 1), in: PartitionID(1)) == actor)
        let items = try store.items(of: actor.id, in: PartitionID(1), space: .message)
        #expect(items == [StoredItem(id: [1], body: [10]), StoredItem(id: [2], body: [20])])
        #expect(try store.nextWake(in: PartitionID(1)) == 5)
        #expect(try store.dueActors(in: PartitionID(1), through: 4, limit: 9).isEmpty)
        #expect(try store.dueActors(in: PartitionID(1), through: 5, limit: 9).map(\.address) == [home])
        #expect(store.appliedPosition(of: PartitionID(1)) == LogPosition(rawValue: 1))
        #expect(store.backlogBytes == 0)
        try store.close()
    }

    @Test func `An actor that is to wake at the next start is found so (W7)`() throws {
        let scratch = Scratch()
        let store = try PartitionStore.open(StoreConfiguration.test(scratch.sub("data")))
        let listener = Listener()
        listener.start(store)
        var log = LogMaker(1)
        let home = address("Account", "eve", "1")
        let create = log.turn(nil, .create(home, time: 77), .wake(at: .max))
        store.append([create])
        listener.waitUntilDurable(create)
        store.commit([create.mark])
        store.requestApply([PartitionID(1)])
        listener.waitUntilApplied(create)
        #expect(try store.actor(at: home, in: PartitionID(1))?.wakeAt == .max)
        #expect(try store.nextWake(in: PartitionID(1)) == .max)
        let due = try store.dueActors(in: PartitionID(1), through: .max, limit: 9)
        #expect(due.map(\.wakeAt) == [.max])
        try store.close()
    }

    @Test func `Reopening shows the log ends, the tables and the next incarnation (R15)`() throws {
        let scratch = Scratch()
        var configuration = StoreConfiguration.test(scratch.sub("data"))
        let first = try PartitionStore.open(configuration)
        #expect(first.identity.incarnation.rawValue == 1)
        #expect(first.logEnd(of: PartitionID(3)) == .empty)
        let listener = Listener()
        listener.start(first)
        var log = LogMaker(3)
        let home = address("A", "x")
        let records = [
            log.seal([], kind: .epochStart), log.turn(nil, .create(home, time: 1), .set(.state, [7])),
        ]
        first.append(records)
        listener.waitUntilDurable(records[1])
        try first.close()
        let second = try PartitionStore.open(configuration)
        #expect(second.identity.incarnation.rawValue == 2)
        #expect(second.identity.store == first.identity.store)
        #expect(second.identity.cluster == first.identity.cluster)
        #expect(second.identity.ring == first.identity.ring)
        #expect(second.logEnd(of: PartitionID(3)) == log.end)
        #expect(try second.actor(at: home, in: PartitionID(3))?.id == ActorID(rawValue: 2))
        try second.close()
        #expect(throws: StoreError.closed) { try second.close() }
        #expect(throws: StoreError.closed) { try second.nextWake(in: PartitionID(3)) }
        configuration.partitionCount = 8
        #expect(throws: StoreError.self) { try PartitionStore.open(configuration) }
    }

    @Test func `A directory that is open is refused to a second store (D30)`() throws {
        let scratch = Scratch()
        let store = try PartitionStore.open(.test(scratch.sub("data")))
        #expect(throws: StoreError.locked(directory: scratch.sub("data"))) {
            try PartitionStore.open(.test(scratch.sub("data")))
        }
        try store.close()
        try PartitionStore.open(.test(scratch.sub("data"))).close()
    }

    @Test func `What was appended before start is committed at close`() throws {
        let scratch = Scratch()
        let store = try PartitionStore.open(.test(scratch.sub("data")))
        var log = LogMaker(0)
        let record = log.turn(nil, .create(address("A", ""), time: 1))
        store.append([record])
        store.commit([record.mark])
        try store.close()
        let again = try PartitionStore.open(.test(scratch.sub("data")))
        #expect(try again.actor(ActorID(rawValue: 1), in: PartitionID(0)) != nil)
        try again.close()
    }

    @Test func `Committed before durable is applied when it is durable, never before`() throws {
        let scratch = Scratch()
        let store = try PartitionStore.open(.test(scratch.sub("data")))
        let listener = Listener()
        var log = LogMaker(0)
        let record = log.turn(nil, .create(address("A", "k"), time: 1))
        store.commit([record.mark])
        store.requestApply([record.partition])
        #expect(try store.actor(ActorID(rawValue: 1), in: PartitionID(0)) == nil)
        listener.start(store)
        store.append([record])
        listener.waitUntilDurable(record)
        store.requestApply([record.partition])
        listener.waitUntilApplied(record)
        #expect(try store.actor(ActorID(rawValue: 1), in: PartitionID(0)) != nil)
        try store.close()
    }

    @Test func `Only a few tables are open at once, and all can be read (bound on open databases)`() throws {
        let scratch = Scratch()
        var configuration = StoreConfiguration.test(scratch.sub("data"), partitions: 64)
        configuration.openTablesMax = 5
        configuration.stateLogBytesMax = 1
        for round in 0..<2 {
            let store = try PartitionStore.open(configuration)
            for partition in 0..<64 {
                var log = LogMaker(partition, end: store.logEnd(of: PartitionID(partition)))
                let home = address("A", "\(round)")
                store.append([log.turn(nil, .create(home, time: 1), .wake(at: UInt64(partition)))])
                store.commit([DurableMark(partition: log.partition, position: log.end.position)])
            }
            try store.close()
            let again = try PartitionStore.open(configuration)
            for partition in (0..<64).reversed() {
                #expect(try again.nextWake(in: PartitionID(partition)) == UInt64(partition))
                #expect(again.logEnd(of: PartitionID(partition)).position.rawValue == UInt64(round + 1))
                #expect(again.openTablesCount <= 6)
            }
            try again.close()
        }
    }

    @Test(.timeLimit(.minutes(1))) func `Tables that nobody uses are closed, and opened when they are`()
        async throws
    {
        let scratch = Scratch()
        var configuration = StoreConfiguration.test(scratch.sub("data"))
        configuration.applyInterval = .milliseconds(5)
        let store = try PartitionStore.open(configuration)
        let listener = Listener()
        listener.start(store)
        var log = LogMaker(0)
        for round in 0..<3 {
            let home = address("A", "\(round)")
            let record = log.turn(nil, .create(home, time: 1))
            store.append([record])
            listener.waitUntilDurable(record)
            store.commit([record.mark])
            listener.waitUntilApplied(record)
            #expect(try store.actor(at: home, in: PartitionID(0)) != nil)
            while store.openTablesCount > 0 { await Task.yield() }
        }
        try store.close()
    }

    @Test func `A directory that cannot be used is refused with a sentence`() throws {
        let scratch = Scratch()
        try Data([1]).write(to: URL(fileURLWithPath: scratch.sub("file")))
        for path in [scratch.sub("file"), "/proc/apus-store", scratch.sub("missing/data")] {
            do {
                _ = try PartitionStore.open(.test(path))
                Issue.record("\(path) was accepted")
            } catch {
                #expect(error.description.contains(path))
            }
        }
    }
}
