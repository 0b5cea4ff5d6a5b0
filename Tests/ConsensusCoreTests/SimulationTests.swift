import ConsensusCore
import Foundation
import Testing

/// Random faults, the invariants after every event, and progress once the faults end.
///
/// `APUS_RAFT_SEED=7 swift test --filter SimulationTests` repeats one seed and prints what happens;
/// `APUS_RAFT_SEEDS=5000 swift test -c release --filter SimulationTests` runs more of them.
@Suite("Random faults", .serialized)
struct SimulationTests {
    private static func setting(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap(UInt64.init)
    }

    /// I8: no seed violates Raft's properties, and every group that keeps a majority goes on afterwards.
    @Test func noSeedBreaksAnInvariant() {
        if let seed = Self.setting("APUS_RAFT_SEED") {
            let result = Simulation.run(seed: seed, traced: true)
            print(result.trace.joined(separator: "\n"))
            #expect(result.violations.isEmpty, "\(result.violations)")
            return
        }
        var tally = Simulation.Tally()
        for seed in 1...(Self.setting("APUS_RAFT_SEEDS") ?? 120) {
            let result = Simulation.run(seed: seed)
            tally.add(result.tally)
            guard let first = result.violations.first else { continue }
            Issue.record(
                "\(first)\nrepeat it with: APUS_RAFT_SEED=\(seed) swift test --filter SimulationTests")
            return
        }
        // The runs were made of something.
        #expect(tally.elections > 100 && tally.applied > 1000 && tally.reads > 100, "\(tally)")
        #expect(tally.wipes > 0 && tally.changes > 0 && tally.restores > 0, "\(tally)")
    }

    /// The same seed is the same run, event for event.
    @Test func aSeedRepeatsItself() {
        for seed in 1...5 as ClosedRange<UInt64> {
            let first = Simulation.run(seed: seed, traced: true)
            #expect(first.trace == Simulation.run(seed: seed, traced: true).trace)
            #expect(first.trace.count > 40)
        }
    }
}
