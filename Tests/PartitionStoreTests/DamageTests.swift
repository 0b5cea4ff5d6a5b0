import ByteCoding
import Foundation
import Identifiers
import Testing
import TimeAndChance

@testable import PartitionStore

/// Whatever happens to the journal's files: an open store shows every acknowledged record, or there is no
/// open store (D15, R13).
@Suite struct DamageTests {
    private let scratch = Scratch()
    private let partitions = 3

    /// Commits `count` records one by one and leaves the directory `data` as a crash would.
    private func fill(_ count: Int, logBytesMax: Int = 16 << 20) throws -> [LogMaker] {
        var configuration = StoreConfiguration.test(scratch.sub("live"), partitions: 4)
        configuration.journalLogBytesMax = logBytesMax
        let store = try PartitionStore.open(configuration)
        let listener = Listener()
        listener.start(store)
        var logs = (0..<partitions).map { LogMaker($0) }
        for number in 0..<count {
            let home = address("A", "\(number)")
            let record = logs[number % partitions].turn(
                nil, .create(home, time: 1),
                .set(.state, [UInt8](repeating: UInt8(number & 255), count: 200)))
            store.append([record])
            listener.waitUntilDurable(record)
        }
        scratch.copy("live", to: "data")
        try store.close()
        return logs
    }

    /// Opens `crash`. True: all records are there. False: damage was reported.
    private func open(_ logs: [LogMaker], _ what: Comment) -> Bool {
        do throws(StoreError) {
            let store = try PartitionStore.open(.test(scratch.sub("crash"), partitions: 4))
            for log in logs { #expect(store.logEnd(of: log.partition) == log.end, what) }
            try store.close()
            return true
        } catch {
            switch error {
            case .damaged, .newerFormat: return false
            default:
                Issue.record("\(what): \(error)")
                return false
            }
        }
    }

    private func change(_ file: String, _ body: (inout [UInt8]) -> Void) throws {
        let path = scratch.copy("data", to: "crash") + "/" + file
        var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        body(&bytes)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    @Test func `A flipped bit in the write-ahead log never shortens the log (D15)`() throws {
        let logs = try fill(12)
        let file = "lanes/0/journal.db-wal"
        let count = try Data(contentsOf: URL(fileURLWithPath: scratch.sub("data") + "/" + file)).count
        var random = SplitMix64(seed: 7)
        var damaged = 0
        let offsets = Array(0..<56) + (0..<100).map { _ in Int.random(in: 0..<count, using: &random) }
        for offset in offsets {
            try change(file) { $0[offset] ^= 1 << UInt8(offset & 7) }
            if !open(logs, "bit \(offset & 7) of byte \(offset)") { damaged += 1 }
        }
        #expect(damaged > offsets.count / 2)
    }

    @Test func `A flipped bit in the journal's file never shortens the log (R13)`() throws {
        let logs = try fill(30, logBytesMax: 40_000)
        let file = "lanes/0/journal.db"
        let count = try Data(contentsOf: URL(fileURLWithPath: scratch.sub("data") + "/" + file)).count
        #expect(count > 8_192)
        var random = SplitMix64(seed: 8)
        let offsets = Array(0..<100) + (0..<100).map { _ in Int.random(in: 100..<count, using: &random) }
        for offset in offsets {
            try change(file) { $0[offset] ^= 1 << UInt8(offset & 7) }
            _ = open(logs, "bit \(offset & 7) of byte \(offset)")
        }
    }

    /// A journal from which rows were deleted has free pages, which new rows will overwrite.
    @Test func `A flipped bit around free pages loses nothing that is written later (R13)`() throws {
        var configuration = StoreConfiguration.test(scratch.sub("data"))
        configuration.journalBytesMax = 64 << 10
        configuration.journalLogBytesMax = 64 << 10
        let store = try PartitionStore.open(configuration)
        let listener = Listener()
        listener.start(store)
        var log = LogMaker(0)
        for number in 0..<60 {
            let value = [UInt8](repeating: UInt8(number), count: 6_000)
            let turn = log.turn(nil, .create(address("A", "\(number)"), time: 1), .set(.state, value))
            store.append([turn])
            listener.waitUntilDurable(turn)
            store.commit([turn.mark])
            store.requestApply([turn.partition])
            listener.waitUntilApplied(turn)
        }
        try store.close()
        // One more life, because opening copies the whole write-ahead log into the file.
        try PartitionStore.open(configuration).close()
        try FileManager.default.removeItem(atPath: scratch.sub("data") + "/lanes/0/journal.db-wal")
        let file = "lanes/0/journal.db"
        let pages = try Data(contentsOf: URL(fileURLWithPath: scratch.sub("data") + "/" + file)).count / 4_096
        #expect(pages > 10)
        for offset in Array(24..<60) + (0..<pages).map({ $0 * 4_096 + 3 }) {
            try change(file) { $0[offset] ^= 1 << UInt8(offset & 7) }
            let what: Comment = "bit \(offset & 7) of byte \(offset)"
            guard open([log], what) else { continue }
            var again = log
            let more = try PartitionStore.open(.test(scratch.sub("crash")))
            for _ in 0..<5 {
                more.append([again.turn(1, .set(.state, [UInt8](repeating: 1, count: 9_000)))])
            }
            try more.close()
            #expect(open([again], what), what)
        }
    }

    @Test func `A truncated or missing file of the journal is damage (R13)`() throws {
        let logs = try fill(10)
        for file in ["lanes/0/journal.db", "lanes/0/journal.db-wal", "lanes/0/witness", "identity"] {
            let path = scratch.sub("data") + "/" + file
            let count = try Data(contentsOf: URL(fileURLWithPath: path)).count
            for left in [0, 1, 31, 32, 33, count / 2, count - 1] where left < count {
                try change(file) { $0.removeLast(count - left) }
                let isOpen = open(logs, "\(file) with \(left) of \(count) bytes")
                // Here the write-ahead log still has every page of the database.
                #expect(!isOpen || file == "lanes/0/journal.db")
            }
            let crash = scratch.copy("data", to: "crash")
            try FileManager.default.removeItem(atPath: crash + "/" + file)
            #expect(!open(logs, "\(file) missing"))
        }
        scratch.copy("data", to: "crash")
        #expect(open(logs, "the undamaged copy"))
    }

    @Test func `An older journal beside a newer witness is damage (D19)`() throws {
        let logs = try fill(4)
        let old = try Data(contentsOf: URL(fileURLWithPath: scratch.sub("data") + "/lanes/0/journal.db-wal"))
        let more = try PartitionStore.open(.test(scratch.sub("data"), partitions: 4))
        let listener = Listener()
        listener.start(more)
        var log = logs[0]
        let record = log.turn(nil, .create(address("A", "new"), time: 1))
        more.append([record])
        listener.waitUntilDurable(record)
        try more.close()
        let crash = scratch.copy("data", to: "crash")
        try old.write(to: URL(fileURLWithPath: crash + "/lanes/0/journal.db-wal"))
        #expect(!open([log], "the older write-ahead log"))
    }

    @Test func `A changed witness is damage, a lagging one is not`() throws {
        let logs = try fill(6)
        try change("lanes/0/witness") { $0 = Witness(sequence: 2, hash: 99).encoded() }
        #expect(open(logs, "after a power failure the witness may lag"))
        try change("lanes/0/witness") { $0 = Witness(sequence: 6, hash: 99).encoded() }
        #expect(!open(logs, "another last row"))
        try change("lanes/0/witness") { $0 = Witness(sequence: 7, hash: 99).encoded() }
        #expect(!open(logs, "a row too many"))
        try change("lanes/0/witness") { $0[20] ^= 1 }
        #expect(!open(logs, "a bit"))
    }

    @Test func `Commits torn by one power failure after another are dropped, and the log goes on`() throws {
        var logs = try fill(9)
        for round in 0..<3 {
            let log = scratch.sub("data") + "/lanes/0/journal.db-wal"
            let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: log)))
            let frames = LogScan(bytes).soundFrames
            // The last commit reached the disk in part, and the witness only as far as its last sync.
            try change("lanes/0/journal.db-wal") { $0[32 + (frames - 1) * 4_120 + 500] ^= 1 }
            let witness = Array(
                try Data(contentsOf: URL(fileURLWithPath: scratch.sub("data") + "/lanes/0/witness")))
            let sequence = try #require(Witness(witness)?.sequence)
            try Data(Witness(sequence: sequence - 2, hash: 0).encoded()).write(
                to: URL(fileURLWithPath: scratch.sub("crash") + "/lanes/0/witness"))
            let store = try PartitionStore.open(.test(scratch.sub("crash"), partitions: 4))
            let end = store.logEnd(of: PartitionID(round == 0 ? 2 : 0))
            #expect(end.position.next == logs[round == 0 ? 2 : 0].end.position, "round \(round)")
            logs[0].end = store.logEnd(of: PartitionID(0))
            let listener = Listener()
            listener.start(store)
            for number in 0..<4 {
                let turn = logs[0].turn(nil, .create(address("A", "new", "\(round)", "\(number)"), time: 1))
                store.append([turn])
                listener.waitUntilDurable(turn)
            }
            scratch.copy("crash", to: "data")
            try store.close()
        }
    }

    @Test func `Damaged tables name their partition`() throws {
        let store = try PartitionStore.open(.test(scratch.sub("data"), partitions: 4))
        var log = LogMaker(2)
        let record = log.turn(nil, .create(address("A", "k"), time: 1))
        store.append([record])
        store.commit([record.mark])
        try store.close()
        try change("parts/0002/state.db") { bytes in
            for index in bytes.indices { bytes[index] = 0xAA }
        }
        do {
            _ = try PartitionStore.open(.test(scratch.sub("crash"), partitions: 4))
            Issue.record("opened")
        } catch {
            guard case .damaged(let what, _) = error else { throw error }
            #expect(what.contains("partition 2 "))
        }
    }
}
