import Synchronization
import TimeAndChance

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Where a host takes its time from.
package protocol HostClock: Sendable {
    func reading() -> ClockReading
    /// Whether a thread may wait for real time to pass. If not, the owner of the clock wakes the shards.
    var isReal: Bool { get }
}

/// The machine's clocks.
package struct SystemClock: HostClock {
    package init() {}
    package var isReal: Bool { true }

    package func reading() -> ClockReading {
        ClockReading(
            wall: Timestamp(rawValue: Self.micros(CLOCK_REALTIME)), monotonic: Self.micros(CLOCK_MONOTONIC))
    }

    private static func micros(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1_000
    }
}

/// A clock that stands until it is moved; for tests of what takes days.
package final class ManualClock: HostClock {
    private let micros: Mutex<UInt64>
    private let listeners = Mutex<[@Sendable () -> Void]>([])

    /// - Parameter start: microseconds since 1970.
    package init(start: UInt64 = 1_800_000_000_000_000) { micros = Mutex(start) }

    package var isReal: Bool { false }

    package func reading() -> ClockReading {
        let now = micros.withLock { $0 }
        return ClockReading(wall: Timestamp(rawValue: now), monotonic: now)
    }

    package func onAdvance(_ listener: @escaping @Sendable () -> Void) {
        listeners.withLock { $0.append(listener) }
    }

    package func advance(to time: UInt64) {
        micros.withLock { $0 = max($0, time) }
        for listener in listeners.withLock({ $0 }) { listener() }
    }

    package func advance(by duration: Duration) {
        advance(to: micros.withLock { $0 } + UInt64(max(0, duration.wholeMicroseconds)))
    }
}
