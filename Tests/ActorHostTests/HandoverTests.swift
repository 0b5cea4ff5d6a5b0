import ActorHost
import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import MailboxCore
import PartitionStore
import Synchronization
import Testing
import WorkflowTrials

/// Answers when the door is open.
private struct Doorkeeper: DurableActor {
    struct State: DurableState {}
    struct Actions: Declarations {
        let pass = AsyncAction<Int, Int> { _, number in
            Doorkeeper.begun.add(1, ordering: .relaxed)
            while !Doorkeeper.isOpen.load(ordering: .relaxed) {
                try Task.checkCancellation()
                await Task.yield()
            }
            return number
        }
    }
    static let begun = Atomic<Int>(0)
    static let isOpen = Atomic<Bool>(false)
}

private struct House: Registry {
    let doorkeeper = Doorkeeper()
}

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

    @Test("W60: another actor's call that is cut off is begun again, at the next owner and at the same one")
    func calls() async throws {
        let node = try MovingNode { _ in House() }
        await node.own()
        let call = ActorMessage(
            sender: try MovingNode.address("sender"), target: try MovingNode.address("a", kind: "doorkeeper"),
            life: ActorID(rawValue: 1), content: .call(action: "pass", input: Array("42".utf8)))
        let source = PartitionID((Int(node.partition.rawValue) + 1) % node.store.identity.ring.partitionCount)
        let taken = Switch()
        node.host.deliver(
            MessageBatch(
                source: source, destination: node.partition, flow: .request, acknowledged: 0, first: 1,
                messages: [call])
        ) { _ in taken.turnOn() }
        #expect(await node.until { taken.isOn })
        for round in 1...3 {
            await node.settle()
            #expect(await node.until { Doorkeeper.begun.load(ordering: .relaxed) == round })
            let epoch = node.store.base.logEnd(of: node.partition).epoch
            let done = Self.begin(node, epoch)
            node.host.handOver(node.partition, epoch, .insist)
            #expect(await node.until { done.isOn })
            if round == 2 {
                node.host.handOver(node.partition, epoch, .cancel)
            } else {
                node.store.standDown(node.partition)
                node.store.lead(node.partition)
            }
        }
        Doorkeeper.isOpen.store(true, ordering: .relaxed)
        await node.settle()
        let answers = { node.store.items(of: .partition, in: node.partition, space: .outbox) }
        #expect(await node.until { answers().count == 1 })
        let answer = try ActorMessage.decode(try #require(answers().first).body)
        guard case .answer(1, let reply) = answer.content else {
            Issue.record("\(answer)")
            return
        }
        #expect(String(decoding: reply, as: UTF8.self).contains("42"))
        #expect(node.store.items(of: .partition, in: node.partition, space: .call).isEmpty)
        node.host.abandon()
    }
}
