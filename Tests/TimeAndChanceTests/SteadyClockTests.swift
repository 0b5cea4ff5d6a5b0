import Testing
import TimeAndChance

@Suite("D43: the clock of a process")
struct SteadyClockTests {
    static let start: UInt64 = 1_700_000_000_000_000
    static let second: UInt64 = 1_000_000
    static let day = 86_400 * second

    /// What it shows after each tenth of a second, while the machine's clock is off by what `offset` says.
    private func run(seconds: UInt64, offset: (UInt64) -> Int64) -> [UInt64] {
        func reading(_ passed: UInt64) -> ClockReading {
            let wall = Int64(Self.start + passed) + offset(passed)
            return ClockReading(wall: Timestamp(rawValue: UInt64(wall)), monotonic: 7 + passed)
        }
        var clock = SteadyClock(reading(0))
        return (0...seconds * 10).map { clock.steady(reading($0 * Self.second / 10)).wall.rawValue }
    }

    @Test func followsAClockThatDoesNotJump() {
        let shown = run(seconds: 100) { Int64($0 / 10_000) }
        #expect(shown.enumerated().allSatisfy { $1 == Self.start + UInt64($0) * 100_010 })
    }

    @Test("A clock that is set a day forward and back again", arguments: [1, -1])
    func jumpAndBack(sign: Int64) {
        let shown = run(seconds: 300) {
            (60...80 as ClosedRange).contains($0 / Self.second) ? sign * Int64(Self.day) : 0
        }
        for (tenths, time) in shown.enumerated() {
            let off = Int64(time) - Int64(Self.start + UInt64(tenths) * 100_000)
            // Twenty seconds in which it was wrong, and a hundredth of them.
            #expect(abs(off) <= 220_000, "after \(tenths) tenths of a second")
        }
        // Right again, after as long as it was wrong.
        #expect(shown.last == Self.start + 300 * Self.second)
    }

    @Test func aCorrectionIsFollowedInTime() {
        let shown = run(seconds: 400) { $0 < Self.second ? 0 : 3 * Int64(Self.second) }
        #expect(shown[200] < Self.start + 20 * Self.second + Self.second)
        #expect(shown.last == Self.start + 403 * Self.second)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func neverGoesBackAndKeepsItsPaceWhateverTheMachineSays(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var monotonic: UInt64 = 5
        var clock = SteadyClock(ClockReading(wall: Timestamp(rawValue: Self.start), monotonic: monotonic))
        var before = (wall: Self.start, monotonic: monotonic)
        for _ in 0..<2_000 {
            monotonic += random.next() % (2 * Self.second)
            let wall = Timestamp(rawValue: random.next() % (2 * Self.start))
            let shown = clock.steady(ClockReading(wall: wall, monotonic: monotonic)).wall.rawValue
            #expect(shown >= before.wall)
            // What one window allows.
            #expect(shown - before.wall <= (monotonic - before.monotonic) / 100 * 101 + 2 * Self.second / 50)
            before = (shown, monotonic)
        }
        let passed = monotonic - 5
        #expect(before.wall - Self.start <= passed / 100 * 101 + Self.second)
        #expect(before.wall - Self.start >= passed / 100 * 99 - Self.second)
    }
}
