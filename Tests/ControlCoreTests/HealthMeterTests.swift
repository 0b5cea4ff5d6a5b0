import Testing

@testable import ControlCore

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

    /// Else a node whose disk stood still once, in a cluster at rest, would own nothing for as long as nobody
    /// writes.
    @Test func whatWasMeasuredFadesWhereNothingIsWritten() {
        var meter = meter(syncs: [9_000])
        var sickTicks: UInt64 = 0
        for _ in 0..<1_000 {
            meter.tick(late: .zero, waiting: nil)
            if meter.health >= SessionTable.sickHealth { sickTicks += 1 }
        }
        #expect(sickTicks < SessionTable.sickTicks, "one stall that the node survives is no sickness")
        #expect(meter.health == 0)
        // What is waited for does not make it better.
        meter = self.meter(syncs: Array(repeating: 800, count: 20))
        for _ in 0..<200 { meter.tick(late: .zero, waiting: .milliseconds(1)) }
        #expect(meter.health >= SessionTable.sickHealth)
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
