/// A way from the initial state to a broken promise.
public struct Counterexample: Sendable {
    public let model: Model
    public let steps: [Step]
    public let violation: Violation
}

extension Counterexample {
    /// Without the steps that can be left out, in runs of a few and one by one: a random walk wanders.
    func shortened() -> Counterexample {
        var steps = steps
        var violation = violation
        for length in [8, 4, 3, 2, 1] {
            for place in steps.indices.reversed() where place + length <= steps.count {
                var fewer = steps
                fewer.removeSubrange(place..<place + length)
                if let found = model.replay(fewer) { (steps, violation) = (fewer, found) }
            }
        }
        return Counterexample(model: model, steps: steps, violation: violation)
    }
}

extension Counterexample: CustomStringConvertible {
    public var description: String {
        var world = model.initial
        var lines: [String] = []
        for (number, step) in steps.enumerated() {
            lines.append("\(number + 1). \(step.sentence(in: world))")
            world = model.apply(step, to: world)
        }
        lines.append("Then \(violation).")
        for node in model.nodes {
            let replica = world[node]
            lines.append(
                "n\(node): \(replica.role), epoch \(replica.epoch), log \(replica.log), "
                    + "disk \(replica.disk.log) of store \(replica.disk.store)")
        }
        let control = world.control
        let owner = control.owner == ControlPlane.nobody ? "nobody" : "n\(control.owner)"
        lines.append("control plane: epoch \(control.epoch), owner \(owner), ISR \(control.isr)")
        lines.append("acknowledged: \(world.acknowledged)")
        return lines.joined(separator: "\n")
    }
}

extension Model {
    /// The first violation on the way, if the steps are possible one after the other.
    public func replay(_ steps: [Step]) -> Violation? {
        var world = initial
        var possible: [Step] = []
        for step in steps {
            self.steps(in: world, into: &possible)
            guard possible.contains(step) else { return nil }
            world = apply(step, to: world)
            if let violation = violation(in: world) { return violation }
        }
        return nil
    }
}
