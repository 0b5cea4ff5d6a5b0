import Foundation
import Testing

@testable import ConsensusStore

@Suite struct ConsensusDiskTrialTests {
    private static func number(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }
    private static func trial(_ seed: Int) -> DiskTrial {
        DiskTrial(seed: UInt64(seed), replica: one, founding: founding)
    }

    @Test func `R13, R14, D15, D16, D20: what a voter wrote survives every crash, and no fault is hidden`() {
        let first = Self.number("APUS_DISK_FROM") ?? 0
        let count = Self.number("APUS_DISK_SEEDS") ?? 40
        var (writes, crashes, faults, rots, found) = (0, 0, 0, 0, 0)
        for seed in first..<first + count {
            let trial = Self.trial(seed)
            defer { trial.end() }
            do {
                try trial.run(lives: 12)
            } catch {
                Issue.record(
                    """
                    \(error)
                    repeat it: APUS_DISK_FROM=\(seed) APUS_DISK_SEEDS=1 swift test --filter \
                    ConsensusDiskTrialTests
                    """)
                return
            }
            writes += trial.writes
            crashes += trial.crashes
            faults += trial.faults
            rots += trial.rots
            found += trial.damagesFound
        }
        print(
            "\(count) seeds from \(first): \(writes) writes, \(crashes) crashes, \(faults) faults, "
                + "\(rots) flipped bits of which \(found) were reported")
    }

    @Test func `A disk that says it synced and did not is noticed`() {
        let caught = (0..<20).filter { seed in
            let trial = Self.trial(seed)
            defer { trial.end() }
            trial.isLying = true
            return (try? trial.run(lives: 8)) == nil
        }
        #expect(!caught.isEmpty)
    }
}
