import CLibUV

/// One thread that runs one libuv loop, and the executor of the actors that live on it.
///
/// An actor whose `unownedExecutor` is this loop is called from the loop's callbacks, and calls other such
/// actors, without a hop (`assumeIsolated`). Nothing that blocks may run here: no SQLite, no user code
/// (`cluster.md` 2.2.4). The thread lives as long as this object.
public final class EventLoop: SerialExecutor, Sendable {
    package let thread: LoopThread

    /// Starts the thread.
    /// - Parameter name: shown by `top -H`, at most 15 bytes of it.
    public convenience init(name: String = "mesh") { self.init(name: name) { _ in } }

    /// - Parameter whenEnded: called on the thread at its very end, with what `uv_loop_close` says: zero if
    ///   every handle was closed.
    init(name: String, whenEnded: @escaping @Sendable (CInt) -> Void) {
        thread = LoopThread(name: name, whenEnded: whenEnded)
        thread.start(for: self)
    }

    deinit { thread.end() }

    public func enqueue(_ job: consuming ExecutorJob) { thread.accept(UnownedJob(job)) }

    /// Runs `body` on the loop's thread, soon; in the order of the calls if they come from one thread.
    public func post(_ body: @escaping @Sendable () -> Void) { thread.post(body) }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    public func checkIsolated() {
        // Going on would let two threads touch what only one may.
        precondition(thread.isCurrent, "this must run on the thread of the event loop")
    }

    public func isIsolatingCurrentContext() -> Bool? { thread.isCurrent }

    /// The time since an unspecified moment, as all deadlines of the mesh are measured.
    public static var now: Duration { .nanoseconds(Int64(bitPattern: uv_hrtime())) }
}
