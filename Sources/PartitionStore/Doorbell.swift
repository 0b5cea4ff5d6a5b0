import Dispatch

/// Wakes one thread. Rings that come while it is awake are not lost: the next wait returns at once.
final class Doorbell: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    func ring() { semaphore.signal() }

    /// Waits for a ring, or until the time is over.
    func wait(atMost duration: Duration?) {
        guard let duration else { return semaphore.wait() }
        let (seconds, attoseconds) = duration.components
        let nanoseconds = Int(clamping: seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)
        _ = semaphore.wait(timeout: .now() + .nanoseconds(max(0, nanoseconds)))
    }
}
