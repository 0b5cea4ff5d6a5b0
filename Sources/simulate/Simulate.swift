import ArgumentParser
import Simulator

/// The program `simulate`.
@main
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Runs clusters in virtual time, with faults, and checks that nothing is lost.",
        discussion: """
            Each seed is a cluster of its own: its size, its clients, which faults happen and when, all \
            follow from the number. The same seed does the same on every machine. After the faults \
            everything is healed, and the cluster must come to an end that agrees with what the clients \
            were told.

            simulate --seeds 1000             seeds 0 to 999
            simulate --minutes 5 --from 7000  as many as fit into five minutes
            simulate --seed 42                one seed, with everything that happened in it
            simulate --seed 42 --shrink       the fewest faults with which it still fails
            simulate --whole --seeds 100      nodes with real actors, workflows and messages in them
            simulate --gossip                 failure detectors of 3, 100 and 1,000 nodes, as a table

            --gossip breaks nothing that was promised; it measures how soon a lost node is noticed, how \
            often a sound one is called unreachable, and what that costs. It takes some minutes.

            Exits with 1 if a promise was broken, after printing the command that repeats it.
            """)

    @Option(help: "Runs this seed only, and prints what happened in it.") var seed: UInt64?
    @Option(help: "Runs so many seeds. (default: 1000)") var seeds: UInt64?
    @Option(help: "Runs seeds for so many minutes of real time.") var minutes: Double?
    @Option(help: "The first seed.") var from: UInt64 = 0
    @Option(help: "Machines of each cluster; otherwise 3 or 5, as the seed says.") var machines: Int?
    @Option(help: "Copies of each partition; otherwise 2 or 3, as the seed says.") var copies: Int?
    @Option(help: "Does without one of the rules of replication, which must be noticed, for example R5.")
    var without: String?
    @Flag(help: "Runs whole nodes, with real actors and workflows in them, in place of counters.")
    var whole = false
    @Flag(help: "Finds the fewest faults with which the seed still fails.") var shrink = false
    @Option(
        help: ArgumentHelp(
            "Lets only these faults of the plan happen, or none.", valueName: "numbers"))
    var faults: String?
    @Option(help: "Ends the faulty phase after so many virtual milliseconds.") var faultyMillis: UInt64?
    @Flag(help: "Goes on after a violation, and names all seeds that fail.") var keepGoing = false
    @Flag(help: "Measures the failure detector in place of running clusters.") var gossip = false
    @Option(
        help: ArgumentHelp(
            "Nodes of the clusters whose failure detector is measured. (default: 3,100,1000)",
            valueName: "numbers"))
    var nodes: String?
    @Option(help: "Lets each node probe another one every so many milliseconds. (default: 1000)")
    var periodMillis: Int?

    func validate() throws {
        if seed != nil, seeds != nil || minutes != nil {
            throw ValidationError("--seed runs one seed; it goes with neither --seeds nor --minutes")
        }
        if seeds != nil, minutes != nil { throw ValidationError("either --seeds or --minutes") }
        if shrink, seed == nil { throw ValidationError("--shrink needs a --seed that fails") }
        if let machines, !(1...9 ~= machines) { throw ValidationError("1 to 9 machines") }
        if let copies, !(1...5 ~= copies) { throw ValidationError("1 to 5 copies") }
        if let minutes, !(minutes > 0) { throw ValidationError("--minutes must be positive") }
        if let without, !SimulationSettings.ruleNames.contains(where: { $0 == without }) {
            throw ValidationError("--without knows \(SimulationSettings.ruleNames.joined(separator: ", "))")
        }
        if !gossip, nodes != nil || periodMillis != nil {
            throw ValidationError("--nodes and --period-millis go with --gossip")
        }
        if gossip, seeds != nil || minutes != nil || whole || shrink || machines != nil || copies != nil {
            throw ValidationError("--gossip takes --nodes, --period-millis and --seed only")
        }
        if gossipSizes == nil { throw ValidationError("--nodes takes numbers from 2 to 4096, like 3,100") }
        if let periodMillis, !(100...60_000 ~= periodMillis) {
            throw ValidationError("--period-millis is from 100 to 60000")
        }
        if faults != nil, keptFaults == nil {
            throw ValidationError("--faults takes numbers like 3,17, or none")
        }
    }

    func run() throws {
        if gossip {
            measureGossip()
        } else if let seed {
            if shrink { try shrinkPlan(of: seed) } else { try runOne(seed) }
        } else {
            try runMany()
        }
    }

    private var gossipSizes: [Int]? {
        let numbers = (nodes ?? "3,100,1000").split(separator: ",").map { Int($0) }
        let sizes = numbers.compactMap { $0 }
        return sizes.count == numbers.count && sizes.allSatisfy { 2...4_096 ~= $0 } ? sizes : nil
    }

    private func measureGossip() {
        for line in GossipTable.head { print(line) }
        let period = periodMillis.map { Duration.milliseconds($0) }
        for size in gossipSizes ?? [] {
            for trial in GossipTable.trials(nodes: size, seed: seed ?? 1, period: period) {
                print(GossipTable.row(trial, trial.run()))
            }
        }
    }

    private var keptFaults: Set<Int>? {
        guard let faults else { return nil }
        if faults == "none" { return [] }
        let numbers = faults.split(separator: ",").map { Int($0) }
        return numbers.contains(nil) ? nil : Set(numbers.compactMap { $0 })
    }

    private func settings(_ seed: UInt64) -> SimulationSettings {
        var settings = SimulationSettings.plan(whole: whole, seed: seed, machines: machines, copies: copies)
        if let without { settings.leaveOut(rule: without) }
        if let faultyMillis { settings.faultyMicros = faultyMillis * 1_000 }
        settings.keptFaults = keptFaults
        return settings
    }

    private func runOne(_ seed: UInt64) throws {
        var settings = settings(seed)
        settings.traces = true
        do {
            let report = try Simulation.run(settings)
            for line in report.trace { print(line) }
            print(settings.plan)
            print(
                "seed \(seed): \(report.virtualMicros / 1_000) virtual ms, \(report.events) events,",
                "\(report.acknowledged) answers,",
                whole ? "\(report.records) turns, \(report.effects) effects," : "",
                "trace hash \(String(report.traceHash, radix: 16))")
        } catch {
            for line in error.trace { print(line) }
            print(settings.plan)
            try fail(settings, error)
        }
    }

    private func runMany() throws {
        var progress = Progress()
        var seed = from
        var failed: [UInt64] = []
        let end = minutes.map { ContinuousClock.now + .seconds($0 * 60) }
        while end.map({ ContinuousClock.now < $0 }) ?? (seed - from < seeds ?? 1_000) {
            do { progress.add(try Simulation.run(settings(seed))) } catch {
                progress.clear()
                guard keepGoing else {
                    progress.printSummary()
                    try fail(settings(seed), error)
                }
                print("seed \(seed): \(error)")
                failed.append(seed)
            }
            seed += 1
        }
        progress.printSummary()
        guard failed.isEmpty else {
            print("\(failed.count) seeds fail: \(failed)")
            throw ExitCode(1)
        }
    }

    private func shrinkPlan(of seed: UInt64) throws {
        let smallest = Simulation.shrink(settings(seed)) { smaller in
            print("still fails with \(smaller.keptFaults?.count ?? 0) faults")
        }
        do {
            _ = try Simulation.run(smallest)
            print("seed \(seed) does not fail")
        } catch {
            print(smallest.plan)
            try fail(smallest, error)
        }
    }

    private func fail(_ settings: SimulationSettings, _ violation: Violation) throws -> Never {
        print("seed \(settings.seed): \(violation)")
        print("To repeat it: \(settings.command(machines: machines, copies: copies))")
        throw ExitCode(1)
    }
}
