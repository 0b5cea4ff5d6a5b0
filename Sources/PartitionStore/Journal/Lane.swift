import Foundation
import Identifiers
import Synchronization

/// The journal's thread: whatever was appended while it synced the last row goes into the next one.
final class Lane: Sendable {
    private struct Inbox {
        var records: [SealedRecord] = []
        /// The last position appended, by partition.
        var ends: [LogPosition]
        var isAsleep = false
        var isClosing = false
    }

    private let inbox: Mutex<Inbox>
    /// Held by the thread for its whole life; nobody else needs it before the thread has ended.
    private let writer: Mutex<LaneWriter?>
    private let applier: Applier
    private let stopping: Stopping
    private let witnessInterval: Duration
    private let bell = Doorbell()
    private let ended = DispatchSemaphore(value: 0)

    init(
        writer: sending LaneWriter, ends: [LogPosition], applier: Applier, witnessInterval: Duration,
        stopping: Stopping
    ) {
        self.writer = Mutex(writer)
        inbox = Mutex(Inbox(ends: ends))
        self.applier = applier
        self.witnessInterval = witnessInterval
        self.stopping = stopping
    }

    /// Queues the records. Never waits for the disk.
    func append(_ records: [SealedRecord]) {
        applier.addBacklog(records.reduce(0) { $0 + $1.bytes.count })
        let mustWake = inbox.withLock { inbox in
            for record in records {
                let index = Int(record.partition.rawValue)
                // A gap or a repetition would be found as damage at the next start, when it is too late
                // (D17).
                precondition(
                    record.position == inbox.ends[index].next,
                    """
                    record \(record.position.rawValue) of partition \(index) appended after record \
                    \(inbox.ends[index].rawValue)
                    """)
                inbox.ends[index] = record.position
            }
            inbox.records.append(contentsOf: records)
            defer { inbox.isAsleep = false }
            return inbox.isAsleep
        }
        if mustWake { bell.ring() }
    }

    /// Group commits since the start.
    let commits = Atomic<UInt64>(0)

    func start(onDurable: @escaping @Sendable ([DurableMark]) -> Void) {
        let thread = Thread { [self] in run(onDurable: onDurable) }
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
    func run(onDurable: @Sendable ([DurableMark]) -> Void) {
        defer { ended.signal() }
        writer.withLock { writer in
            guard var active = writer.take() else { return }
            defer { writer = active }
            do throws(StoreError) {
                try run(&active, onDurable: onDurable)
            } catch {
                stopping.fail(error)
            }
        }
    }

    private func run(
        _ writer: inout LaneWriter, onDurable: @Sendable ([DurableMark]) -> Void
    ) throws(StoreError) {
        var taken: [SealedRecord] = []
        while stopping.error == nil {
            taken.removeAll(keepingCapacity: taken.capacity < 65_536)
            let isClosing = inbox.withLock { inbox in
                swap(&inbox.records, &taken)
                inbox.isAsleep = taken.isEmpty
                return inbox.isClosing
            }
            if taken.isEmpty {
                if isClosing { return }
                bell.wait(atMost: writer.hasUnsyncedWitness ? witnessInterval : nil)
                try writer.tidy()
                continue
            }
            var start = 0
            while start < taken.count, stopping.error == nil {
                let (end, marks) = try writer.commit(taken, from: start)
                commits.add(1, ordering: .relaxed)
                applier.add(taken[start..<end], marks: marks)
                onDurable(marks)
                start = end
                try writer.tidy()
            }
        }
    }

    /// Syncs the witness and closes the journal. Call after the thread has ended.
    func close() throws(StoreError) {
        try writer.withLock { (writer) throws(StoreError) in
            defer { writer = nil }
            try writer?.syncWitness()
        }
    }
}
