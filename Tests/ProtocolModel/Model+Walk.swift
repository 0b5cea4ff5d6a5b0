import TimeAndChance

/// What random walks saw.
public struct WalkReport: Sendable {
    public var walks = 0
    public var steps = 0
    /// The seed of the walk that found the counterexample.
    public var seed: UInt64?
    public var counterexample: Counterexample?
}

extension Model {
    /// Walks of up to `stepsMax` steps with the seeds `seed`, `seed + 1` and so on.
    public func walk(count: Int, stepsMax: Int = 120, seed: UInt64) -> WalkReport {
        var report = WalkReport()
        var possible: [Step] = []
        var taken: [Step] = []
        for number in 0..<UInt64(count) {
            var random = SplitMix64(seed: seed &+ number)
            var world = initial
            taken.removeAll(keepingCapacity: true)
            report.walks += 1
            while taken.count < stepsMax {
                steps(in: world, into: &possible)
                guard let step = possible.randomElement(using: &random) else { break }
                world = apply(step, to: world)
                taken.append(step)
                report.steps += 1
                guard let violation = violation(in: world) else { continue }
                report.seed = seed &+ number
                let found = Counterexample(model: self, steps: taken, violation: violation)
                report.counterexample = found.shortened()
                return report
            }
        }
        return report
    }
}
