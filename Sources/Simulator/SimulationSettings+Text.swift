extension SimulationSettings {
    /// Rules that a run can do without.
    public static var ruleNames: [String] { BrokenRule.all.map(\.name) }

    /// What can go wrong.
    public static var faultNames: [String] { FaultKind.allCases.map(\.rawValue) }

    /// Leaves a rule out; an unknown one changes nothing.
    public mutating func leaveOut(rule name: String) { without = BrokenRule.named(name) }

    /// A plan of counters, or of whole nodes, that follows from its seed.
    public static func plan(
        whole: Bool, seed: UInt64, machines: Int? = nil, copies: Int? = nil
    ) -> Self {
        whole
            ? .whole(seed: seed, machines: machines, copies: copies)
            : .swarm(seed: seed, machines: machines, copies: copies)
    }

    /// The size of the cluster and what may happen to it, in a few lines.
    public var plan: String {
        let kinds = FaultKind.allCases.compactMap { kind -> String? in
            let mean = kind.meanMicros(faults)
            return mean == 0 ? nil : "\(kind.rawValue) every \(mean / 1_000) ms"
        }
        return """
            plan of seed \(seed): \(machines) machines, \(voters) voters, \(copies) copies of \(partitions) \
            partitions, \(clients) clients, faults for \(faultyMicros / 1_000) ms
            faults: \(kinds.joined(separator: ", "))\(keptFaults.map { "; only \($0.sorted())" } ?? "")
            \(extremes)\(whole.map { "\n\($0)" } ?? "")
            """
    }

    /// What to type to see the run again.
    public func command(machines: Int? = nil, copies: Int? = nil) -> String {
        var words = ["swift run -c release simulate\(whole == nil ? "" : " --whole") --seed \(seed)"]
        if let machines { words.append("--machines \(machines)") }
        if let copies { words.append("--copies \(copies)") }
        if let without { words.append("--without \(without.name)") }
        if let keptFaults {
            let numbers = keptFaults.sorted().map { "\($0)" }.joined(separator: ",")
            words.append("--faults \(numbers.isEmpty ? "none" : numbers)")
        }
        let planned = Self.plan(whole: whole != nil, seed: seed, machines: machines, copies: copies)
        if faultyMicros != planned.faultyMicros { words.append("--faulty-millis \(faultyMicros / 1_000)") }
        return words.joined(separator: " ")
    }
}
