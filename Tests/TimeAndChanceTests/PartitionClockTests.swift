import Testing
import TimeAndChance

@Suite("The clock of a partition")
struct PartitionClockTests {
    static let start: UInt64 = 1_700_000_000_000_000
    static let second: UInt64 = 1_000_000

    private func reading(wall: UInt64, monotonic: UInt64) -> ClockReading {
        ClockReading(wall: Timestamp(rawValue: wall), monotonic: monotonic)
    }

    private func clock(last: UInt64 = 0) -> PartitionClock {
        PartitionClock(
            last: Timestamp(rawValue: last), reading: reading(wall: Self.start, monotonic: 5 * Self.second))
    }

    @Test func followsTheWallClock() {
        var clock = clock()
        #expect(clock.now.rawValue == Self.start)
        for passed in stride(from: 0, through: 100 * Self.second, by: 333_333) {
            let now = clock.advance(
                to: reading(wall: Self.start + passed, monotonic: 5 * Self.second + passed))
            #expect(now.rawValue == Self.start + passed)
        }
    }

    @Test func startsAtTheLastRecordIfTheWallClockIsBehindIt() {
        let last = Self.start + 3600 * Self.second
        var clock = clock(last: last)
        #expect(clock.now.rawValue == last)
        let later = clock.advance(to: reading(wall: Self.start + Self.second, monotonic: 6 * Self.second))
        #expect(later.rawValue == last)
    }

    @Test func aJumpForwardDoesNotDragItAlong() {
        var clock = clock()
        let hour = 3600 * Self.second
        let now = clock.advance(
            to: reading(wall: Self.start + hour + Self.second, monotonic: 6 * Self.second))
        // One second has passed; 1 % of drift and 0.2 s of correction are allowed on top.
        #expect(now.rawValue >= Self.start + Self.second)
        #expect(now.rawValue <= Self.start + Self.second + 10_000 + 200_000)
    }

    @Test func aJumpBackwardHoldsItStill() {
        var clock = clock()
        let before = clock.advance(
            to: reading(wall: Self.start + 10 * Self.second, monotonic: 15 * Self.second))
        let during = clock.advance(to: reading(wall: Self.start - Self.second, monotonic: 16 * Self.second))
        #expect(during == before)
        let after = clock.advance(
            to: reading(wall: Self.start + 12 * Self.second, monotonic: 17 * Self.second))
        #expect(after.rawValue == Self.start + 12 * Self.second)
    }

    @Test func aMonotonicClockBehindTheAnchorAllowsOnlyTheCorrection() {
        var clock = clock()
        let now = clock.advance(to: reading(wall: Self.start + 60 * Self.second, monotonic: 0))
        #expect(now.rawValue == Self.start + 200_000)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func neverDecreasesAndIsNeverFasterWhateverTheWallClockDoes(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var clock = clock(last: Self.start - 10 + random.next() % 20)
        let first = clock.now
        var previous = first
        var monotonic = 5 * Self.second
        for _ in 0..<2000 {
            monotonic += random.next() % (2 * Self.second)
            let wall =
                switch random.next() % 4 {
                case 0: random.next() % (2 * Self.start)
                case 1: Self.start - random.next() % Self.second
                default: Self.start + (monotonic - 5 * Self.second)
                }
            let now = clock.advance(to: reading(wall: wall, monotonic: monotonic))
            #expect(now >= previous)
            let elapsed = monotonic - 5 * Self.second
            #expect(now.rawValue - first.rawValue <= elapsed + elapsed / 100 + 200_000)
            previous = now
        }
    }
}
