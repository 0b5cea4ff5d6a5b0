import DequeModule
import Synchronization
import TimeAndChance

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

    /// What a shard does around its work; all of it is called where the work runs.
    struct Duties {
        /// Called before each round of work.
        var begin: () -> Void
        /// Called after each round of work; hands on what gathered.
        var flush: () -> Void
        /// Called before the thread waits; for how many microseconds it may wait at the most, nil for no
        /// limit.
        var deadline: () -> UInt64?
    }

    private let inbox = Mutex(Inbox())
    private let parker = Parker()
    private let threadID = Atomic<UInt>(0)
    private var local = Deque<Work>()
    /// Counts pieces of work; written by the thread only.
    private let done = Atomic<UInt64>(0)
    private let waits = Atomic<Bool>(false)
    /// What a stepped executor does around its work; a thread keeps that to itself.
    private var duties: Duties?
    /// Decides which task goes on next, if that is not the one that is ready for longest.
    private var order: SplitMix64?
    /// Work done between two flushes, at the most.
    static let roundMax = 512

    /// Starts the thread.
    func start(name: String, _ duties: Duties) {
        // Handed to the new thread and used nowhere else.
        nonisolated(unsafe) let duties = duties
        Thread.start(name: name) { [self] in
            threadID.store(Self.currentThread, ordering: .releasing)
            loop(duties)
        }
    }

    // MARK: Without a thread

    /// Lets whoever made it run the rounds, by `step`.
    /// - Parameter seed: decides in which order tasks that are ready go on, which Swift leaves open. What was
    ///   posted keeps its order: the host counts on that.
    func startStepped(seed: UInt64, _ duties: Duties) {
        self.duties = duties
        order = SplitMix64(seed: seed)
    }

    /// Runs one round on the calling thread, in place of a thread of its own.
    /// - Returns: whether there was something to do, or is.
    @discardableResult
    func step() -> Bool {
        guard let duties else { return false }
        threadID.store(Self.currentThread, ordering: .relaxed)
        defer { threadID.store(0, ordering: .relaxed) }
        return round(duties).isBusy
    }

    /// Whether a stepped executor has something to do besides what is due at some time.
    var hasWork: Bool { !local.isEmpty || inbox.withLock { !$0.work.isEmpty } }

    /// Ends what `startStepped` began.
    func endStepped() { duties = nil }

    // MARK: Work

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

    private func loop(_ duties: Duties) {
        while true {
            let (isBusy, isStopped, wait) = round(duties)
            if isBusy { continue }
            if isStopped { return }
            waits.store(true, ordering: .relaxed)
            parker.park(micros: wait)
            waits.store(false, ordering: .relaxed)
        }
    }

    /// Does what has arrived, and hands on what comes of it.
    private func round(_ duties: Duties) -> (isBusy: Bool, isStopped: Bool, wait: UInt64?) {
        let (arrived, isStopped) = inbox.withLock { inbox in
            defer { inbox.work.removeAll(keepingCapacity: true) }
            return (inbox.work, inbox.isStopped)
        }
        local.append(contentsOf: arrived)
        duties.begin()
        var done = 0
        while done < Self.roundMax, let work = nextWork() {
            run(work)
            done += 1
        }
        let wait = duties.deadline()
        duties.flush()
        return (!local.isEmpty || !arrived.isEmpty, isStopped, wait)
    }

    private func nextWork() -> Work? {
        guard order != nil, local.count > 1 else { return local.popFirst() }
        let index = Int((order?.next() ?? 0) % UInt64(local.count))
        if case .job = local[index] { return local.remove(at: index) }
        let first = local.firstIndex { if case .call = $0 { true } else { false } }
        return local.remove(at: first ?? index)
    }

    private func run(_ work: Work) {
        done.store(done.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        switch work {
        case .job(let job): job.runSynchronously(on: asUnownedTaskExecutor())
        case .call(let body): body()
        }
    }
}
