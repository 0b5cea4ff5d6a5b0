/// The wall clock of a process as it would be without jumps: it follows the machine's by at most one part in
/// a hundred of the time that passes, forward and backward, and never goes back. So nothing that is to happen
/// at a time happens early, or a day late, because somebody has set a clock and then set it right (D43).
///
/// What the machine shows when the process starts is trusted, because there is nothing to compare it with.
public struct SteadyClock: Hashable, Sendable {
    /// How far it may be from the pace of the monotonic clock, in parts per hundred: a correction of 1 s
    /// takes 100 s.
    static let driftPercent: UInt64 = 1
    /// Looked at anew after so many microseconds, so that what a long quiet time would allow is not saved up.
    static let windowMicros: UInt64 = 1_000_000

    private var anchor: ClockReading
    private var last: UInt64

    public init(_ reading: ClockReading) {
        anchor = reading
        last = reading.wall.rawValue
    }

    /// The machine's reading, with a wall clock that has not jumped since the one before.
    public mutating func steady(_ reading: ClockReading) -> ClockReading {
        let elapsed = reading.monotonic > anchor.monotonic ? reading.monotonic - anchor.monotonic : 0
        let drift = elapsed / 100 * Self.driftPercent
        let expected = anchor.wall.rawValue + elapsed
        last = max(last, min(max(reading.wall.rawValue, expected - drift), expected + drift))
        let steady = ClockReading(wall: Timestamp(rawValue: last), monotonic: reading.monotonic)
        if elapsed >= Self.windowMicros { anchor = steady }
        return steady
    }
}
