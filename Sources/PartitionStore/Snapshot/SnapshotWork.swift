import DequeModule
import Dispatch
import Synchronization

/// What snapshots of one store share.
struct SnapshotWork: Sendable {
    let queue: SnapshotQueue
    let pins: JournalPins
    let incoming: IncomingTables
    let chunkBytes: Int
    let random: @Sendable () -> UInt64

    /// Answers whoever still waits, once the tables are closed.
    func end() {
        queue.drain()
        incoming.endAll()
    }

    /// A number that no other snapshot has.
    func number() -> UInt64 { max(1, random()) }
}

/// Reads and writes snapshots, one piece after the other: on a thread of its own, or step by step.
final class SnapshotQueue: Sendable {
    private let thread: DispatchQueue?
    private let waiting = Mutex<Deque<@Sendable () -> Void>>([])
    private let isAbandoned = Atomic<Bool>(false)

    init(isStepped: Bool) { thread = isStepped ? nil : DispatchQueue(label: "apus.snapshots") }

    func async(_ piece: @escaping @Sendable () -> Void) {
        if let thread { return thread.async(execute: piece) }
        guard !isAbandoned.load(ordering: .relaxed) else { return }
        waiting.withLock { $0.append(piece) }
    }

    /// - Returns: whether there was anything to do.
    func step() -> Bool {
        guard let piece = waiting.withLock({ $0.popFirst() }) else { return false }
        piece()
        return true
    }

    /// Returns when everything is done that was asked for.
    func drain() {
        thread?.sync {}
        while step() {}
    }

    /// Forgets what was asked for.
    func abandon() {
        isAbandoned.store(true, ordering: .relaxed)
        let forgotten = waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        withExtendedLifetime(forgotten) {}
    }
}
