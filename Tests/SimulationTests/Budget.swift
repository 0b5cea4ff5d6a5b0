import Foundation
import Simulator
import Synchronization

/// How much is simulated; the environment asks for more, or for one seed.
enum Budget {
    static let seeds = number("APUS_SIMULATION_SEEDS") ?? 1_000
    static let from = number("APUS_SIMULATION_FROM") ?? 0

    static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    /// Runs the plans of seeds on all processors.
    /// - Returns: what they did together, and each failure with the command that repeats it.
    static func run(
        _ seeds: Range<UInt64>, plan: @escaping @Sendable (UInt64) -> SimulationSettings
    ) async -> (totals: Totals, failures: [String]) {
        let workers = UInt64(max(1, ProcessInfo.processInfo.activeProcessorCount))
        var (totals, failures) = (Totals(), [String]())
        await withTaskGroup(of: (reports: [SimulationReport], failures: [String]).self) { group in
            for worker in 0..<workers {
                group.addTask {
                    var (reports, failures) = ([SimulationReport](), [String]())
                    for seed in seeds where seed % workers == worker {
                        let settings = plan(seed)
                        do { reports.append(try Simulation.run(settings)) } catch {
                            failures.append("\(settings.command())\n\(error)")
                        }
                    }
                    return (reports, failures)
                }
            }
            for await part in group {
                for report in part.reports { totals.add(report) }
                failures += part.failures
            }
        }
        return (totals, failures)
    }

    /// The first plan that fails, and how; the seeds are shared among the processors until one of them finds
    /// one.
    static func firstFailure(
        _ seeds: Range<UInt64>, plan: @escaping @Sendable (UInt64) -> SimulationSettings
    ) async -> (seed: UInt64, violation: Violation)? {
        let workers = UInt64(max(1, ProcessInfo.processInfo.activeProcessorCount))
        let found = Earliest(from: seeds.lowerBound)
        return await withTaskGroup(of: (seed: UInt64, violation: Violation)?.self) { group in
            for _ in 0..<workers {
                group.addTask {
                    while true {
                        // Each takes the next one, so that none runs far ahead while another waits for a
                        // processor. Those before a failure may still find an earlier one.
                        let seed = found.next.add(1, ordering: .relaxed).oldValue
                        guard seed < min(seeds.upperBound, found.seed.load(ordering: .relaxed)) else {
                            return nil
                        }
                        do throws(Violation) { _ = try Simulation.run(plan(seed)) } catch {
                            found.seed.min(seed, ordering: .relaxed)
                            return (seed, error)
                        }
                    }
                }
            }
            var all: [(seed: UInt64, violation: Violation)] = []
            for await one in group { if let one { all.append(one) } }
            return all.min { $0.seed < $1.seed }
        }
    }
}

/// The earliest seed that failed so far.
private final class Earliest: Sendable {
    let seed = Atomic<UInt64>(.max)
    /// The next one to try.
    let next: Atomic<UInt64>

    init(from first: UInt64) { next = Atomic(first) }
}
