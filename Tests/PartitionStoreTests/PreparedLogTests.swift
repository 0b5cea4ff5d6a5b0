import ByteCoding
import Foundation
import Identifiers
import Testing

@testable import PartitionStore

/// The zeros at the end of the journal's write-ahead log.
@Suite struct PreparedLogTests {
    private let scratch = Scratch()

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
