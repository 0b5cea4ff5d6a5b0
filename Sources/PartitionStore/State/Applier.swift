import CAllocator
import DequeModule
import Foundation
import Identifiers
import ReplicationCore
import Synchronization

/// The thread that brings committed records into the partitions' tables, and the tables onto the disk.
final class Applier: Sendable {
    private struct Progress {
        var applied: [LogPosition]
        /// Applied and certain to survive a power failure.
        var synced: [LogPosition]
        /// Partitions whose tables are about to be replaced: what is synced of them says nothing.
        var resetting: Set<Int> = []
        var tell: (@Sendable ([DurableMark]) -> Void)?
    }

    private static let closedPerTrim = 16

    let tables: TableSet
    private let queue: Mutex<ApplyQueue>
    private let progress: Mutex<Progress>
    private let backlog = Atomic<Int>(0)
    /// The clock of the tables' uses at the ends of the last rounds.
    private let uses = Mutex<Deque<UInt64>>([])
    private let clock: @Sendable () -> Duration
    private let bell = Doorbell()
    private let ended = DispatchSemaphore(value: 0)
    private let stopping: Stopping
    /// Kept as long as either thread runs, also if nobody closes the store.
    private let lock: DirectoryLock
    let template: [UInt8]
    private let incoming: IncomingTables
    private let interval: Duration
    private let recordsMax: Int
    private let logBytesMax: Int
    private let heldLogBytesMax: Int

    init(
        tables: TableSet, applied: [LogPosition], template: [UInt8], incoming: IncomingTables,
        configuration: StoreConfiguration, stopping: Stopping, lock: DirectoryLock
    ) {
        self.lock = lock
        self.tables = tables
        self.template = template
        self.incoming = incoming
        self.stopping = stopping
        clock = configuration.clock
        interval = configuration.applyInterval
        recordsMax = configuration.applyRecordsMax
        logBytesMax = configuration.stateLogBytesMax
        heldLogBytesMax = configuration.pinnedStateLogBytesMax
        queue = Mutex(ApplyQueue(applied: applied, urgentBytes: configuration.applyBytesMax))
        let none = [LogPosition](repeating: .zero, count: tables.count)
        progress = Mutex(Progress(applied: applied, synced: none))
    }

    // MARK: Any thread

    /// Bytes appended and not yet applied.
    var backlogBytes: Int { backlog.load(ordering: .relaxed) }
    func addBacklog(_ bytes: Int) { backlog.add(bytes, ordering: .relaxed) }

    func add(_ entries: ArraySlice<JournalEntry>, marks: [DurableMark]) {
        for case .control(let control) in entries {
            guard case .reset = control.kind else { continue }
            // Before the journal's next deletion.
            progress.withLock { _ = $0.resetting.insert(Int(control.partition.rawValue)) }
        }
        let (isUrgent, cutBytes) = queue.withLock { $0.add(entries, marks: marks) }
        if cutBytes > 0 { backlog.subtract(cutBytes, ordering: .relaxed) }
        if isUrgent { bell.ring() }
    }

    /// Takes records that were durable when the directory was opened and are not known to be committed.
    func hold(_ unapplied: [[SealedRecord]]) {
        for records in unapplied {
            addBacklog(records.reduce(0) { $0 + $1.bytes.count })
            add(records.map { .record($0) }[...], marks: [])
        }
    }

    func expectCut(_ partition: PartitionID, after position: LogPosition) {
        queue.withLock { $0.expectCut(partition, after: position) }
    }

    func commit(_ marks: [DurableMark]) {
        if queue.withLock({ $0.commit(marks) }) { bell.ring() }
    }

    func request(_ partitions: [PartitionID]) {
        if queue.withLock({ $0.request(partitions) }) { bell.ring() }
    }

    /// Applies what is committed of the partitions and makes it durable, soon.
    func sync(_ partitions: [PartitionID]) {
        queue.withLock { $0.wantSync(partitions) }
        bell.ring()
    }

    func applied(_ partition: PartitionID) -> LogPosition {
        progress.withLock { $0.applied[Int(partition.rawValue)] }
    }

    /// Calls `body` with a function that says how far a partition is durably applied.
    func withSynced<Result: Sendable>(_ body: ((PartitionID) -> LogPosition) -> Result) -> Result {
        progress.withLock { progress in
            body {
                let index = Int($0.rawValue)
                return progress.resetting.contains(index) ? .zero : progress.synced[index]
            }
        }
    }

    func listen(_ tell: @escaping @Sendable ([DurableMark]) -> Void) { progress.withLock { $0.tell = tell } }

    // MARK: The apply thread

    func start() {
        let thread = Thread { [self] in run() }
        thread.name = "apus.apply"
        thread.start()
    }

    /// Ends the thread after everything committed was applied.
    func requestStop() {
        queue.withLock { $0.isClosing = true }
        bell.ring()
    }

    func waitForEnd() { ended.wait() }

    /// The thread's life; `waitForEnd` returns after it.
    func run() {
        defer { ended.signal() }
        var nextRound = clock() + interval
        while true {
            let now = clock()
            let isRound = now >= nextRound
            if isRound { nextRound = now + interval }
            switch step(isRound: isRound) {
            case .worked: continue
            case .idle: bell.wait(atMost: nextRound - clock())
            case .ended: return
            }
        }
    }

    enum Step {
        case worked
        case idle
        case ended
    }

    /// Applies what is urgent, or in a round whatever is committed.
    func step(isRound: Bool) -> Step {
        guard stopping.error == nil else { return .ended }
        let (due, isClosing) = queue.withLock { queue in
            (queue.due(everything: isRound || queue.isClosing), queue.isClosing)
        }
        do {
            try round(apply: due.apply, sync: due.sync)
        } catch {
            stopping.fail(error)
            return .ended
        }
        if isClosing && due.apply.isEmpty { return .ended }
        // Each has a cache and an index of its log; many of them together are worth giving back.
        if isRound, uses.withLock({ tables.closeUnused(&$0) }) >= Self.closedPerTrim {
            apus_allocator_trim()
        }
        return due.apply.isEmpty ? .idle : .worked
    }

    private func round(apply: [Int], sync: [Int]) throws(StoreError) {
        let sync = Set(sync)
        var marks: [DurableMark] = []
        for index in apply {
            var logBytes = 0
            if let reset = queue.withLock({ $0.reset(index) }) {
                try replace(index, reset)
                marks.append(DurableMark(partition: PartitionID(index), position: reset.mark.position))
            }
            while true {
                let records = queue.withLock { $0.take(index, recordsMax: recordsMax) }
                guard let last = records.last else { break }
                logBytes = try tables[index].apply(Array(records), template: template)
                progress.withLock { $0.applied[index] = last.position }
                backlog.subtract(records.reduce(0) { $0 + $1.bytes.count }, ordering: .relaxed)
                marks.append(DurableMark(partition: PartitionID(index), position: last.position))
            }
            if logBytes > logBytesMax || sync.contains(index) {
                let synced = try tables[index].checkpoint(heldLogBytesMax: heldLogBytesMax)
                progress.withLock { $0.synced[index] = synced }
            }
            tables.closeIdle()
        }
        guard !marks.isEmpty else { return }
        progress.withLock { $0.tell }?(marks)
    }

    /// The journal has said that the log begins anew: now the tables do.
    private func replace(_ index: Int, _ reset: LogReset) throws(StoreError) {
        try tables[index].replace(from: incoming, image: reset.image)
        progress.withLock { progress in
            progress.applied[index] = reset.mark.position
            progress.synced[index] = reset.mark.position
            progress.resetting.remove(index)
        }
        queue.withLock { $0.endReset(index) }
        incoming.end(PartitionID(index), .success(()))
    }
}
