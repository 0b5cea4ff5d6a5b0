import ControlCore
import Testing

@Suite("D34 D35: how a process is") struct HealthMeterTests {
    private func meter(
        syncs: [Int] = [], late: [Int] = [], waiting: Int? = nil
    ) -> HealthMeter {
        var meter = HealthMeter()
        for sync in syncs { meter.synced(after: .milliseconds(sync)) }
        for late in late { meter.tick(late: .milliseconds(late), waiting: nil) }
        meter.tick(late: .zero, waiting: waiting.map { .milliseconds($0) })
        return meter
    }

    @Test func aDiskThatIsFastIsWell() { #expect(meter(syncs: [2, 9, 4, 30]).health == 0) }

    @Test func oneSlowSyncIsNoSicknessAndManyAre() {
        #expect(meter(syncs: [5, 5, 800, 5]).health < 3)
        #expect(meter(syncs: Array(repeating: 800, count: 20)).health >= 6)
        #expect(meter(syncs: Array(repeating: 4_000, count: 20)).health == 8)
        // It gets well again.
        #expect(meter(syncs: Array(repeating: 800, count: 20) + Array(repeating: 5, count: 30)).health == 0)
    }

    @Test func aLateLoopIsSick() {
        #expect(meter(late: Array(repeating: 700, count: 20)).health >= 6)
        #expect(meter(late: [-5, 0, 3]).health == 0)
    }

    @Test("D35: what is waited for counts before it is done, and a standstill ends the heartbeats")
    func standstill() {
        #expect(meter(waiting: 600).health == 6)
        #expect(!meter(waiting: 2_900).standsStill)
        #expect(meter(waiting: 3_000).standsStill)
        #expect(!meter(syncs: [9_000]).standsStill)
    }
}
