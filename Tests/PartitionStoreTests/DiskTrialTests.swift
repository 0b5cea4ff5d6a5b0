import FaultyDisk
import Foundation
import Identifiers
import Testing

@testable import PartitionStore

@Suite struct DiskTrialTests {
    static let seeds = number("APUS_DISK_SEEDS") ?? 25
    static let first = number("APUS_DISK_FROM") ?? 0

    static func number(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    @Test func `R6, R7, R13, R14, R18: what is promised survives every crash, and no fault is hidden`() {
        var (steps, crashes, faults, rots, found) = (0, 0, 0, 0, 0)
        for seed in Self.first..<Self.first + Self.seeds {
            let trial = DiskTrial(seed: UInt64(seed))
            defer { trial.abandon() }
            do {
                try trial.run(lives: 12)
            } catch {
                Issue.record(
                    """
                    \(error)
                    repeat it: APUS_DISK_FROM=\(seed) APUS_DISK_SEEDS=1 swift test --filter \
                    DiskTrialTests
                    """)
                return
            }
            steps += trial.steps
            crashes += trial.crashes
            faults += trial.faults
            rots += trial.rots
            found += trial.damagesFound
        }
        print(
            "\(Self.seeds) seeds from \(Self.first): \(steps) steps, \(crashes) crashes, \(faults) faults, "
                + "\(rots) flipped bits of which \(found) were reported")
        #expect(crashes > Self.seeds * 5)
    }

    @Test func `A seed decides everything`() throws {
        for seed in UInt64(0)..<4 {
            let (one, other) = (DiskTrial(seed: seed), DiskTrial(seed: seed))
            defer { for trial in [one, other] { trial.abandon() } }
            for trial in [one, other] { try trial.run(lives: 8) }
            #expect(one.trace == other.trace)
            #expect(one.steps == other.steps)
        }
    }

    @Test func `R13, D15: without the witness, a flipped bit in SQLite's log would take commits away`() {
        let caught = (0..<60 as Range<UInt64>).filter { seed in
            let trial = DiskTrial(seed: seed)
            defer { trial.abandon() }
            trial.forgetsWitness = true
            return (try? trial.run(lives: 1)) == nil
        }
        #expect(!caught.isEmpty)
        print("without the witness, rot was served with \(caught.count) of 60 seeds")
    }

    @Test func `R6: a disk that says it synced and did not is noticed`() {
        let caught = (0..<20 as Range<UInt64>).filter { seed in
            let trial = DiskTrial(seed: seed)
            defer { trial.abandon() }
            trial.isLying = true
            return (try? trial.run(lives: 8)) == nil
        }
        #expect(!caught.isEmpty)
        print("a lying disk was noticed with \(caught.count) of 20 seeds")
    }
}
