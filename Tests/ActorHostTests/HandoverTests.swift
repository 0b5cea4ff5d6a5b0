import ActorHost
import Apus
import ClientProtocol
import Identifiers
import PartitionStore
import Synchronization
import Testing
import WorkflowTrials

/// 2.8: a partition is given up at a step boundary, so that a planned change of owner cuts nothing off.
@Suite("Partitions that are handed over") struct HandoverTests {
    private final class Switch: Sendable {
        private let flag = Atomic<Bool>(false)
        var isOn: Bool { flag.load(ordering: .relaxed) }
        func turnOn() { flag.store(true, ordering: .relaxed) }

        func wait() async throws {
            while !isOn {
                try Task.checkCancellation()
                await Task.yield()
            }
        }
    }

    private static let epoch = Epoch(rawValue: 1)

    /// A run of two steps, the first of which ends when `door` is open.
    private static func node(_ door: Switch, retry: RetryPolicy = .upTo(2)) throws -> MovingNode {
        try MovingNode { workflow, log in
            try await workflow.step("one", retry: retry, timeout: nil) {
                log.note("one \(StepAttempt.current?.number ?? 0)")
                try await door.wait()
            }
            try await workflow.step("two") { log.note("two") }
        }
    }

    private static func begin(_ node: MovingNode, _ epoch: Epoch = epoch) -> Switch {
        let done = Switch()
        node.host.handOver(node.partition, epoch, .begin { done.turnOn() })
        return done
    }

    @Test("Steps that run may end, none begins, and callers are answered meanwhile; then they wait")
    func boundary() async throws {
        let door = Switch()
        let node = try Self.node(door)
        await node.own()
        #expect(try await node.perform(.getOrCreate(input: nil)) == "created")
        await node.until { node.noted("one 1") == 1 }
        let done = Self.begin(node)
        #expect(try await node.perform(.add()) == "1")
        #expect(!done.isOn)
        door.turnOn()
        #expect(await node.until { done.isOn })
        #expect(node.noted("two") == 0)
        try node.submit("waits", .add())
        await node.settle()
        #expect(node.replies.all.isEmpty)
        // The next owner goes on, and what has waited is told to go there.
        node.store.standDown(node.partition)
        #expect(await node.replies(1) == ["waits: node.not_owner"])
        node.store.lead(node.partition)
        await node.until { node.noted("two") == 1 }
        #expect(try await node.perform(.add()) == "2")
        #expect(node.noted("one 1") == 1 && node.noted("one 2") == 0)
        try await node.host.stop()
    }

    @Test("Whose handover comes to nothing goes on: held steps begin, what has waited is done, timers fire")
    func cancel() async throws {
        let door = Switch()
        let node = try MovingNode { workflow, log in
            try await workflow.step("one", timeout: nil) {
                log.note("one")
                try await door.wait()
            }
            try await workflow.sleep("nap", for: .seconds(10))
            try await workflow.step("two") { log.note("two") }
        }
        await node.own()
        _ = try await node.perform(.getOrCreate(input: nil))
        await node.until { node.noted("one") == 1 }
        // Before anything has ended.
        _ = Self.begin(node)
        node.host.handOver(node.partition, Self.epoch, .cancel)
        door.turnOn()
        await node.settle()
        // While it sleeps, and past its time.
        let done = Self.begin(node)
        #expect(await node.until { done.isOn })
        try node.submit("waits", .add())
        node.clock.advance(by: .seconds(20))
        await node.settle()
        #expect(node.noted("two") == 0)
        #expect(node.replies.all.isEmpty)
        node.host.handOver(node.partition, Self.epoch, .cancel)
        #expect(await node.replies(1) == ["waits: 1"])
        #expect(await node.until { node.noted("two") == 1 })
        #expect(await node.host.servedPartitions() == [node.partition])
        try await node.host.stop()
    }

    @Test("W11 W13: what does not end is cut off, which costs no retry and is no crash, however often")
    func insist() async throws {
        let door = Switch()
        let node = try Self.node(door, retry: .upTo(1))
        await node.own()
        _ = try await node.perform(.getOrCreate(input: nil))
        for round in 1...12 {
            #expect(await node.until { node.noted("one \(round)") == 1 }, "round \(round)")
            let epoch = node.store.base.logEnd(of: node.partition).epoch
            let done = Self.begin(node, epoch)
            await node.settle()
            #expect(!done.isOn)
            node.host.handOver(node.partition, epoch, .insist)
            #expect(await node.until { done.isOn })
            node.store.standDown(node.partition)
            node.store.lead(node.partition)
            await node.settle()
        }
        door.turnOn()
        #expect(await node.until { node.noted("two") == 1 })
        let history = try await node.perform(.history)
        #expect(history.contains("Interrupted") && !history.contains("ProcessDied"), "\(history)")
        try await node.host.stop()
    }
}
