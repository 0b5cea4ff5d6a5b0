/// What the machine's clocks say, read once and passed on as a value.
public struct ClockReading: Hashable, Sendable {
    /// The wall clock, which can jump.
    public var wall: Timestamp
    /// Microseconds of a clock that only moves forward and has no fixed zero.
    public var monotonic: UInt64
    public init(wall: Timestamp, monotonic: UInt64) {
        self.wall = wall
        self.monotonic = monotonic
    }
}

/// The time of a log: it never goes backwards, and a jump of the wall clock cannot drag it forward faster
/// than time really passes (`cluster.md` 2.12, after hybrid logical clocks, Kulkarni et al. 2014). So a
/// jumping clock fires no timer early and expires no session; a clock that is behind makes timers late.
public struct PartitionClock: Hashable, Sendable {
    /// How much faster than the monotonic clock the wall clock may run, in parts per hundred.
    static let driftPercent: UInt64 = 1
    /// What a correction of the wall clock may add at once, in microseconds.
    static let slackMicros: UInt64 = 200_000

    public private(set) var now: Timestamp
    private var anchor: ClockReading

    /// - Parameters:
    ///   - last: the time of the last record, which the clock never goes below.
    ///   - reading: taken at the start of the process; trusted, because there is nothing to compare it with.
    public init(last: Timestamp, reading: ClockReading) {
        now = max(last, reading.wall)
        anchor = reading
    }

    /// The time at `reading`, not before any time returned earlier.
    public mutating func advance(to reading: ClockReading) -> Timestamp {
        let elapsed = reading.monotonic > anchor.monotonic ? reading.monotonic - anchor.monotonic : 0
        let allowed = anchor.wall.rawValue + elapsed + elapsed / 100 * Self.driftPercent + Self.slackMicros
        now = max(now, Timestamp(rawValue: min(reading.wall.rawValue, allowed)))
        return now
    }
}
