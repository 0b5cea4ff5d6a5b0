import CLibUV
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The thread behind an `EventLoop`: runs jobs between two polls of libuv, and wakes from a poll when others
/// bring some.
///
/// Sound to share: `inbox` is behind a lock and `uv_async_send` may be called from anywhere; everything else
/// is touched on the thread only, which `isCurrent` tells.
package final class LoopThread: @unchecked Sendable {
    private enum Work {
        case job(UnownedJob)
        case call(@Sendable () -> Void)
    }

    private struct Inbox {
        var work: [Work] = []
        var isEnding = false
    }

    let loop: UnsafeMutablePointer<uv_loop_t>
    private let wakeUp: UnsafeMutablePointer<uv_async_t>
    private let prepare: UnsafeMutablePointer<uv_prepare_t>
    private let check: UnsafeMutablePointer<uv_check_t>
    private let idle: UnsafeMutablePointer<uv_idle_t>
    private let name: String
    private let whenEnded: @Sendable (CInt) -> Void
    private let inbox = Mutex(Inbox())
    private let threadID = Atomic<UInt>(0)
    private weak var owner: EventLoop?
    private var work: [Work] = []
    private var endsOfRound: [@Sendable () -> Void] = []
    /// Rounds of jobs between two polls, so that jobs that make jobs do not keep sockets waiting.
    private static let roundsMax = 16

    init(name: String, whenEnded: @escaping @Sendable (CInt) -> Void) {
        self.name = name
        self.whenEnded = whenEnded
        loop = .allocate(capacity: 1)
        wakeUp = .allocate(capacity: 1)
        prepare = .allocate(capacity: 1)
        check = .allocate(capacity: 1)
        idle = .allocate(capacity: 1)
    }

    deinit {
        loop.deallocate()
        wakeUp.deallocate()
        prepare.deallocate()
        check.deallocate()
        idle.deallocate()
    }

    /// Makes the loop and starts its thread. The thread retains this object, and the object the thread needs
    /// is only `owner`, weakly: when nobody else has it, no actor is left that could bring a job.
    func start(for owner: EventLoop) {
        self.owner = owner
        let result = uv_loop_init(loop)
        // Without a loop there is no mesh, and nothing was promised yet.
        precondition(result == 0, "libuv refuses a loop: \(UVError(result))")
        let me = Unmanaged.passUnretained(self).toOpaque()
        uv_async_init(loop, wakeUp) { LoopThread.of($0)?.takeInbox() }
        uv_prepare_init(loop, prepare)
        uv_check_init(loop, check)
        uv_idle_init(loop, idle)
        wakeUp.pointee.data = me
        prepare.pointee.data = me
        check.pointee.data = me
        uv_prepare_start(prepare) { LoopThread.of($0)?.drain() }
        uv_check_start(check) { LoopThread.of($0)?.drain() }
        var thread = uv_thread_t()
        let context = Unmanaged.passRetained(self)
        let started = uv_thread_create(
            &thread,
            { raw in
                guard let raw else { return }
                Unmanaged<LoopThread>.fromOpaque(raw).takeRetainedValue().run()
            }, context.toOpaque())
        // As above.
        precondition(started == 0, "the system refuses a thread: \(UVError(started))")
        pthread_detach(thread)
    }

    private static func of(_ handle: UnsafeMutablePointer<uv_async_t>?) -> LoopThread? {
        handle?.pointee.data.map { Unmanaged<LoopThread>.fromOpaque($0).takeUnretainedValue() }
    }
    private static func of(_ handle: UnsafeMutablePointer<uv_prepare_t>?) -> LoopThread? {
        handle?.pointee.data.map { Unmanaged<LoopThread>.fromOpaque($0).takeUnretainedValue() }
    }
    private static func of(_ handle: UnsafeMutablePointer<uv_check_t>?) -> LoopThread? {
        handle?.pointee.data.map { Unmanaged<LoopThread>.fromOpaque($0).takeUnretainedValue() }
    }

    private func run() {
        threadID.store(Self.currentThread, ordering: .releasing)
        // A write to a connection that was reset is an error to libuv, but first a signal that ends the
        // process.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        nameThread()
        uv_run(loop, UV_RUN_DEFAULT)
        whenEnded(uv_loop_close(loop))
    }

    var isCurrent: Bool { threadID.load(ordering: .relaxed) == Self.currentThread }

    private static var currentThread: UInt {
        #if os(Linux)
        pthread_self()
        #else
        UInt(bitPattern: pthread_self())
        #endif
    }

    // MARK: Jobs

    func accept(_ job: UnownedJob) { accept(.job(job)) }

    /// Runs `body` on the thread, soon, behind what was brought before.
    func post(_ body: @escaping @Sendable () -> Void) { accept(.call(body)) }

    private func accept(_ new: Work) {
        if isCurrent { return work.append(new) }
        let mustWake = inbox.withLock { inbox in
            inbox.work.append(new)
            return inbox.work.count == 1
        }
        if mustWake { uv_async_send(wakeUp) }
    }

    /// The owner is gone, and with it everybody who could bring a job.
    func end() {
        inbox.withLock { $0.isEnding = true }
        uv_async_send(wakeUp)
    }

    /// Several wake-ups may arrive as one, so all of the inbox is taken.
    private func takeInbox() {
        let isEnding = inbox.withLock { inbox in
            work.append(contentsOf: inbox.work)
            inbox.work.removeAll(keepingCapacity: true)
            return inbox.isEnding
        }
        guard isEnding, uv_is_closing(apus_handle(wakeUp)) == 0 else { return }
        for handle in [apus_handle(wakeUp), apus_handle(prepare), apus_handle(check), apus_handle(idle)] {
            uv_close(handle, nil)
        }
    }

    /// Runs before and after each poll: jobs, then the writes that they queued.
    private func drain() {
        guard !work.isEmpty || !endsOfRound.isEmpty, let owner else { return }
        let executor = owner.asUnownedSerialExecutor()
        var rounds = 0
        while rounds < Self.roundsMax, !work.isEmpty || !endsOfRound.isEmpty {
            var running: [Work] = []
            swap(&running, &work)
            for piece in running {
                switch piece {
                case .job(let job): job.runSynchronously(on: executor)
                case .call(let body): body()
                }
            }
            if work.isEmpty { flushRound() }
            rounds += 1
        }
        flushRound()
        if work.isEmpty { uv_idle_stop(idle) } else { uv_idle_start(idle) { _ in } }
    }

    private func flushRound() {
        guard !endsOfRound.isEmpty else { return }
        var ends: [@Sendable () -> Void] = []
        swap(&ends, &endsOfRound)
        for end in ends { end() }
    }

    /// Runs `body` once when the jobs of this round are done. On the thread only.
    func atEndOfRound(_ body: @escaping @Sendable () -> Void) { endsOfRound.append(body) }

    private func nameThread() {
        #if os(Linux)
        // The kernel's own way: glibc's call is hidden from Swift.
        let file = open("/proc/thread-self/comm", O_WRONLY)
        guard file >= 0 else { return }
        let bytes = Array(name.utf8.prefix(15))
        _ = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        close(file)
        #endif
    }
}
