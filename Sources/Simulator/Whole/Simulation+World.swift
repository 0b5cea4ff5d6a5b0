import Identifiers
import PlacementCore
import ReplicationCore
import TimeAndChance

/// Effects: calls of the outside world, and what must be true of them.
extension Simulation {
    func takeEffects(_ index: Int, _ process: SimulatedProcess, _ node: WholeNode) {
        guard node.port.hasNews, let plan = whole?.plan else { return }
        let (calls, sights) = node.port.take()
        for sight in sights {
            if let breach = whole?.world.note(sight) { checker.fail(breach) }
        }
        for call in calls {
            check(call, at: index, node)
            guard let id = whole?.world.begin(call, machine: index, process: process.number) else { continue }
            note("m\(index) calls the world: \(call.key), attempt \(call.attempt)")
            mark(now, UInt64(call.attempt))
            let late = isFaulty ? plan.answerMicrosMax : Self.healedAnswerMicrosMax
            events.plan(.world(call: id), at: now + chance(100...late))
        }
    }

    private static let healedAnswerMicrosMax: UInt64 = 20_000

    /// I16: no effect begins after its result was recorded; I14: none before the time of its retry. Those of
    /// a process that has lost the partition without knowing it cannot be prevented (D41).
    private func check(_ call: WorldPort.Call, at index: Int, _ node: WholeNode) {
        if let whole, let kind = try? ActorKind("errand") {
            let errand = ActorAddress(kind: kind, key: call.errand)
            if whole.committed[whole.ring.partition(of: errand)].rows.row(at: errand) == nil {
                checker.fail("I17: m\(index) begins an effect of \(errand), whose making is not committed")
            }
        }
        guard let fact = whole?.committed.steps[call.key] else { return }
        guard let epoch = node.epochs[fact.partition], epoch >= fact.epoch else {
            whole?.world.lateCallCount += 1
            return
        }
        if fact.isDone {
            checker.fail("I16: m\(index) begins effect \(call.key) again, whose result is recorded")
        }
        if let retryAt = fact.retryAt, retryAt > time.rawValue + (whole?.plan.timeErrorMicros ?? 0) {
            checker.fail("I14: m\(index) repeats effect \(call.key) before \(retryAt)")
        }
    }

    /// Somebody sets a machine's wall clock, by a second or by hours, or sets it right again.
    func setClock(_ index: Int) -> Bool {
        // What the host finds when it begins is believed, and outside of what is promised.
        guard let clock = whole?.clocks[index], machines[index].process?.node != nil else { return false }
        let limit: UInt64 = happens(30) ? 2_000_000 : happens(50) ? 600_000_000 : 6 * 3_600_000_000
        let jump = Int64(chance(0...limit))
        clock.jump = clock.jump != 0 && happens(40) ? 0 : happens(50) ? jump : -jump
        note("the clock of m\(index) is off by \(clock.jump) us")
        return true
    }

    /// Answers a call, or not; then the step's time runs out.
    func answerEffect(_ id: Int) {
        guard let plan = whole?.plan, let call = whole?.world.open[id] else { return }
        if isFaulty, happens(plan.unansweredPercent) { return }
        whole?.world.open[id] = nil
        if isFaulty, happens(plan.refusedPercent) {
            call.call.continuation.resume(throwing: WorldFailure.refused)
        } else {
            call.call.continuation.resume(returning: id)
        }
        wakeHost(call.machine)
    }

    /// I6, I12, I15, I20: at the end every copy says the same, and that is what the clients did.
    func checkWhole(_ map: ClusterMap) throws {
        guard let whole else { return }
        for (number, partition) in map.partitions.enumerated() {
            let wanted = whole.committed.partitions[number]
            for member in partition.inSync {
                var stored = machines[Self.machine(member.node)].disk.partitions[number]
                stored.apply(through: stored.end.position)
                guard stored.end.position == wanted.position, stored.rows == wanted.rows else {
                    throw Violation(
                        "I6: p\(number) on m\(Self.machine(member.node)) differs from what is committed")
                }
                try checkTables(of: number, at: Self.machine(member.node), wanted.rows)
            }
            mark(wanted.position.rawValue)
        }
        if let breach = whole.breachAtEnd() { throw Violation(breach) }
    }

    /// What the report says of whole nodes.
    func countWhole() {
        guard let whole else { return }
        report.effects = whole.world.callCount
        report.lateEffects = whole.world.lateCallCount
        report.records = whole.committed.recordCount
    }
}
