import DequeModule
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Runs the tasks and the work of one shard on one thread, so that what belongs to the shard needs no lock.
///
/// A hop between threads costs more than a small turn, so work arrives in batches: others append to an inbox
/// and wake the thread only when it waits.
///
/// Sound to share: `inbox` is behind a lock, everything else is touched on the shard's
/// thread only, which `isCurrent` tells.
final class ShardExecutor: TaskExecutor, @unchecked Sendable {
    enum Work {
        case job(UnownedJob)
        case call(@Sendable () -> Void)
    }

    private struct Inbox: Sendable {
        var work: [Work] = []
        var isStopped = false
    }

    private let inbox = Mutex(Inbox())
    private let parker = Parker()
    private let threadID = Atomic<UInt>(0)
    private var local = Deque<Work>()
    /// Counts pieces of work; written by the thread only.
    private let done = Atomic<UInt64>(0)
    private let waits = Atomic<Bool>(false)
    /// Work done between two flushes, at the most.
    static let roundMax = 512

    /// Starts the thread.
    /// - Parameters:
    ///   - begin: called on the thread before each round of work.
    ///   - flush: called on the thread after each round of work; hands on what gathered.
    ///   - deadline: called on the thread before it waits; for how many microseconds it may wait at the most,
    ///     nil for no limit.
    func start(
        name: String, begin: @escaping () -> Void, flush: @escaping () -> Void,
        deadline: @escaping () -> UInt64?
    ) {
        // Handed to the new thread and used nowhere else.
        nonisolated(unsafe) let begin = begin
        nonisolated(unsafe) let flush = flush
        nonisolated(unsafe) let deadline = deadline
        Thread.start(name: name) { [self] in
            threadID.store(Self.currentThread, ordering: .releasing)
            loop(begin, flush, deadline)
        }
    }

    var isCurrent: Bool { threadID.load(ordering: .relaxed) == Self.currentThread }

    private static var currentThread: UInt {
        #if os(Linux)
        pthread_self()
        #else
        UInt(bitPattern: pthread_self())
        #endif
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isCurrent { local.append(.job(job)) } else { post(.job(job)) }
    }

    /// Runs work on the thread, soon.
    func post(_ body: @escaping @Sendable () -> Void) {
        if isCurrent { local.append(.call(body)) } else { post(.call(body)) }
    }

    /// Runs work on the thread: at once if this is the thread, else soon.
    func perform(_ body: @escaping @Sendable () -> Void) {
        if isCurrent { body() } else { post(.call(body)) }
    }

    /// Moves on with each piece of work.
    var progress: UInt64 { done.load(ordering: .relaxed) }
    /// Whether the thread has nothing to do.
    var isWaiting: Bool { waits.load(ordering: .relaxed) }
    var isStopped: Bool { inbox.withLock { $0.isStopped } }

    /// Makes the thread look at its deadline again.
    func nudge() { parker.unpark() }

    /// Ends the thread after the work that it has.
    func stop() {
        inbox.withLock { $0.isStopped = true }
        parker.unpark()
    }

    private func post(_ work: Work) {
        let wasEmpty = inbox.withLock { inbox in
            inbox.work.append(work)
            return inbox.work.count == 1
        }
        if wasEmpty { parker.unpark() }
    }

    private func loop(_ begin: () -> Void, _ flush: () -> Void, _ deadline: () -> UInt64?) {
        while true {
            let (arrived, isStopped) = inbox.withLock { inbox in
                defer { inbox.work.removeAll(keepingCapacity: true) }
                return (inbox.work, inbox.isStopped)
            }
            local.append(contentsOf: arrived)
            begin()
            var done = 0
            while done < Self.roundMax, let work = local.popFirst() {
                run(work)
                done += 1
            }
            let wait = deadline()
            flush()
            if !local.isEmpty || !arrived.isEmpty { continue }
            if isStopped { return }
            waits.store(true, ordering: .relaxed)
            parker.park(micros: wait)
            waits.store(false, ordering: .relaxed)
        }
    }

    private func run(_ work: Work) {
        done.store(done.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        switch work {
        case .job(let job): job.runSynchronously(on: asUnownedTaskExecutor())
        case .call(let body): body()
        }
    }
}
