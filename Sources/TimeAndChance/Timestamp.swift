/// A point in time: microseconds since 1970-01-01 00:00 UTC, leap seconds ignored.
public struct Timestamp: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let distantFuture = Timestamp(rawValue: .max)

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// The later point; saturates instead of overflowing, so that "in 300,000 years" is a legal deadline.
    public static func + (time: Self, duration: Duration) -> Self {
        let micros = duration.wholeMicroseconds
        let (sum, overflow) = time.rawValue.addingReportingOverflow(UInt64(clamping: max(0, micros)))
        return overflow ? .distantFuture : Timestamp(rawValue: sum)
    }

    /// The time from `earlier` to this; zero if it lies in the future.
    public func since(_ earlier: Self) -> Duration {
        .microseconds(Int64(clamping: rawValue > earlier.rawValue ? rawValue - earlier.rawValue : 0))
    }
}

extension Duration {
    /// Rounded up to microseconds and saturated, because a timer must never fire early.
    public var wholeMicroseconds: Int64 {
        let (seconds, attoseconds) = components
        let (micros, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        // Integer division cuts towards zero, which for negative numbers is already upwards.
        let upwards: Int64 = attoseconds > 0 ? 999_999_999_999 : 0
        let rest = (attoseconds + upwards) / 1_000_000_000_000
        let (sum, overflow2) = micros.addingReportingOverflow(rest)
        return overflow2 ? (seconds < 0 ? .min : .max) : sum
    }
}
