extension Simulation {
    /// The smallest plan that still fails, starting from one that does: halves, quarters and so on of the
    /// faults are left out for as long as what remains fails (Zeller and Hildebrandt, "Delta debugging",
    /// 2002), and the faulty phase ends as early as it can.
    ///
    /// - Parameter report: is told of each smaller plan.
    public static func shrink(
        _ failing: SimulationSettings, report: (SimulationSettings) -> Void = { _ in }
    ) -> SimulationSettings {
        guard case .failure(let violation) = result(failing) else { return failing }
        var best = failing
        best.keptFaults = Set(violation.faults)
        guard fails(best) else { return failing }
        var size = max(1, violation.faults.count / 2)
        while true {
            var kept = (best.keptFaults ?? []).sorted()
            var hasShrunk = false
            var start = 0
            while start < kept.count {
                var smaller = best
                let left = Array(kept[..<start] + kept[min(start + size, kept.count)...])
                smaller.keptFaults = Set(left)
                if fails(smaller) {
                    (best, kept, hasShrunk) = (smaller, left, true)
                    report(best)
                } else {
                    start += size
                }
            }
            if size == 1, !hasShrunk { break }
            size = max(1, size / 2)
        }
        for share in [2, 4, 8] as [UInt64] {
            var shorter = best
            shorter.faultyMicros = failing.faultyMicros / share
            if fails(shorter) { best = shorter }
        }
        return best
    }

    private static func fails(_ settings: SimulationSettings) -> Bool {
        if case .failure = result(settings) { true } else { false }
    }

    private static func result(_ settings: SimulationSettings) -> Result<SimulationReport, Violation> {
        do { return .success(try run(settings)) } catch { return .failure(error) }
    }
}
