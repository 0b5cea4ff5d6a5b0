import Foundation
import Identifiers
import ReplicationCore
import Synchronization

/// The journal's thread: whatever was appended while it synced the last row goes into the next one. While
/// it sleeps, a caller that would only wait for it may commit in its place, which saves two hops between
/// threads.
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
        /// A caller commits in the place of the sleeping thread.
        var isAssisted = false
        var isClosing = false
    }

    private struct Desk {
        var writer: LaneWriter
        /// Where entries are taken to; kept for its memory.
        var taken: [JournalEntry] = []
        /// The last batch that is on disk as a whole.
        var durable: UInt64 = 0
    }

    /// A wish to read the journal, which only the thread may touch.
    struct Read: Sendable {
        var partition: PartitionID
        var position: LogPosition
        var bytesMax: Int
        var reply: @Sendable ([LogRecord]?) -> Void
    }

    private let inbox: Mutex<Inbox>
    /// Entries are taken from the inbox only by who holds this, so they are committed in their order.
    private let desk: Mutex<Desk?>
    private let onCommit = Mutex<(@Sendable (GroupCommit) -> Void)?>(nil)
    private let applier: Applier
    private let stopping: Stopping
    private let witnessInterval: Duration
    private let bell = Doorbell()
    private let ended = DispatchSemaphore(value: 0)

    init(
        writer: sending LaneWriter, ends: [LogPosition], applier: Applier, witnessInterval: Duration,
        stopping: Stopping
    ) {
        desk = Mutex(Desk(writer: writer))
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

    /// How long a commit may take for a caller to wait in it; on a slower disk the hops do not matter, and
    /// the caller's other work would.
    static let assistLimit = Duration.microseconds(500)

    /// Queues the records, and commits them on the caller's thread if the lane's own sleeps and the disk is
    /// fast.
    func appendAndCommit(_ records: [SealedRecord]) {
        guard isFast.load(ordering: .relaxed) else { return append(records) }
        applier.addBacklog(records.reduce(0) { $0 + $1.bytes.count })
        let (mayAssist, mustWake) = inbox.withLock { inbox in
            for record in records { inbox.add(record) }
            if inbox.isAsleep, !inbox.isAssisted {
                inbox.isAssisted = true
                return (true, false)
            }
            defer { inbox.isAsleep = false }
            return (false, inbox.isAsleep)
        }
        if mustWake { bell.ring() }
        if mayAssist { assist() }
    }

    private func assist() {
        let isThreadNeeded = desk.withLock { desk in
            // The thread has ended; what comes now is lost like everything after the end.
            guard var active = desk.take() else { return false }
            defer { desk = active }
            let wasUnsynced = active.writer.hasUnsyncedWitness
            do throws(StoreError) {
                try commitInbox(&active, tidies: false)
            } catch {
                stopping.fail(error)
                return true
            }
            // Its next wait is to end in time for the witness.
            return active.writer.isUntidy || active.writer.hasUnsyncedWitness && !wasUnsynced
        }
        let mustWake = inbox.withLock { inbox in
            inbox.isAssisted = false
            let isNeeded = isThreadNeeded || !inbox.entries.isEmpty || !inbox.reads.isEmpty
            guard isNeeded, inbox.isAsleep else { return false }
            inbox.isAsleep = false
            return true
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
    /// Whether the last commit took no longer than `assistLimit`.
    private let isFast = Atomic<Bool>(true)

    func start(onCommit: @escaping @Sendable (GroupCommit) -> Void) {
        self.onCommit.withLock { $0 = onCommit }
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
        defer { endReads() }
        do throws(StoreError) {
            while stopping.error == nil, let wait = try round() {
                if case .atMost(let duration) = wait { bell.wait(atMost: duration) }
            }
        } catch {
            stopping.fail(error)
        }
    }

    private enum Wait {
        case none
        case atMost(Duration?)
    }

    /// - Returns: how long the thread may sleep now; nil at its end.
    private func round() throws(StoreError) -> Wait? {
        try desk.withLock { (desk) throws(StoreError) in
            guard var active = desk.take() else { return nil }
            defer { desk = active }
            // One at a time, so that commits never wait for many.
            if let read = inbox.withLock({ $0.reads.isEmpty ? nil : $0.reads.removeFirst() }) {
                try answer(read, active.writer)
            }
            try commitInbox(&active, tidies: true)
            try active.writer.tidy()
            let (isIdle, isClosing) = inbox.withLock { inbox in
                let isIdle = inbox.entries.isEmpty && inbox.reads.isEmpty
                inbox.isAsleep = isIdle && !inbox.isClosing
                return (isIdle, inbox.isClosing)
            }
            guard isIdle else { return Wait.none }
            return isClosing ? nil : .atMost(active.writer.hasUnsyncedWitness ? witnessInterval : nil)
        }
    }

    /// Commits what has gathered.
    private func commitInbox(_ desk: inout Desk, tidies: Bool) throws(StoreError) {
        desk.taken.removeAll(keepingCapacity: desk.taken.capacity < 65_536)
        let batches = inbox.withLock { inbox in
            swap(&inbox.entries, &desk.taken)
            defer { inbox.batches.removeAll() }
            return inbox.batches
        }
        guard !desk.taken.isEmpty else { return }
        let onCommit = onCommit.withLock { $0 }
        var start = 0
        while start < desk.taken.count, stopping.error == nil {
            let began = ContinuousClock.now
            let (end, marks) = try desk.writer.commit(desk.taken, from: start)
            isFast.store(ContinuousClock.now - began <= Self.assistLimit, ordering: .relaxed)
            commits.add(1, ordering: .relaxed)
            applier.add(desk.taken[start..<end], marks: marks)
            desk.durable = batches.last { $0.end <= end }?.batch ?? desk.durable
            onCommit?(GroupCommit(marks: marks, batch: desk.durable))
            start = end
            if tidies { try desk.writer.tidy() }
        }
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
        try desk.withLock { (desk) throws(StoreError) in
            defer { desk = nil }
            try desk?.writer.syncWitness()
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
        entries.append(.control(control))
    }
}
