import ByteCoding
import FaultyDisk
import Identifiers
import ReplicationCore
import Synchronization
import TimeAndChance

@testable import PartitionStore

/// A promise of the store that it did not keep.
struct BrokenPromise: Error, CustomStringConvertible {
    var description: String
}

/// Several lives of one store on a disk that fails, from a seed: appends, commits, truncations, snapshots,
/// and the end of each life at any moment, also inside of a commit or of an opening. After each, what is
/// found must be what was promised, and nothing that was not appended.
final class DiskTrial {
    /// What the store's callbacks said.
    final class Heard: Sendable {
        enum News {
            case commit(GroupCommit, isAfterFailure: Bool)
            case read(Int, after: LogPosition, [LogRecord]?)
            case installed(Int)
        }
        struct State {
            var news: [News] = []
            var failure: StoreError?
        }
        private let state = Mutex(State())

        func commit(_ commit: GroupCommit) {
            state.withLock { $0.news.append(.commit(commit, isAfterFailure: $0.failure != nil)) }
        }
        func fail(_ error: StoreError) { state.withLock { $0.failure = error } }
        func read(_ partition: Int, after: LogPosition, _ records: [LogRecord]?) {
            state.withLock { $0.news.append(.read(partition, after: after, records)) }
        }
        func installed(_ partition: Int) { state.withLock { $0.news.append(.installed(partition)) } }
        func take() -> [News] {
            state.withLock { state in
                defer { state.news = [] }
                return state.news
            }
        }
        var failure: StoreError? { state.withLock { $0.failure } }
    }

    /// The time, and random numbers for the store.
    final class World: Sendable {
        let now = Mutex(Duration.zero)
        let random: Mutex<SplitMix64>
        init(seed: UInt64) { random = Mutex(SplitMix64(seed: seed)) }
    }

    let seed: UInt64
    let disk = FaultyDisk()
    let world: World
    var random: SplitMix64
    var configuration: StoreConfiguration
    let partitions: Int
    var isReplicated: Bool { configuration.isReplicated }
    /// A disk that says it syncs and does not, from the second life on.
    var isLying = false
    /// Nothing but SQLite tells where the journal ends when a bit of its log flips.
    var forgetsWitness = false

    var store: PartitionStore?
    var heard = Heard()
    /// What was reported as durable, or read at the last opening.
    var durable: TrialLogs
    /// Appended after that, and in the end of what was appended.
    var pending: [TrialEntry] = []
    var appended: TrialLogs
    /// Which pending entry is the last of a batch.
    var batches: [(batch: UInt64, end: Int)] = []
    var nextBatch: UInt64 = 0
    var epochs: [UInt64]
    /// Partitions whose log is about to begin anew: nothing is appended to them.
    var installing: Set<Int> = []
    var reader: SnapshotReader?
    var committed: [LogPosition]
    /// The tables at some position that was found in the store.
    var tables: [TrialTables]

    // What it did.
    var steps = 0
    var lives = 0
    var crashes = 0
    var faults = 0
    var rots = 0
    var damagesFound = 0
    var trace: UInt64 = 0
    var events: [String] = []
    var keptEvents = 60

    init(seed: UInt64) {
        self.seed = seed
        random = SplitMix64(seed: seed)
        world = World(seed: seed &+ 1)
        partitions = [1, 2, 4][Int.random(in: 0..<3, using: &random)]
        configuration = StoreConfiguration(directory: disk.root + "/data")
        durable = TrialLogs(partitions: partitions)
        appended = durable
        epochs = [UInt64](repeating: 1, count: partitions)
        committed = [LogPosition](repeating: .zero, count: partitions)
        tables = [TrialTables](repeating: TrialTables(), count: partitions)
        configure()
    }

    /// Limits that may be extreme.
    private func configure() {
        func one(of values: [Int]) -> Int { values[Int.random(in: 0..<values.count, using: &random)] }
        configuration.partitionCount = partitions
        configuration.isReplicated = Bool.random(using: &random)
        configuration.isStepped = true
        configuration.batchBytesMax = one(of: [500, 4_000, 1 << 20])
        configuration.batchRecordsMax = one(of: [1, 3, 16_384])
        configuration.applyBytesMax = one(of: [1, 2_000, 1 << 20])
        configuration.applyRecordsMax = one(of: [1, 10, 4_096])
        configuration.journalBytesMax = one(of: [2_000, 20_000, 64 << 20])
        configuration.journalLogBytesMax = one(of: [4_096, 50_000, 16 << 20])
        configuration.journalLogStep = one(of: [0, 8_192, 100_000])
        configuration.stateLogBytesMax = one(of: [0, 20_000, 1 << 20])
        configuration.snapshotChunkBytes = one(of: [4_096, 256 << 10])
        configuration.pinnedJournalBytesMax = one(of: [0, 10_000, 256 << 20])
        configuration.pinnedStateLogBytesMax = one(of: [0, 30_000, 256 << 20])
        configuration.openTablesMax = one(of: [1, 512])
        configuration.clock = { [world] in world.now.withLock { $0 } }
        configuration.random = { [world] in world.random.withLock { $0.next() } }
    }

    func chance(_ one: Int, of all: Int) -> Bool { Int.random(in: 0..<all, using: &random) < one }

    func note(_ event: String) {
        for byte in event.utf8 { trace = (trace ^ UInt64(byte)) &* 0x100_0000_01B3 }
        events.append(event)
        if events.count > keptEvents { events.removeFirst(20) }
    }

    func broken(_ sentence: String) -> BrokenPromise {
        BrokenPromise(description: sentence + "\n  " + events.joined(separator: "\n  "))
    }

    // MARK: Lives

    /// - Parameter lives: so many, and then perhaps a flipped bit.
    func run(lives: Int) throws {
        for life in 0..<lives {
            if isLying { disk.setLying(life > 0) }
            try live()
        }
        if chance(1, of: 2) { try rot() }
        note("operations \(disk.trace)")
    }

    /// How a life ends.
    private enum End: CaseIterable {
        /// The process alone; what it wrote stays in the system's cache.
        case process
        /// The power, between two steps.
        case power
        /// In the middle of whatever comes after some operations of the disk.
        case middle
        /// In the middle, or at its end, after an error.
        case fault
        case close
    }

    private func live() throws {
        lives += 1
        let end = End.allCases[Int.random(in: 0..<End.allCases.count, using: &random)]
        let after = Int.random(in: 0..<[10, 60, 300][Int.random(in: 0..<3, using: &random)], using: &random)
        note("life \(lives), to end by \(end)")
        switch end {
        case .middle: disk.die(after: after)
        case .fault:
            let faults = FaultyDisk.Fault.allCases
            let fault = faults[Int.random(in: 0..<faults.count, using: &random)]
            note("\(fault) after \(after)")
            disk.fail(fault, after: after / 2)
        case .process, .power, .close: break
        }
        if try open() {
            for _ in 0..<Int.random(in: 5..<60, using: &random) where heard.failure == nil { try step() }
            if end == .close { return try close() }
        }
        if disk.hasFailed, end == .fault { faults += 1 }
        abandon()
        heard = Heard()
        guard disk.openFiles == 0 else { throw broken("\(disk.openFiles) files were left open") }
        crashes += 1
        let mayKeepPower = end == .fault || end == .middle
        if end != .process, !mayKeepPower || chance(2, of: 3) {
            let seed = random.next()
            note("the power fails")
            disk.crash(seed: seed)
        }
        disk.heal()
    }

    /// - Returns: false if the disk failed.
    private func open() throws -> Bool {
        let opened: PartitionStore
        do throws(StoreError) {
            opened = try PartitionStore.open(configuration)
        } catch {
            note("cannot open: \(error)".replacing(disk.root, with: ""))
            guard disk.hasFailed else { throw broken("a sound disk cannot be opened: \(error)") }
            if case .damaged = error { throw broken("a disk that fails is taken for damaged: \(error)") }
            return false
        }
        store = opened
        heard = Heard()
        try recognize(opened)
        opened.start(onCommit: { [heard] in heard.commit($0) }, onFailure: { [heard] in heard.fail($0) })
        nextBatch = 0
        batches = []
        return true
    }

    /// The process crashes.
    func abandon() {
        if Bool.random(using: &random) { reader = nil }
        store?.abandon()
        store = nil
        reader = nil
        installing = []
    }

    private func close() throws {
        guard let store else { return }
        reader = nil
        defer { installing = [] }
        self.store = nil
        do throws(StoreError) {
            try store.close()
        } catch {
            throw broken("cannot be closed: \(error)")
        }
        try hear()
        guard pending.isEmpty else { throw broken("closed, and \(pending.count) entries are not durable") }
        note("closed")
    }

    // MARK: Steps

    func step() throws {
        guard let store else { return }
        steps += 1
        let hadFailed = disk.hasFailed
        switch Int.random(in: 0..<100, using: &random) {
        case ..<30: append(store)
        case ..<34: if isReplicated { truncate(store) }
        case ..<45: commit(store)
        case ..<75: while store.stepJournal(), chance(3, of: 4), heard.failure == nil { try hear() }
        case ..<88: _ = store.stepTables(isRound: chance(1, of: 2))
        case ..<92: world.now.withLock { $0 += .milliseconds(Int.random(in: 0..<2_000, using: &random)) }
        case ..<95: if isReplicated { read(store) }
        case ..<96: if isReplicated { try importTables(into: store) }
        case ..<97: try exportTables(from: store)
        default: try checkTables(store)
        }
        try hear()
        if let failure = heard.failure {
            note("stopped: \(failure)".replacing(disk.root, with: ""))
            guard disk.hasFailed else { throw broken("stopped on a sound disk: \(failure)") }
            _ = (store.stepJournal(), store.stepTables(isRound: true))
            try hear()
        } else if disk.hasFailed, !hadFailed, !disk.isFull, !disk.isDead {
            throw broken("the disk failed, and the store goes on")
        }
    }

    private func append(_ store: PartitionStore) {
        var writes: [(partition: PartitionID, write: LogWrite)] = []
        var records: [SealedRecord] = []
        for _ in 0..<Int.random(in: 1...5, using: &random) {
            let partition = Int.random(in: 0..<partitions, using: &random)
            guard !installing.contains(partition) else { continue }
            let record = makeRecord(partition, in: appended, epoch: epochs[partition])
            add(.record(partition, record))
            records.append(record.sealed)
            writes.append((PartitionID(partition), .append([record.sealed.logRecord])))
        }
        guard !records.isEmpty else { return }
        note("append \(records.map { "\($0.partition.rawValue):\($0.position.rawValue)" })")
        send(writes, records, to: store)
    }

    private func send(
        _ writes: [(partition: PartitionID, write: LogWrite)], _ records: [SealedRecord],
        to store: PartitionStore
    ) {
        guard isReplicated else { return store.append(records) }
        nextBatch += 1
        batches.append((nextBatch, pending.count))
        store.append(writes, batch: nextBatch)
    }

    func add(_ entry: TrialEntry) {
        pending.append(entry)
        appended.add(entry)
    }

    func makeRecord(_ partition: Int, in logs: TrialLogs, epoch: UInt64) -> TrialRecord {
        let log = logs.logs[partition]
        var maker = LogMaker(partition, end: log.end)
        maker.epoch = epoch
        let size = [3, 40, 900, 6_000][Int.random(in: 0..<4, using: &random)]
        let bytes = [UInt8](repeating: UInt8.random(in: .min ... .max, using: &random), count: size)
        var alive: [UInt64] = []
        for record in log.records.suffix(12) {
            if case .create = record.operations.first { alive.append(record.end.position.rawValue) }
            if record.operations.contains(.destroy) { alive.removeAll { $0 == record.actor } }
        }
        let actor = chance(2, of: 3) ? alive.randomElement(using: &random) : nil
        let id: [UInt8] = [UInt8.random(in: 0..<3, using: &random)]
        let operations: [TurnOperation] =
            if actor == nil {
                [.create(address("A", "\(log.end.position.next.rawValue)"), time: 1), .set(.state, bytes)]
            } else if chance(1, of: 5) {
                [.destroy]
            } else {
                [
                    .set(.state, bytes),
                    chance(1, of: 3) ? .delete(.history, id: id) : .put(.history, id: id, bytes),
                ]
            }
        let sealed = maker.turn(actor, operations)
        return TrialRecord(sealed: sealed, end: maker.end, actor: actor, operations: operations)
    }

    /// A new owner's log is shorter: what nobody has committed goes, in its epoch.
    private func truncate(_ store: PartitionStore) {
        let partition = Int.random(in: 0..<partitions, using: &random)
        guard !installing.contains(partition) else { return }
        let end = appended.logs[partition].end.position.rawValue
        let position = LogPosition(
            rawValue: UInt64.random(in: committed[partition].rawValue...end, using: &random))
        epochs[partition] += 1
        let epoch = Epoch(rawValue: epochs[partition])
        note("adopt \(epochs[partition]) and cut \(partition) after \(position.rawValue) of \(end)")
        add(.adopt(partition, epoch))
        add(.truncate(partition, position))
        let id = PartitionID(partition)
        send([(id, .adopt(epoch)), (id, .truncate(after: position))], [], to: store)
    }

    /// What all replicas have is committed; here that is some of what is durable.
    private func commit(_ store: PartitionStore) {
        var marks: [DurableMark] = []
        for partition in 0..<partitions where !installing.contains(partition) {
            // What is about to be cut off is not committed.
            let kept = min(durable.logs[partition].records.count, keptOfDurable(partition))
            guard kept > Int(committed[partition].rawValue), chance(2, of: 3) else { continue }
            committed[partition].rawValue =
                UInt64.random(in: committed[partition].rawValue...UInt64(kept), using: &random)
            marks.append(DurableMark(partition: PartitionID(partition), position: committed[partition]))
        }
        note("commit \(marks.map { "\($0.partition.rawValue):\($0.position.rawValue)" })")
        store.commit(marks)
        if chance(1, of: 2) { store.requestApply(marks.map(\.partition)) }
    }

    private func keptOfDurable(_ partition: Int) -> Int {
        var kept = Int.max
        for case .truncate(partition, let position) in pending { kept = min(kept, Int(position.rawValue)) }
        return kept
    }
}
