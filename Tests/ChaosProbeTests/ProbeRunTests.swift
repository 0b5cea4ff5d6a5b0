import Apus
import Foundation
import Linearizability
import Logging
import NodeAssembly
import OperatorCommands
import Synchronization
import Testing

@testable import ChaosProbe

private struct Counter: DurableActor {
    struct State: DurableState { var count = 0 }
    struct Actions: Declarations {
        let getState = Query<State> { $0.state }
        let increment = Action<Int, Int> { turn, amount in
            turn.state.count += amount
            return turn.state.count
        }
    }
    func run(_ workflow: inout Workflow<Self>) async throws {}
}

private struct Shop: Registry { let counter = Counter() }

@Suite("A probe of a real node")
struct ProbeRunTests {
    /// A13 R17: each call once, although every second attempt goes to a node that is not there.
    @Test func everyCallIsAnsweredOnceAndTheHistoryIsLinearizable() async throws {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let directory = NSTemporaryDirectory() + "apus-probe-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let node = try await Node.start(
            Shop(), configuration: NodeConfiguration(dataDirectory: directory, port: 0), logger: logger
        ) { error in Issue.record("the journal failed: \(error)") }
        // Nothing can listen on port 1 but the system's own.
        var settings = ProbeSettings(nodes: [
            try #require(NodeLocation(argument: "127.0.0.1:\(node.port)")),
            try #require(NodeLocation(argument: "127.0.0.1:1")),
        ])
        settings.actors = 3
        settings.pause = .milliseconds(1)
        let probe = ProbeRun(settings)
        let calls = Mutex<[ProbeCall]>([])
        await probe.run(for: .seconds(60)) { call in
            let count = calls.withLock {
                $0.append(call)
                return $0.count
            }
            if count == 60 { probe.stop() }
        }
        try await node.stop()
        let seen = calls.withLock { $0 }
        #expect(seen.count >= 60 && seen.allSatisfy { $0.total != nil })
        #expect(seen.contains { $0.attempts > 1 } && seen.contains { $0.delta == nil })
        #expect(seen.allSatisfy { $0.began <= $0.tried && $0.tried <= $0.ended })
        #expect(CounterModel.verdict(seen).isLinearizable)
        for actor in 0..<3 {
            let mine = seen.filter { $0.actor == actor }
            #expect(mine.compactMap(\.delta).reduce(0, +) == mine.compactMap(\.total).max())
        }
    }
}
