import Linearizability

/// The verdict about a cluster that was put under load while faults were injected, as markdown.
package struct ChaosReport: Sendable {
    /// What the reader should know, in order: the seed, how long, where.
    package let facts: [(name: String, value: String)]
    package let loads: [LoadFigures]
    /// Loads that ended without figures, by name.
    package let silentLoads: [String]
    package let faults: [FaultLine]
    package let outages: [Outages]
    package let probes: Int
    package let probesUnanswered: Int
    package let linearizability: Verdict

    /// Faults that take a node away at once; what follows is a failover.
    static let killing = ["kill", "kill-in-fsync", "lost-volume"]

    package init(
        facts: [(name: String, value: String)], loads: [LoadFigures], silentLoads: [String] = [],
        faults: [FaultLine], calls: [ProbeCall]
    ) {
        self.facts = facts
        self.loads = loads
        self.silentLoads = silentLoads
        self.faults = faults
        outages = Outages.all(faults, calls)
        probes = calls.count
        probesUnanswered = calls.count { $0.total == nil }
        linearizability = CounterModel.verdict(calls)
    }

    private func sum(_ figure: KeyPath<LoadFigures, Int>) -> Int {
        loads.reduce(0) { $0 + $1[keyPath: figure] }
    }

    package var lost: Int { sum(\.lost) }
    package var doubled: Int { sum(\.doubled) }
    package var early: Int { sum(\.early) }
    package var contradictions: Int { sum(\.contradictions) }

    /// Why nothing can be said, or what did not come back to life.
    package var doubts: [String] {
        var doubts = silentLoads.map { "the load \($0) ended without figures" }
        if sum(\.acknowledged) == 0 { doubts.append("no load was acknowledged anything") }
        if probes == 0 { doubts.append("no probe was answered") }
        if sum(\.undecided) > 0 { doubts.append("\(sum(\.undecided)) runs did not come to their end") }
        if case .undecided = linearizability {
            doubts.append("linearizability is undecided: too many orders")
        }
        doubts += faults.filter { $0.act == "not-whole" }.map {
            "the cluster was not whole again after \($0.fault)\($0.detail.map { ": \($0)" } ?? "")"
        }
        let unserved = outages.reduce(0) { $0 + $1.unserved }
        if unserved > 0 { doubts.append("\(unserved) times an actor was not served again after a fault") }
        return doubts
    }

    /// 1 if something was lost, doubled or too early, or answers contradict each other, 75 if that is not
    /// known or the cluster did not recover, else 0.
    package var exitCode: Int32 {
        if lost + doubled + early + contradictions > 0 || linearizability.explanation != nil { return 1 }
        return doubts.isEmpty ? 0 : 75
    }

    package var conclusion: String {
        switch exitCode {
        case 0: "Nothing was lost, nothing was doubled, and the cluster recovered from every fault."
        case 1: "NOT everything that was acknowledged is there once."
        default: "No verdict, or no recovery; see below."
        }
    }

    // MARK: Text

    package var markdown: String {
        var lines = ["# Chaos report", "", "**\(conclusion)**", "", "| | |", "|---|---|"]
        lines += facts.map { "| \($0.name) | \($0.value) |" }
        lines += ["", "## Verdict", "", "| | |", "|---|---:|"]
        lines += figures.map { "| \($0.0) | \($0.1) |" }
        lines += ["", "## Faults", ""]
        lines += faultTable
        lines += [
            "", "An actor was interrupted if its first answer after the fault took",
            "\(Outages.interruptionMicrosMin / 1_000) ms or more. The wait goes from the fault to the end of",
            "the first call that was begun after it and succeeded, at any node.",
        ]
        if !findings.isEmpty { lines += ["", "## Findings", ""] + findings.map { "- \($0)" } }
        if let explanation = linearizability.explanation {
            lines += ["", "```", "\(explanation)", "```"]
        }
        lines += ["", "## History", "", "```"] + timeline + ["```"]
        return lines.joined(separator: "\n") + "\n"
    }

    private var figures: [(String, String)] {
        let failovers = outages.filter { Self.killing.contains($0.fault) }
        let waits = failovers.flatMap(\.waits).sorted()
        func wait(_ percent: Int) -> String {
            waits.isEmpty ? "–" : Self.seconds(waits[max(1, (waits.count * percent + 99) / 100) - 1])
        }
        let judgement =
            switch linearizability {
            case .linearizable where contradictions == 0: "yes"
            case .linearizable, .violation: "**no**"
            case .undecided: "undecided"
            }
        return [
            ("calls", "\(sum(\.calls))"), ("acknowledged", "\(sum(\.acknowledged))"),
            ("errors", "\(sum(\.errors))"), ("outcome unknown", "\(sum(\.unknown))"),
            ("lost", "\(lost)"), ("doubled", "\(doubled)"), ("undecided", "\(sum(\.undecided))"),
            ("counters read back", "\(sum(\.countersRead))"),
            (
                "sum of their acknowledged changes, and what they hold",
                "\(sum(\.totalAcknowledged)), \(sum(\.totalFound))"
            ),
        ] + transferFigures + timerFigures + [
            ("calls of the probe", "\(probes)"), ("of these never answered", "\(probesUnanswered)"),
            ("linearizable", judgement), ("faults", "\(outages.reduce(0) { $0 + $1.strikes })"),
            ("failover after a killed node, p50", wait(50)), ("p99", wait(99)), ("max", wait(100)),
        ]
    }

    private var transferFigures: [(String, String)] {
        let all = loads.compactMap(\.transfers)
        guard !all.isEmpty else { return [] }
        let (expected, found) = all.reduce((0, 0)) { ($0.0 + $1.moneyExpected, $0.1 + $1.moneyFound) }
        return [
            ("transfers paid", "\(all.reduce(0) { $0 + $1.paid })"),
            ("overdrafts refused", "\(all.reduce(0) { $0 + $1.overdrawn })"),
            ("money in the beginning, in the end", "\(expected), \(found)"),
        ]
    }

    /// Each load knows the ranks of its own timers only, so the worst of each is told.
    private var timerFigures: [(String, String)] {
        let all = loads.compactMap(\.timers)
        guard !all.isEmpty else { return [] }
        func sum(_ figure: KeyPath<LoadFigures.Timers, Int>) -> Int {
            all.reduce(0) { $0 + $1[keyPath: figure] }
        }
        func worst(_ figure: KeyPath<LoadFigures.Timers, Int64>) -> String {
            Self.seconds(all.map { $0[keyPath: figure] }.max() ?? 0)
        }
        return [
            ("timers set, fired", "\(sum(\.set)), \(sum(\.fired))"),
            ("timers missing, twice, early", "\(sum(\.missing)), \(sum(\.doubled)), \(sum(\.early))"),
            ("timers late, p50 of the worst load", worst(\.latenessMicrosP50)),
            ("p99", worst(\.latenessMicrosP99)), ("max", worst(\.latenessMicrosMax)),
        ]
    }

    private var faultTable: [String] {
        var lines = [
            "| Fault | Times | Actors interrupted | p50 | p99 | max | Longest call meanwhile |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for outage in outages {
            let waits = [50, 99, 100].map { outage.wait(percent: $0).map(Self.seconds) ?? "–" }
            lines.append(
                "| \(outage.fault) | \(outage.strikes) | \(outage.waits.count) | "
                    + waits.joined(separator: " | ") + " | \(Self.seconds(outage.longestCall)) |")
        }
        return lines
    }

    package var findings: [String] {
        loads.flatMap(\.findings) + doubts
            + loads.compactMap { load in load.firstError.map { "the first error of \(load.name): \($0)" } }
    }

    private var timeline: [String] {
        guard let start = faults.first?.at else { return ["(no faults)"] }
        return faults.map { line in
            let second = Self.padded("\((line.at - start) / 1_000)", 5)
            let detail = line.detail.map { "  (\($0))" } ?? ""
            return "\(second) s  \(line.act) \(line.fault) \(line.node)\(detail)"
        }
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private static func seconds(_ micros: Int64) -> String {
        let hundredths = (micros + 5_000) / 10_000
        return "\(hundredths / 100).\(padded("\(hundredths % 100)", 2).replacing(" ", with: "0")) s"
    }
}
