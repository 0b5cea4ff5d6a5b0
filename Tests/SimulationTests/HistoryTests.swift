import Linearizability
import Simulator
import Testing

/// A counter of which every call happens once, however often it was sent.
private enum Counter: SequentialModel {
    enum Call: Hashable, Sendable { case increment, read }

    static let initial: UInt64 = 0

    static func apply(_ input: Call, to state: inout UInt64) -> UInt64 {
        if input == .increment { state += 1 }
        return state
    }
}

@Suite("What clients of simulated clusters see") struct HistoryTests {
    private func verdict(_ history: [SimulatedOperation]) -> Verdict {
        LinearizabilityChecker.check(
            history.map { call in
                Operation<Counter>(
                    actor: "p\(call.partition)", client: call.client, call.isRead ? .read : .increment,
                    call: call.calledAt, .returned(call.result, at: call.answeredAt))
            })
    }

    /// A13, D27, D38, I12: through crashes, cuts, pauses and lost disks, calls take effect once, between the
    /// first sending and the answer, and reads see everything that came before them.
    @Test func isLinearizable() throws {
        var answers = 0
        for seed: UInt64 in 5_000..<5_030 {
            var settings = SimulationSettings.swarm(seed: seed)
            settings.recordsHistory = true
            let history = try Simulation.run(settings).history
            answers += history.count
            let verdict = verdict(history)
            if let explanation = verdict.explanation { Issue.record("seed \(seed): \(explanation)") }
            #expect(verdict.isLinearizable)
        }
        #expect(answers > 30 * 20)
    }

    /// The same for counters that are real actors.
    @Test func isLinearizableInWholeNodes() throws {
        var answers = 0
        for seed: UInt64 in 6_000..<6_004 {
            var settings = SimulationSettings.whole(seed: seed)
            settings.recordsHistory = true
            let history = try Simulation.run(settings).history
            answers += history.count
            let verdict = verdict(history)
            if let explanation = verdict.explanation { Issue.record("seed \(seed): \(explanation)") }
            #expect(verdict.isLinearizable)
        }
        #expect(answers > 4 * 10)
    }

    /// The checker would notice.
    @Test func aStaleReadOrADoubleCountIsSeen() throws {
        var settings = SimulationSettings(seed: 1)
        settings.keptFaults = []
        settings.recordsHistory = true
        let history = try Simulation.run(settings).history
        #expect(verdict(history).isLinearizable)
        let read = try #require(history.lastIndex { $0.isRead && $0.result > 1 })
        let increment = try #require(history.lastIndex { !$0.isRead })
        for (place, change) in [(read, -1 as Int64), (read, 1), (increment, 1), (increment, -1)] {
            var wrong = history
            wrong[place].result = UInt64(Int64(wrong[place].result) + change)
            #expect(!verdict(wrong).isLinearizable)
        }
    }
}
