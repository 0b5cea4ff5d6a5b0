import Foundation
import Identifiers
import SQLiteDriver
import Testing
import TimeAndChance

@testable import ConsensusCore
@testable import ConsensusStore

/// Whatever happens to the files: an open store shows exactly what was written, or there is no open store and
/// a sentence that says why (D15, R13).
@Suite struct DamageTests {
    private let scratch = Scratch()

    /// Fills `data` with a snapshot and entries in several terms, and returns what it holds.
    private func fill(_ count: UInt64 = 20, logBytesMax: Int = 4 << 20) throws -> Raft.PersistentState {
        let limits = ConsensusStore.Limits(logBytesMax: logBytesMax)
        let store = try ConsensusStore.open(
            directory: scratch.sub("data"), replica: one, creating: founding, limits: limits
        ).store
        var disk = founding
        for number in 1...count {
            var write = Raft.Write(number: number)
            write.hardState = Raft.HardState(term: number, vote: number % 3 == 0 ? one : nil)
            let command = [UInt8](repeating: UInt8(number), count: 700)
            write.entries = [
                Raft.Entry(position: .init(term: number, index: number + 1), payload: .command(command))
            ]
            if number == count / 2 {
                let position = Raft.Position(term: number - 1, index: number)
                write.snapshot = Raft.Snapshot(
                    position: position, configuration: founding.snapshot.configuration,
                    state: [UInt8](repeating: 5, count: 9_000))
                write.removeThrough = number - 3
            }
            disk.apply(write)
            try store.apply(write)
        }
        return disk
    }

    /// Opens `crash`. True: everything is there. False: damage was reported.
    private func open(_ disk: Raft.PersistentState, _ what: Comment) -> Bool {
        do throws(ConsensusStoreError) {
            #expect(try contents(scratch.sub("crash")) == disk, what)
            return true
        } catch {
            switch error {
            case .damaged, .newerFormat: #expect("\(error)".hasPrefix("/"), what)
            default: Issue.record("\(what): \(error)")
            }
            return false
        }
    }

    private func flip(_ file: String, at offset: Int) {
        var bytes = scratch.bytes("data/\(file)")
        bytes[offset] ^= 1 << UInt8(offset & 7)
        scratch.copy("data", to: "crash")
        scratch.write(bytes, to: "crash/\(file)")
    }

    @Test func `A flipped bit in the write-ahead log never shortens the log (D15)`() throws {
        let disk = try fill()
        let count = scratch.bytes("data/control.db-wal").count
        var random = SplitMix64(seed: 5)
        var damaged = 0
        let offsets = Array(0..<56) + (0..<250).map { _ in Int.random(in: 0..<count, using: &random) }
        for offset in offsets {
            flip("control.db-wal", at: offset)
            if !open(disk, "byte \(offset) of the log") { damaged += 1 }
        }
        #expect(damaged > offsets.count / 2, "\(damaged)")
    }

    @Test func `A flipped bit in the database is harmless or reported (R13)`() throws {
        let disk = try fill(40, logBytesMax: 0)
        scratch.remove("data/control.db-wal")
        let count = scratch.bytes("data/control.db").count
        var random = SplitMix64(seed: 6)
        var damaged = 0
        let headers = (0..<count / 4_096).flatMap { page in (0..<12).map { page * 4_096 + $0 } }
        let offsets =
            Array(0..<100) + headers + (0..<250).map { _ in Int.random(in: 0..<count, using: &random) }
        for offset in offsets {
            flip("control.db", at: offset)
            if !open(disk, "byte \(offset) of the database") { damaged += 1 }
        }
        #expect(damaged > offsets.count / 4, "\(damaged)")
    }

    @Test func `Every flipped bit in the witness is reported`() throws {
        let disk = try fill()
        for offset in 0..<Seal.byteCount {
            flip("witness", at: offset)
            let isOpen = open(disk, "byte \(offset) of the witness")
            #expect(!isOpen, "byte \(offset) of the witness")
        }
    }

    @Test func `A file that is missing, shorter or older is reported`() throws {
        let disk = try fill(10)
        scratch.copy("data", to: "older")
        let write = Raft.Write(number: 1, hardState: Raft.HardState(term: 99))
        let store = try ConsensusStore.open(directory: scratch.sub("data"), replica: one).store
        try store.apply(write)
        try store.apply(Raft.Write(number: 2, hardState: Raft.HardState(term: 100)))
        var last = disk
        last.hardState.term = 100
        for file in ["control.db", "control.db-wal", "witness"] {
            let bytes = scratch.bytes("data/\(file)")
            for count in [0, 1, 31, 33, bytes.count / 2, bytes.count - 1] {
                scratch.copy("data", to: "crash")
                scratch.write(Array(bytes[..<count]), to: "crash/\(file)")
                // The log still has the pages of the database, and ends with frames of an earlier use.
                let isOpen = open(last, "\(count) bytes of \(file)")
                let isNeeded = file == "witness" || file == "control.db-wal" && count < 34
                #expect(!isOpen || !isNeeded, "\(count) bytes of \(file)")
            }
            scratch.copy("data", to: "crash")
            scratch.remove("crash/\(file)")
            let isOpen = open(last, "without \(file)")
            #expect(!isOpen, "without \(file)")
            // Nor is it taken for a new one.
            #expect(throws: ConsensusStoreError.self) {
                _ = try ConsensusStore.open(
                    directory: scratch.sub("crash"), replica: one, creating: founding)
            }
        }
        scratch.copy("older", to: "crash")
        scratch.write(scratch.bytes("data/witness"), to: "crash/witness")
        var isOpen = open(last, "an older database")
        #expect(!isOpen)
        scratch.copy("data", to: "crash")
        scratch.write(scratch.bytes("older/witness"), to: "crash/witness")
        isOpen = open(last, "an older witness")
        #expect(!isOpen)
    }

    @Test(arguments: [
        "DELETE FROM entries WHERE \"index\" = (SELECT max(\"index\") FROM entries)",
        "DELETE FROM entries WHERE \"index\" = (SELECT min(\"index\") FROM entries)",
        "DELETE FROM entries WHERE \"index\" = 15", "DELETE FROM entries", "DELETE FROM hard_state",
        "DELETE FROM snapshot", "DELETE FROM seal", "DROP TABLE entries",
        "UPDATE entries SET \"index\" = 99 WHERE \"index\" = 15",
        "UPDATE entries SET record = (SELECT record FROM entries WHERE \"index\" = 14) WHERE \"index\" = 15",
        "UPDATE entries SET record = x'' WHERE \"index\" = 15", "UPDATE snapshot SET number = 1",
        "INSERT INTO snapshot SELECT 1, bytes FROM snapshot", "PRAGMA user_version = 2",
        "INSERT INTO entries SELECT 22, record FROM entries WHERE \"index\" = 21",
        "UPDATE entries SET record = CAST(record AS TEXT) || 'x' WHERE \"index\" = 15",
    ])
    func `A row that is missing or another is reported (R13)`(sql: String) throws {
        let disk = try fill()
        scratch.copy("data", to: "crash")
        do {
            let connection = try Connection(path: scratch.sub("crash/control.db"), create: false)
            try connection.execute(sql)
        }
        let isOpen = open(disk, "\(sql)")
        #expect(!isOpen, "\(sql)")
    }

    /// A page that never reached the disk holds what was right once: all its checksums fit.
    @Test func `A record of an earlier moment is reported`() throws {
        let disk = try fill()
        let cases: [(String, [UInt8])] = [
            ("UPDATE hard_state SET record = ?2", Raft.HardState(term: 19).encoded()),
            ("UPDATE snapshot SET bytes = ?2", founding.snapshot.encoded()),
            (
                "UPDATE entries SET record = ?2 WHERE \"index\" = 15",
                Raft.Entry(position: .init(term: 14, index: 15), payload: .noop).encoded()
            ),
        ]
        for (sql, record) in cases {
            scratch.copy("data", to: "crash")
            do {
                let connection = try Connection(path: scratch.sub("crash/control.db"), create: false)
                let statement = try connection.statement(sql)
                try statement.bind(copying: record, at: 2)
                try statement.run()
            }
            let isOpen = open(disk, "\(sql)")
            #expect(!isOpen, "\(sql)")
        }
    }

    @Test func `Another replica's files are refused (R12)`() throws {
        _ = try fill()
        for other in [ReplicaID(2), ReplicaID(node: one.node, store: StoreID(high: 8, low: 8))] {
            #expect(throws: ConsensusStoreError.foreign(path: scratch.sub("data/control.db"), owner: one)) {
                try contents(scratch.sub("data"), other)
            }
        }
    }

    @Test func `One store at a time has the files open (D30)`() throws {
        let open = try ConsensusStore.open(directory: scratch.sub("data"), replica: one, creating: founding)
        #expect(throws: ConsensusStoreError.locked(path: scratch.sub("data/control.db"))) {
            try contents(scratch.sub("data"))
        }
        try open.store.apply(Raft.Write(number: 1, hardState: Raft.HardState(term: 9)))
    }

    @Test func `The seal's bytes are read for ever`() throws {
        var seal = Seal(replica: ReplicaID(node: NodeID(rawValue: 3), store: StoreID(high: 4, low: 5)))
        seal.sequence = 6
        seal.entryCount = 7
        (seal.entriesHash, seal.hardStateHash, seal.snapshotHash) = (8, 9, 10)
        var golden: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0]
        for number in 3...10 as ClosedRange<UInt8> { golden += [number, 0, 0, 0, 0, 0, 0, 0] }
        golden += [0, 0, 0, 0, 0, 0, 0, 0]
        #expect(Array(seal.encoded().dropLast(4)) == golden)
        #expect(Array(seal.encoded().suffix(4)) == [42, 215, 220, 243])
        #expect(try Seal.decode(seal.encoded()) == seal)
    }
}
