import Testing
import TimeAndChance

@Suite("Timestamps and durations")
struct TimestampTests {
    @Test(
        arguments: [
            (.zero, 0),
            (.microseconds(1), 1),
            (.nanoseconds(1), 1),
            (.nanoseconds(999), 1),
            (.nanoseconds(1000), 1),
            (.nanoseconds(1001), 2),
            (.seconds(1) + .nanoseconds(1), 1_000_001),
            (.microseconds(-1), -1),
            (.nanoseconds(-1), 0),
            (.nanoseconds(-1500), -1),
            (.nanoseconds(-2000), -2),
            (.seconds(-1) - .nanoseconds(1), -1_000_000),
            (Duration(secondsComponent: 0, attosecondsComponent: 1), 1),
            (Duration(secondsComponent: 0, attosecondsComponent: -1), 0),
            (.seconds(9_223_372_036_854), 9_223_372_036_854_000_000),
        ] as [(Duration, Int64)])
    func wholeMicrosecondsRoundUp(duration: Duration, micros: Int64) {
        #expect(duration.wholeMicroseconds == micros)
    }

    @Test func wholeMicrosecondsSaturate() {
        #expect(Duration.seconds(9_223_372_036_855).wholeMicroseconds == .max)
        #expect(Duration.seconds(Int64.max).wholeMicroseconds == .max)
        #expect(Duration.seconds(-9_223_372_036_855).wholeMicroseconds == .min)
        #expect(Duration.seconds(Int64.min).wholeMicroseconds == .min)
        // The seconds fit, the rest does not.
        #expect((Duration.seconds(9_223_372_036_854) + .microseconds(775_808)).wholeMicroseconds == .max)
        #expect((Duration.seconds(-9_223_372_036_854) - .microseconds(775_809)).wholeMicroseconds == .min)
    }

    @Test func additionMovesForwardAndSaturates() {
        let time = Timestamp(rawValue: 1_000_000)
        #expect(time + .seconds(2) == Timestamp(rawValue: 3_000_000))
        #expect(time + .nanoseconds(1) == Timestamp(rawValue: 1_000_001))
        #expect(time + .zero == time)
        #expect(time + .seconds(-5) == time, "a deadline in the past is due now, not before the start")
        #expect(Timestamp.distantFuture + .microseconds(1) == .distantFuture)
        #expect(Timestamp(rawValue: .max - 1) + .microseconds(1) == .distantFuture)
        #expect(Timestamp(rawValue: 1) + .seconds(Int64.max) == Timestamp(rawValue: 1 + UInt64(Int64.max)))
    }

    @Test func sinceIsNeverNegative() {
        let early = Timestamp(rawValue: 10)
        let late = Timestamp(rawValue: 25)
        #expect(late.since(early) == .microseconds(15))
        #expect(early.since(late) == .zero)
        #expect(Timestamp.distantFuture.since(Timestamp(rawValue: 0)) == .microseconds(Int64.max))
    }

    @Test func ordersByTime() {
        #expect(Timestamp(rawValue: 1) < Timestamp(rawValue: 2))
        #expect(Timestamp(rawValue: .max) == .distantFuture)
    }
}
