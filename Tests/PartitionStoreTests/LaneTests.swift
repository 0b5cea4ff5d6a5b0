import ByteCoding
import Foundation
import Identifiers
import Synchronization
import Testing

@testable import PartitionStore

/// Who commits, and into what.
@Suite struct LaneTests {
    private let scratch = Scratch()

    @Test func `Callers that commit in the lane's place keep the order and lose nothing (R6)`() async throws {
        let partitions = 4
        let store = try PartitionStore.open(.test(scratch.sub("data"), partitions: partitions))
        let listener = Listener()
        let commits = Mutex<[DurableMark]>([])
        let threads = Mutex<Set<UInt>>([])
        listener.start(store) { marks in
            commits.withLock { $0 += marks }
            _ = threads.withLock { $0.insert(UInt(bitPattern: ObjectIdentifier(Thread.current))) }
        }
        let ends = await withTaskGroup(of: LogEnd.self) { group in
            for number in 0..<partitions {
                group.addTask {
                    var log = LogMaker(number)
                    for turn in 0..<200 {
                        let record = log.turn(nil, .create(address("A", "\(number)", "\(turn)"), time: 1))
                        if turn % 3 == 0 { store.append([record]) } else { store.appendAndCommit([record]) }
                        if turn % 5 == 0 { listener.waitUntilDurable(record) }
                    }
                    listener.waitUntilDurable(log.partition, log.end.position)
                    return log.end
                }
            }
            var ends: [LogEnd] = []
            for await end in group { ends.append(end) }
            return ends
        }
        for partition in 0..<partitions {
            let told = commits.withLock { $0.filter { $0.partition == PartitionID(partition) } }
            #expect(told.map(\.position) == told.map(\.position).sorted(), "partition \(partition)")
        }
        #expect(threads.withLock { $0.count } > 1, "some of the commits were the callers'")
        scratch.copy("data", to: "crash")
        let again = try PartitionStore.open(.test(scratch.sub("crash"), partitions: partitions))
        #expect(Set((0..<partitions).map { again.logEnd(of: PartitionID($0)) }) == Set(ends))
        try again.close()
        try store.close()
    }

    @Test func `An error while a caller commits stops the store (R14)`() throws {
        var configuration = StoreConfiguration.test(scratch.sub("data"))
        configuration.journalPagesMax = 40
        let store = try PartitionStore.open(configuration)
        let listener = Listener()
        listener.start(store)
        var log = LogMaker(0)
        for number in 0..<40 where listener.failures.isEmpty {
            let body = [UInt8](repeating: 1, count: 20_000)
            store.appendAndCommit([
                log.turn(nil, .create(address("A", "\(number)"), time: 1), .set(.state, body))
            ])
        }
        listener.waitForFailure()
        #expect(throws: StoreError.self) { try store.close() }
    }

    @Test func `The log is longer than what is used of it, and restarts as if it were not`() throws {
        var configuration = StoreConfiguration.test(scratch.sub("data"))
        configuration.journalLogStep = 64 << 10
        configuration.journalLogBytesMax = 200 << 10
        let path = scratch.sub("data") + "/lanes/0/journal.db-wal"
        var log = LogMaker(0)
        for round in 0..<4 {
            let store = try PartitionStore.open(configuration)
            #expect(store.logEnd(of: PartitionID(0)) == log.end, "round \(round)")
            let listener = Listener()
            listener.start(store)
            for number in 0..<50 {
                let record = log.turn(nil, .create(address("A", "\(round)", "\(number)"), time: 1))
                store.append([record])
                listener.waitUntilDurable(record)
                if number == 25 { scratch.copy("data", to: "crash\(round)") }
            }
            try store.close()
            let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            #expect(bytes.count < 1 << 20)
            #expect(!LogScan(bytes).losesCommits)
            configuration.directory = scratch.sub("crash\(round)")
            let crashed = try PartitionStore.open(configuration)
            #expect(crashed.logEnd(of: PartitionID(0)).position.rawValue == UInt64(round * 50 + 26))
            try crashed.close()
            configuration.directory = scratch.sub("data")
        }
    }

    @Test func `Zeros are the end of a log, but not its beginning (D15)`() throws {
        #expect(!LogScan([UInt8](repeating: 0, count: 10_000)).losesCommits)
        let store = try PartitionStore.open(.test(scratch.sub("data")))
        let listener = Listener()
        listener.start(store)
        var log = LogMaker(0)
        let record = log.turn(nil, .create(address("A", "a"), time: 1))
        store.append([record])
        listener.waitUntilDurable(record)
        var bytes = Array(
            try Data(contentsOf: URL(fileURLWithPath: scratch.sub("data") + "/lanes/0/journal.db-wal")))
        try store.close()
        bytes += [UInt8](repeating: 0, count: 20_000)
        #expect(!LogScan(bytes).losesCommits)
        #expect(LogScan(bytes).soundFrames > 0)
        for index in 0..<32 { bytes[index] = 0 }
        #expect(LogScan(bytes).losesCommits)
    }
}
