import ByteCoding
import Foundation
import Identifiers
import ReplicationCore
import Synchronization
import Testing
import TimeAndChance

@testable import PartitionStore

/// One partition's log as it must be.
private struct ModelLog: Equatable {
    var records: [LogEnd] = []
    var promised: UInt64 = 0

    var end: LogEnd { records.last ?? .empty }

    mutating func add(_ entry: JournalEntry, time: UInt64) {
        switch entry {
        case .record(let record):
            records.append(
                LogEnd(epoch: record.epoch, position: record.position, hash: record.hash, time: time))
            promised = max(promised, record.epoch.rawValue)
        case .control(let control):
            switch control.kind {
            case .adopt(let epoch): promised = max(promised, epoch.rawValue)
            case .truncate(let position): records.removeLast(records.count - Int(position.rawValue))
            case .epochStart, .reset: break
            }
        }
    }

    var epochs: [EpochStart] {
        var starts: [EpochStart] = []
        for record in records where starts.last?.epoch ?? Epoch(rawValue: 0) < record.epoch {
            starts.append(EpochStart(epoch: record.epoch, first: record.position))
        }
        return starts
    }

    /// Whether this is what a store found.
    func matches(_ found: RecoveredLog) -> Bool {
        guard found.promised.rawValue == promised, found.tail.end.position == end.position else {
            return false
        }
        guard found.tail.epochs == epochs else { return false }
        for record in records where record.position >= found.tail.base.position {
            let mark = LogMark(position: record.position, epoch: record.epoch, hash: record.hash)
            guard found.tail.mark(at: record.position) == mark else { return false }
        }
        return true
    }
}

/// Random writes over several partitions, crashes at random commits, and the model of what must be found.
private final class ReplicaWalk {
    static let partitions = 3
    let scratch = Scratch()
    var random: SplitMix64
    var directory = "life-0"
    /// Everything that was durable when the store was opened, and what was appended since, in order.
    var base = [ModelLog](repeating: ModelLog(), count: partitions)
    var entries: [(partition: Int, entry: JournalEntry, time: UInt64)] = []
    var now = [ModelLog](repeating: ModelLog(), count: partitions)
    var committed = [UInt64](repeating: 0, count: partitions)
    /// How many of `entries` each batch reaches to.
    var batchEnds: [Int] = []
    var names = 0

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    var configuration: StoreConfiguration {
        var configuration = StoreConfiguration.replica(
            scratch.sub(directory), partitions: Self.partitions + 1)
        configuration.partitionCount = 4
        configuration.batchRecordsMax = 3
        configuration.journalBytesMax = 48 << 10
        configuration.journalLogBytesMax = 96 << 10
        configuration.stateLogBytesMax = 32 << 10
        return configuration
    }

    func live(_ life: Int) throws {
        let store = try PartitionStore.open(configuration)
        try check(store)
        let crashAt = Int.random(in: 5...60, using: &random)
        let crash = "life-\(life + 1)"
        let copied = Mutex<(commits: Int, batch: UInt64?)>((0, nil))
        let replica = ReplicaListener(store) { [scratch] commit in
            copied.withLock { copied in
                copied.commits += 1
                guard copied.commits == crashAt else { return }
                copied.batch = commit.batch
                scratch.copy("life-\(life)", to: crash)
            }
        }
        var reads = 0
        while copied.withLock({ $0.batch }) == nil {
            replica.append(batch())
            guard random.next() % 3 == 0 else { continue }
            replica.waitUntilDurable()
            try #require(replica.listener.failures.isEmpty)
            if copied.withLock({ $0.batch }) != nil { break }
            try commit(store, replica.listener)
            reads += try read(store)
        }
        let batch = try #require(copied.withLock { $0.batch })
        try store.close()
        #expect(replica.listener.failures.isEmpty)
        directory = crash
        let isTorn = random.next() % 3 == 0
        if isTorn { try tear() }
        // Whole batches were reported; of the next one, its front may be there.
        let least = batch == 0 || isTorn ? 0 : batchEnds[Int(batch) - 1]
        let found = try PartitionStore.open(configuration)
        try recover(found, least: least)
        try found.close()
        entries = []
        batchEnds = []
    }

    /// Damages the last commit, as a power failure does that comes before it is synced.
    private func tear() throws {
        let log = URL(fileURLWithPath: scratch.sub(directory) + "/lanes/0/journal.db-wal")
        var bytes = Array(try Data(contentsOf: log))
        let frames = LogScan(bytes).soundFrames
        try #require(frames > 0)
        bytes[32 + (frames - 1) * 4_120 + 500] ^= 1
        try Data(bytes).write(to: log)
        let path = URL(fileURLWithPath: scratch.sub(directory) + "/lanes/0/witness")
        let sequence = try #require(Witness(Array(try Data(contentsOf: path)))?.sequence)
        let lagging = Witness(sequence: sequence > 2 ? sequence - 2 : 0, hash: 0)
        try Data(lagging.encoded()).write(to: path)
    }

    /// Finds the point in the sequence of writes that the store came back to.
    private func recover(_ store: PartitionStore, least: Int) throws {
        let found = (0..<Self.partitions).map { store.recoveredLog(of: PartitionID($0)) }
        var model = base
        for reached in 0...entries.count {
            if reached > 0 {
                let (partition, entry, time) = entries[reached - 1]
                model[partition].add(entry, time: time)
            }
            if reached >= least, zip(model, found).allSatisfy({ $0.matches($1) }) {
                base = model
                now = model
                return
            }
        }
        Issue.record("no point from \(least) of \(entries.count) on is what was found: \(found)")
        throw StoreError.closed
    }

    private func check(_ store: PartitionStore) throws {
        for partition in 0..<Self.partitions {
            let id = PartitionID(partition)
            #expect(store.logEnd(of: id) == now[partition].end)
            let applied = store.appliedPosition(of: id).rawValue
            #expect(applied <= committed[partition])
            for position in 0..<applied {
                let actor = try store.actor(ActorID(rawValue: position + 1), in: id)
                #expect(actor?.createdAt == now[partition].records[Int(position)].time, "what was committed")
            }
        }
    }

    private func batch() -> [(partition: PartitionID, write: LogWrite)] {
        let writes = (0..<Int.random(in: 1...3, using: &random)).map { _ in write() }
        batchEnds.append(entries.count)
        return writes
    }

    private func write() -> (partition: PartitionID, write: LogWrite) {
        let partition = Int.random(in: 0..<Self.partitions, using: &random)
        let id = PartitionID(partition)
        let end = now[partition].end
        switch random.next() % 8 {
        case 0:
            let epoch = Epoch(rawValue: now[partition].promised + random.next() % 3)
            note(partition, .control(ControlEntry(partition: id, kind: .adopt(epoch))), time: 0)
            return (id, .adopt(epoch))
        case 1:
            let last = UInt64.random(in: committed[partition]...end.position.rawValue, using: &random)
            let position = LogPosition(rawValue: last)
            note(partition, .control(ControlEntry(partition: id, kind: .truncate(after: position))), time: 0)
            return (id, .truncate(after: position))
        default:
            var log = LogMaker(partition, end: end)
            log.epoch = max(1, now[partition].promised)
            let records = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                names += 1
                let size = Int.random(in: 1...2_000, using: &random)
                let value = [UInt8](repeating: UInt8(names & 255), count: size)
                log.end.time = UInt64(names)
                let record = log.turn(
                    nil, .create(address("A", "\(names)"), time: UInt64(names + 1)), .set(.state, value))
                note(partition, .record(record), time: log.end.time)
                return record
            }
            return (id, .append(records.map(\.logRecord)))
        }
    }

    private func note(_ partition: Int, _ entry: JournalEntry, time: UInt64) {
        now[partition].add(entry, time: time)
        entries.append((partition, entry, time))
    }

    /// Commits part of what is durable.
    private func commit(_ store: PartitionStore, _ listener: Listener) throws {
        for partition in 0..<Self.partitions where random.next() % 2 == 0 {
            let end = now[partition].end.position.rawValue
            committed[partition] = UInt64.random(in: committed[partition]...end, using: &random)
            let position = LogPosition(rawValue: committed[partition])
            guard store.appliedPosition(of: PartitionID(partition)) < position else { continue }
            let durable = listener.durable(partition)
            let found = durable == .zero ? store.logEnd(of: PartitionID(partition)).position : durable
            try #require(found >= position, "what was reported as durable is (R6)")
            store.commit([DurableMark(partition: PartitionID(partition), position: position)])
            store.requestApply([PartitionID(partition)])
            // Tables in the middle of a write could not be copied.
            listener.waitUntilApplied(PartitionID(partition), position)
        }
    }

    /// Reads the journal as an owner does whose follower lags.
    private func read(_ store: PartitionStore) throws -> Int {
        let partition = Int.random(in: 0..<Self.partitions, using: &random)
        let log = now[partition].records
        let after = Int.random(in: 0...log.count, using: &random)
        let answer = Mutex<[LogRecord]?>(nil)
        let semaphore = DispatchSemaphore(value: 0)
        let position = LogPosition(rawValue: UInt64(after))
        store.readLog(of: PartitionID(partition), after: position, bytesMax: 4_000) { records in
            answer.withLock { $0 = records }
            semaphore.signal()
        }
        semaphore.wait()
        guard let records = answer.withLock({ $0 }) else {
            #expect(after < committed[partition], "only what was applied is deleted")
            return 0
        }
        #expect(records.isEmpty == (after == log.count))
        for (record, expected) in zip(records, log[after...]) {
            #expect(record.mark.hash == expected.hash)
            #expect(try LogRecord.verified(record.bytes, of: PartitionID(partition)) == record)
        }
        #expect(records.count <= log.count - after)
        return records.count
    }
}

@Suite struct ReplicaModelTests {
    @Test(arguments: 0..<6 as Range<UInt64>)
    func
        `Whatever is written and wherever a crash comes, the logs are a state that was written (R6, R7, R18)`(
            seed: UInt64
        ) throws
    {
        let walk = ReplicaWalk(seed: seed)
        for life in 0..<5 { try walk.live(life) }
    }
}
