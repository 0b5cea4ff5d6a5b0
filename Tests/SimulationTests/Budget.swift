import Foundation
import Simulator

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
}
