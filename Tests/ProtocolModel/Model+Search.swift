/// What a breadth-first search saw.
public struct SearchReport: Sendable {
    /// Different states found.
    public var states = 0
    /// Steps tried.
    public var transitions = 0
    /// The length of the longest way that was looked at.
    public var depth = 0
    /// Whether there is no state beyond those found.
    public var isExhausted = false
    /// With the fewest steps possible.
    public var counterexample: Counterexample?
}

extension Model {
    /// Visits the states in the order of their distance from the beginning, up to about `statesMax` of them.
    public func search(statesMax: Int) -> SearchReport {
        var report = SearchReport()
        var seen = FingerprintSet()
        // How each state was reached, in the order in which they were found.
        var links: [(parent: Int32, step: Step)] = [(-1, .decideAddition)]
        var level = [initial]
        var next: [World] = []
        var first = 0
        var steps: [Step] = []
        _ = seen.insert(initial.fingerprint)
        while !level.isEmpty {
            report.depth += 1
            for (place, world) in level.enumerated() {
                self.steps(in: world, into: &steps)
                for step in steps {
                    report.transitions += 1
                    let successor = apply(step, to: world)
                    guard seen.insert(successor.fingerprint) else { continue }
                    links.append((Int32(first + place), step))
                    if let violation = violation(in: successor) {
                        report.states = links.count
                        report.counterexample = Counterexample(
                            model: self, steps: way(to: links.count - 1, links), violation: violation)
                        return report
                    }
                    next.append(successor)
                }
                if links.count >= statesMax {
                    report.states = links.count
                    return report
                }
            }
            first += level.count
            swap(&level, &next)
            next.removeAll(keepingCapacity: true)
        }
        report.states = links.count
        report.isExhausted = true
        return report
    }

    private func way(to state: Int, _ links: [(parent: Int32, step: Step)]) -> [Step] {
        var steps: [Step] = []
        var state = state
        while state > 0 {
            steps.append(links[state].step)
            state = Int(links[state].parent)
        }
        return steps.reversed()
    }
}
