#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Lets one thread wait until another one says that there is something to do. A word said before the wait
/// counts.
///
/// Sound to share: the mutex and the condition are made for it, live as long as the object, and guard
/// `isTold`.
final class Parker: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var isTold = false

    init() {
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        #if os(Linux)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        #endif
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func unpark() {
        pthread_mutex_lock(mutex)
        isTold = true
        pthread_mutex_unlock(mutex)
        // After the unlock, or the thread would wake only to wait for the mutex.
        pthread_cond_signal(condition)
    }

    /// Waits until told, or for that long.
    func park(micros: UInt64?) {
        pthread_mutex_lock(mutex)
        defer {
            isTold = false
            pthread_mutex_unlock(mutex)
        }
        guard let micros else {
            while !isTold { pthread_cond_wait(condition, mutex) }
            return
        }
        var limit = timespec()
        #if os(Linux)
        clock_gettime(CLOCK_MONOTONIC, &limit)
        #else
        clock_gettime(CLOCK_REALTIME, &limit)
        #endif
        // An hour is as good as for ever: the caller computes its wait anew.
        let wait = min(micros, 3_600_000_000)
        limit.tv_sec += Int(wait / 1_000_000)
        limit.tv_nsec += Int(wait % 1_000_000) * 1_000
        if limit.tv_nsec >= 1_000_000_000 {
            limit.tv_sec += 1
            limit.tv_nsec -= 1_000_000_000
        }
        while !isTold, pthread_cond_timedwait(condition, mutex, &limit) == 0 {}
    }
}

/// A thread of the operating system, with a name that `top -H` shows.
enum Thread {
    private final class Start {
        let name: String
        let body: () -> Void
        init(name: String, body: @escaping () -> Void) {
            self.name = name
            self.body = body
        }
    }

    static func start(name: String, _ body: @escaping @Sendable () -> Void) {
        let context = Unmanaged.passRetained(Start(name: name, body: body))
        #if os(Linux)
        var thread = pthread_t()
        #else
        var thread: pthread_t?
        #endif
        let result = pthread_create(
            &thread, nil,
            { raw in
                #if os(Linux)
                let start = Unmanaged<Start>.fromOpaque(raw!).takeRetainedValue()
                Thread.nameCurrent(start.name)
                #else
                let start = Unmanaged<Start>.fromOpaque(raw).takeRetainedValue()
                #endif
                start.body()
                return nil
            }, context.toOpaque())
        // Without its threads a host cannot work at all, and nothing was promised yet.
        precondition(result == 0, "the system refuses a thread: error \(result)")
        #if os(Linux)
        pthread_detach(thread)
        #endif
    }

    #if os(Linux)
    /// The kernel's own way: glibc's call is hidden from Swift.
    private static func nameCurrent(_ name: String) {
        let file = open("/proc/thread-self/comm", O_WRONLY)
        guard file >= 0 else { return }
        let bytes = Array(name.utf8.prefix(15))
        _ = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        close(file)
    }
    #endif
}
