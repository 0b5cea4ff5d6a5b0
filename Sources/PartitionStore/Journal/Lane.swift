import Foundation
import Identifiers
import ReplicationCore
import Synchronization

/// The journal's thread, or its steps without one: whatever was appended while it synced the last row goes
/// into the next one.
final class Lane: Sendable {
    fileprivate struct Inbox {
        var entries: [JournalEntry] = []
        /// Where each batch ends in `entries`.
        var batches: [(batch: UInt64, end: Int)] = []
        /// The last position appended, by partition.
        var ends: [LogPosition]
        var reads: [Read] = []
        /// The thread answers no reads any more.
        var isEnded = false
        var isAsleep = false
        var isClosing = false
    }

    /// A wish to read the journal, which only the thread may touch.
    struct Read: Sendable {
        var partition: PartitionID
        var position: LogPosition
        var bytesMax: Int
        var reply: @Sendable ([LogRecord]?) -> Void
    }

    private let inbox: Mutex<Inbox>
    /// What only the thread touches, or whoever steps.
    private struct Work {
        var writer: LaneWriter
        /// What was taken from the inbox; what lies before `next` is committed.
        var taken: [JournalEntry] = []
        var next = 0
        /// Where each batch ends in `taken`.
        var batches: [(batch: UInt64, end: Int)] = []
        var durable: UInt64 = 0
        var onCommit: (@Sendable (GroupCommit) -> Void)?
    }
    private let work: Mutex<Work?>
    private let applier: Applier
    private let stopping: Stopping
    private let witnessInterval: Duration
    private let bell = Doorbell()
    private let ended = DispatchSemaphore(value: 0)

    init(
        writer: sending LaneWriter, ends: [LogPosition], applier: Applier, witnessInterval: Duration,
        stopping: Stopping
    ) {
        work = Mutex(Work(writer: writer))
        inbox = Mutex(Inbox(ends: ends))
        self.applier = applier
        self.witnessInterval = witnessInterval
        self.stopping = stopping
    }

    /// Queues the records. Never waits for the disk.
    func append(_ records: [SealedRecord]) {
        applier.addBacklog(records.reduce(0) { $0 + $1.bytes.count })
        let mustWake = inbox.withLock { inbox in
            for record in records { inbox.add(record) }
            defer { inbox.isAsleep = false }
            return inbox.isAsleep
        }
        if mustWake { bell.ring() }
    }

    /// Queues what a replica writes, as one batch.
    func append(_ entries: [JournalEntry], batch: UInt64) {
        var bytes = 0
        for entry in entries {
            switch entry {
            case .record(let record):
                bytes += record.bytes.count
            case .control(let control):
                guard case .truncate(let position) = control.kind else { continue }
                // Before the lane can get to it, and before the caller can commit anything behind it.
                applier.expectCut(control.partition, after: position)
            }
        }
        applier.addBacklog(bytes)
        let mustWake = inbox.withLock { inbox in
            for entry in entries {
                switch entry {
                case .record(let record): inbox.add(record)
                case .control(let control): inbox.add(control)
                }
            }
            inbox.batches.append((batch, inbox.entries.count))
            defer { inbox.isAsleep = false }
            return inbox.isAsleep
        }
        if mustWake { bell.ring() }
    }

    /// Queues that a partition's log begins anew, after everything appended so far.
    /// - Returns: false if the lane has ended.
    func append(_ reset: ControlEntry) -> Bool {
        let (mustWake, isEnded) = inbox.withLock { inbox in
            if inbox.isEnded { return (false, true) }
            inbox.add(reset)
            defer { inbox.isAsleep = false }
            return (inbox.isAsleep, false)
        }
        if mustWake { bell.ring() }
        return !isEnded
    }

    /// Reads between two commits, and answers on the journal's thread.
    func read(_ read: Read) {
        let (mustWake, isEnded) = inbox.withLock { inbox in
            if inbox.isEnded { return (false, true) }
            inbox.reads.append(read)
            defer { inbox.isAsleep = false }
            return (inbox.isAsleep, false)
        }
        if mustWake { bell.ring() }
        if isEnded { read.reply(nil) }
    }

    /// Answers what nobody will read any more.
    private func endReads() {
        let reads = inbox.withLock { inbox in
            defer { inbox.reads = [] }
            inbox.isEnded = true
            return inbox.reads
        }
        for read in reads { read.reply(nil) }
    }

    /// Group commits since the start.
    let commits = Atomic<UInt64>(0)

    /// Sets what is told of each group commit.
    func listen(_ onCommit: @escaping @Sendable (GroupCommit) -> Void) {
        work.withLock { $0?.onCommit = onCommit }
    }

    func start() {
        let thread = Thread { [self] in run() }
        thread.name = "apus.lane.0"
        thread.start()
    }

    /// Ends the thread after everything appended was committed.
    func requestStop() {
        inbox.withLock { $0.isClosing = true }
        bell.ring()
    }

    func waitForEnd() { ended.wait() }

    /// The thread's life; `waitForEnd` returns after it.
    func run() {
        defer { ended.signal() }
        while true {
            switch step() {
            case .worked: continue
            case .idle(let wait): bell.wait(atMost: wait)
            case .ended: return
            }
        }
    }

    enum Step {
        case worked
        /// Nothing is to be done before something is appended, or so much time is over.
        case idle(Duration?)
        case ended
    }

    /// One read, one group commit with what follows it, or what may wait for a quiet moment.
    func step() -> Step {
        let step = work.withLock { work -> Step in
            guard work != nil, stopping.error == nil else { return .ended }
            do throws(StoreError) {
                return try self.step(&work!)
            } catch {
                stopping.fail(error)
                return .ended
            }
        }
        if case .ended = step { endReads() }
        return step
    }

    private func step(_ work: inout Work) throws(StoreError) -> Step {
        if work.next < work.taken.count {
            try commit(&work)
            return .worked
        }
        work.taken.removeAll(keepingCapacity: work.taken.capacity < 65_536)
        work.next = 0
        let (isClosing, read) = inbox.withLock { inbox in
            swap(&inbox.entries, &work.taken)
            work.batches = inbox.batches
            inbox.batches.removeAll()
            let read = inbox.reads.isEmpty ? nil : inbox.reads.removeFirst()
            inbox.isAsleep = work.taken.isEmpty && read == nil
            return (inbox.isClosing, read)
        }
        // One at a time, so that commits never wait for many.
        if let read {
            try answer(read, work.writer)
            return .worked
        }
        if !work.taken.isEmpty {
            try commit(&work)
            return .worked
        }
        if isClosing { return .ended }
        if try work.writer.tidy() { return .worked }
        return .idle(work.writer.hasUnsyncedWitness ? witnessInterval : nil)
    }

    private func commit(_ work: inout Work) throws(StoreError) {
        let start = work.next
        let (end, marks) = try work.writer.commit(work.taken, from: start)
        work.next = end
        commits.add(1, ordering: .relaxed)
        applier.add(work.taken[start..<end], marks: marks)
        work.durable = work.batches.last { $0.end <= end }?.batch ?? work.durable
        work.onCommit?(GroupCommit(marks: marks, batch: work.durable))
        try work.writer.tidy()
    }

    private func answer(_ read: Read, _ writer: LaneWriter) throws(StoreError) {
        do throws(StoreError) {
            read.reply(
                try writer.records(of: read.partition, after: read.position, bytesMax: read.bytesMax))
        } catch {
            // Every read is answered; the error stops the store.
            read.reply(nil)
            throw error
        }
    }

    /// Syncs the witness and closes the journal. Call after the thread has ended.
    func close() throws(StoreError) {
        try work.withLock { (work) throws(StoreError) in
            defer { work = nil }
            try work?.writer.syncWitness()
        }
    }

    /// Lets go of the files as a crash would; nobody is told.
    func abandon() {
        work.withLock { $0 = nil }
        inbox.withLock { inbox in
            inbox.isEnded = true
            inbox.reads = []
            inbox.entries = []
        }
    }
}

extension Lane.Inbox {
    fileprivate mutating func add(_ record: SealedRecord) {
        let index = Int(record.partition.rawValue)
        // A gap or a repetition would be found as damage at the next start, when it is too late (D17).
        precondition(
            record.position == ends[index].next,
            """
            record \(record.position.rawValue) of partition \(index) appended after record \
            \(ends[index].rawValue)
            """)
        ends[index] = record.position
        entries.append(.record(record))
    }

    fileprivate mutating func add(_ control: ControlEntry) {
        if case .truncate(let position) = control.kind {
            let index = Int(control.partition.rawValue)
            // What is not there cannot be cut off; the next start would find a gap.
            precondition(
                position <= ends[index],
                "partition \(index) cut after record \(position.rawValue) of \(ends[index].rawValue)")
            ends[index] = position
        }
        if case .reset(let reset) = control.kind {
            ends[Int(control.partition.rawValue)] = reset.mark.position
        }
        entries.append(.control(control))
    }
}
