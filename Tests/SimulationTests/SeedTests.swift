import Simulator
import Testing

@Suite("Clusters in virtual time") struct SeedTests {
    /// I1 to I10, I12, I20, and coming to rest: plans of three and five machines, with two and three
    /// copies, and all kinds of faults.
    @Test func nothingIsLostAndEveryClusterComesToRest() async {
        let seeds = Budget.from..<Budget.from + Budget.seeds
        let (totals, failures) = await Budget.run(seeds) { SimulationSettings.swarm(seed: $0) }
        for failure in failures.prefix(3) { Issue.record("\(failure)") }
        #expect(failures.isEmpty)
        print("\(totals.runs) seeds, \(Int(totals.virtualSeconds)) virtual s, \(totals.acknowledged) answers")
        print("faults: \(totals.faultsByKind)")
        guard Budget.seeds >= 1_000 else { return }
        // Nothing is shown by clusters in which nothing happens.
        #expect(totals.acknowledged > totals.runs * 20)
        // Counters have no wall clocks.
        #expect(Set(totals.faults.keys) == Set(SimulationSettings.faultNames).subtracting(["clockJump"]))
    }

    @Test(arguments: [3, 17, 30, 51] as [UInt64]) func theSameSeedDoesTheSame(seed: UInt64) throws {
        let settings = SimulationSettings.swarm(seed: seed)
        let first = try Simulation.run(settings)
        #expect(try Simulation.run(settings) == first)
        var traced = settings
        traced.traces = true
        #expect(try Simulation.run(traced).traceHash == first.traceHash)
        #expect(try Simulation.run(.swarm(seed: seed + 1)).traceHash != first.traceHash)
    }

    @Test func withoutFaultsEveryCallIsAnsweredSoon() throws {
        var settings = SimulationSettings(seed: 1)
        settings.keptFaults = []
        let report = try Simulation.run(settings)
        #expect(report.faults.isEmpty)
        // Four clients that wait 30 ms between calls; the answer takes a few milliseconds.
        #expect(report.acknowledged > 1_000)
    }

    @Test func aFailingPlanShrinksToTheFaultsThatMatter() throws {
        var failing = try #require(firstFailure(without: "R15", seeds: 135..<1_000))
        let all = try #require(violation(of: failing)).faults
        let smallest = Simulation.shrink(failing)
        let kept = try #require(smallest.keptFaults)
        #expect(violation(of: smallest) != nil)
        #expect(kept.isSubset(of: all) && kept.count < all.count)
        // None of them is too much.
        for fault in kept {
            failing = smallest
            failing.keptFaults?.remove(fault)
            #expect(violation(of: failing) == nil)
        }
    }

    private func violation(of settings: SimulationSettings) -> Violation? {
        do { _ = try Simulation.run(settings) } catch { return error }
        return nil
    }

    private func firstFailure(without rule: String, seeds: Range<UInt64>) -> SimulationSettings? {
        for seed in seeds {
            var settings = SimulationSettings.swarm(seed: seed)
            settings.leaveOut(rule: rule)
            if violation(of: settings) != nil { return settings }
        }
        return nil
    }
}
