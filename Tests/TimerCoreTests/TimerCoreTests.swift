import Testing
import TimeAndChance
import TimerCore

@Suite("Deadlines by key")
struct TimerCoreTests {
    @Test("W30: earliest first, ties in the order of scheduling, a new deadline in place of the old")
    func order() {
        var timers = TimerCore<String>()
        #expect(timers.next() == nil && timers.popDue(.max) == [])
        timers.schedule("late", at: 30)
        timers.schedule("a", at: 10)
        timers.schedule("b", at: 10)
        timers.schedule("moved", at: 5)
        timers.schedule("moved", at: 20)
        timers.schedule("gone", at: 1)
        timers.cancel("gone")
        timers.cancel("never")
        #expect(timers.count == 4 && timers.next() == 10)
        #expect(timers.popDue(9) == [])
        #expect(timers.popDue(10, limit: 1) == ["a"])
        #expect(timers.popDue(29) == ["b", "moved"])
        #expect(timers.popDue(.max) == ["late"])
        #expect(timers.count == 0 && timers.next() == nil)
        timers.schedule("end", at: .max)
        #expect(timers.popDue(.max - 1) == [] && timers.popDue(.max) == ["end"])
    }

    @Test("W30: random operations against a sorted list")
    func model() {
        var random = SplitMix64(seed: 3)
        for _ in 0..<50 {
            var timers = TimerCore<Int>()
            var model: [(key: Int, due: UInt64)] = []
            for _ in 0..<600 {
                let key = Int.random(in: 0..<40, using: &random)
                switch Int.random(in: 0..<11, using: &random) {
                case 0..<6:
                    let due = UInt64.random(in: 0..<100, using: &random)
                    timers.schedule(key, at: due)
                    model.removeAll { $0.key == key }
                    model.append((key, due))
                case 10:
                    guard key < 4 else { break }
                    timers.cancelAll { $0 % 4 == key }
                    model.removeAll { $0.key % 4 == key }
                case 6..<8:
                    timers.cancel(key)
                    model.removeAll { $0.key == key }
                default:
                    let now = UInt64.random(in: 0..<100, using: &random)
                    let limit = Int.random(in: 0..<6, using: &random)
                    // A stable sort keeps the order of scheduling among equals.
                    let due = Array(
                        model.filter { $0.due <= now }.sorted { $0.due < $1.due }.prefix(limit).map(\.key))
                    #expect(timers.popDue(now, limit: limit) == due)
                    model.removeAll { due.contains($0.key) }
                }
                #expect(timers.count == model.count)
                #expect(timers.next() == model.map(\.due).min())
            }
        }
    }
}
