import ActorHost
import Apus
import ClientProtocol
import Identifiers
import PartitionStore
import Synchronization
import Testing
import TimeAndChance
import WorkflowTrials

/// Where user code waits until the test lets it go on; it does not look at its cancellation.
private final class Stop: Sendable {
    private let isOpen = Atomic<Bool>(false)
    func open() { isOpen.store(true, ordering: .relaxed) }
    func wait() async { while !isOpen.load(ordering: .relaxed) { await Task.yield() } }
}

@Suite("Partitions that are given up")
struct StandDownTests {
    @Test("R5: a step's result that comes after its epoch goes nowhere; the next epoch takes the step again")
    func step() async throws {
        let stop = Stop()
        let node = try MovingNode { workflow, log in
            defer { log.note("left") }
            let value = try await workflow.step("long") {
                log.note("long")
                await stop.wait()
                log.note("done")
                return 7
            }
            try await workflow.turn("keep") { $0.state.count = value }
        }
        await node.own()
        #expect(try await node.perform(.getOrCreate(input: nil)) == "created")
        await node.until { node.noted("long") == 1 }
        node.store.standDown(node.partition)
        // The run's code ends at once, although the effect runs on.
        #expect(await node.until { node.noted("left") == 1 })
        #expect(node.noted("done") == 0)
        let end = node.store.base.logEnd(of: node.partition)
        node.store.holdCommits()
        node.store.lead(node.partition)
        await node.settle()
        stop.open()
        await node.until { node.noted("done") == 1 }
        await node.settle()
        #expect(node.store.late == 0)
        #expect(node.store.uncommitted(node.partition) == 1)
        #expect(node.store.base.logEnd(of: node.partition) == end)
        node.store.resumeCommits()
        #expect(await node.until { (try? await node.perform(.count)) == "7" })
        #expect(node.noted("long") == 2)
        #expect(await node.until { node.noted("left") == 2 })
        try await node.host.stop()
    }

    @Test("R17 A12: what was not committed has never been: its replies, events, turns and steps")
    func uncommitted() async throws {
        let node = try MovingNode { workflow, log in
            do {
                try await workflow.step("first") { log.note("first") }
                log.note("beyond")
                _ = try await workflow.next("take", from: \.jobs)
                try await workflow.turn("note") { $0.state.notes.append("taken") }
            } catch {
                log.note("caught")
                // Whatever the code does now is refused.
                try await workflow.turn("late") { $0.state.notes.append("late") }
            }
        }
        await node.own()
        let heard = MovingNode.Replies()
        _ = try node.host.subscribe(to: "changed", of: MovingNode.address("a")) {
            heard.note($0.ending.map { "\($0.group).\($0.code)" } ?? $0.payload.text)
        }
        _ = try await node.perform(.add())
        await node.until { node.noted("beyond") == 1 }
        await node.settle()
        node.store.holdCommits()
        try node.submit("two", .add())
        try node.submit("count", .count)
        try node.submit("send", .send(queue: "jobs", body: Payload(#""x""#)))
        try node.submit("get", .describe)
        await node.settle()
        #expect(node.store.uncommitted(node.partition) >= 2)
        node.store.standDown(node.partition)
        let moved = await node.replies(4).sorted()
        #expect(moved == ["count", "get", "send", "two"].map { "\($0): node.moved" })
        #expect(heard.all == ["1", "node.moved"])
        await node.until { node.noted("caught") == 1 }
        await node.settle()
        // The positions come again, with other records: nothing of the old epoch hangs on them.
        node.store.lead(node.partition)
        node.store.resumeCommits()
        await node.until { await node.host.servedPartitions() == [node.partition] }
        #expect(try await node.perform(.count) == "1")
        #expect(try await node.perform(.add(10)) == "11")
        #expect(try await node.perform(.action("notes", input: .null)) == "[]")
        await node.settle()
        #expect(node.replies.all.count == 4)
        #expect(heard.all == ["1", "node.moved"])
        #expect(node.noted("first") == 1)
        #expect(node.store.late == 0)
        _ = try await node.perform(.send(queue: "jobs", body: Payload(#""x""#)))
        #expect(
            await node.until { (try? await node.perform(.action("notes", input: .null))) == #"["taken"]"# })
        try await node.host.stop()
    }

    @Test("A13: repeated after a move it is performed once, whether its record has survived or not")
    func deduplication() async throws {
        let node = try MovingNode()
        await node.own()
        let session = SessionID(high: 1, low: 1)
        func identity(_ sequence: UInt64) -> RequestIdentity {
            .session(session, sequence: sequence, acknowledged: 0)
        }
        _ = try await node.perform(.add(), as: identity(1))
        for (sequence, kept) in [(2, 1), (3, 0)] {
            node.store.holdCommits()
            try node.submit("\(sequence)", .add(), as: identity(UInt64(sequence)))
            await node.settle()
            #expect(node.store.uncommitted(node.partition) == 1)
            node.store.standDown(node.partition, keeping: kept)
            #expect(await node.replies(sequence - 1).last == "\(sequence): node.moved")
            node.store.resumeCommits()
            await node.own()
            #expect(try await node.perform(.count) == "\(kept == 1 ? sequence : sequence - 1)")
            for _ in 0..<2 {
                let told = try await node.perform(.add(), as: identity(UInt64(sequence)))
                #expect(told == "\(sequence)")
            }
        }
        #expect(try await node.perform(.add(), as: identity(1)) == "1")
        #expect(try await node.perform(.count) == "3")
        try await node.host.stop()
    }

    @Test("W35: a sleeping run does not wake where it does not live, and does where it does")
    func sleeping() async throws {
        let node = try MovingNode { workflow, log in
            try await workflow.sleep("night", for: .seconds(100))
            log.note("awake")
            try await workflow.turn("keep") { $0.state.count = 1 }
        }
        await node.own()
        _ = try await node.perform(.getOrCreate(input: nil))
        #expect(await node.until { await node.host.status().text.contains(#""timers":1,"#) })
        await node.settle()
        node.store.standDown(node.partition)
        #expect(
            await node.until {
                let status = await node.host.status().text
                return status.contains(#""actorsAwake":0,"timers":0,"#)
            })
        node.clock.advance(by: .seconds(1_000))
        await node.settle()
        #expect(node.noted("awake") == 0)
        #expect(node.store.late == 0)
        await node.own()
        #expect(await node.until { (try? await node.perform(.count)) == "1" })
        #expect(node.noted("awake") == 1)
        try await node.host.stop()
    }

    @Test("A10 A13: who waits for a message is told that it moved, and waits on where the actor lives then")
    func waitingRequest() async throws {
        let node = try MovingNode { workflow, _ in
            let message = try await workflow.next("go", from: \.jobs)
            _ = message
            let ask = try await workflow.next("ask", from: \.asks)
            try await ask.complete("re: \(ask.body)")
        }
        await node.own()
        let identity = RequestIdentity.key("ask")
        try node.submit("ask", .ask("x"), as: identity)
        let left = try node.submit("left", .ask("y"))
        await node.settle()
        #expect(node.replies.all == [])
        node.host.abandon(left)
        node.store.standDown(node.partition)
        #expect(await node.replies(1) == ["ask: node.moved"])
        await node.own()
        try node.submit("again", .ask("x"), as: identity)
        await node.settle()
        #expect(node.replies.all.count == 1)
        _ = try await node.perform(.send(queue: "jobs", body: Payload(#""go""#)))
        #expect(await node.replies(2).last == #"again: completed "re: x""#)
        try await node.host.stop()
    }

    @Test("W7: a run that is parked stays so, and answers, in every epoch")
    func parkedRun() async throws {
        let runs = Atomic<Int>(0)
        let node = try MovingNode { workflow, _ in
            // Other code the second time, as after an update.
            if runs.add(1, ordering: .relaxed).newValue == 1 {
                _ = try await workflow.next("wait", from: \.jobs)
                try await workflow.step("done") {}
                _ = try await workflow.next("more", from: \.jobs)
            } else {
                try await workflow.step("other") {}
            }
        }
        await node.own()
        _ = try await node.perform(.send(queue: "jobs", body: Payload(#""x""#)))
        await node.until { (try? await node.perform(.history))?.contains("done") ?? false }
        for round in 1...3 {
            node.store.standDown(node.partition)
            await node.own()
            #expect(await node.until { (try? await node.perform(.describe))?.contains("stalled") ?? false })
            #expect(try await node.perform(.add()) == "\(round)")
        }
        #expect(node.store.late == 0)
        try await node.host.stop()
    }

    @Test("A5: a request for an actor on its way out was not begun, so it may go elsewhere")
    func departing() async throws {
        let node = try MovingNode(settings: HostSettings(shards: 1, idleOverride: .zero))
        await node.own()
        node.store.holdApplying()
        _ = try await node.perform(.getOrCreate(input: nil))
        await node.settle()
        try node.submit("parked", .add())
        await node.settle()
        #expect(node.replies.all == [])
        node.store.standDown(node.partition)
        #expect(await node.replies(1) == ["parked: node.not_owner"])
        node.store.apply(node.partition)
        await node.settle()
        await node.own()
        node.store.apply(node.partition)
        try node.submit("again", .add())
        await node.settle()
        node.store.apply(node.partition)
        #expect(await node.replies(2).last == "again: 1")
        try await node.host.stop()
    }

    @Test("A40: a subscription ends with its reason, also one that waits for its partition or its beginning")
    func subscriptions() async throws {
        let node = try MovingNode()
        let address = try MovingNode.address("a")
        func subscribe(_ name: String, _ event: String = "kept") throws -> SubscriptionID {
            try node.host.subscribe(to: event, of: address) { [replies = node.replies] delivery in
                let text = delivery.ending.map { "\($0.group).\($0.code)" } ?? delivery.payload.text
                replies.note("\(name): \(text)")
            }
        }
        _ = try subscribe("early")
        #expect(await node.replies(1) == ["early: node.not_owner"])
        node.store.holdServing()
        node.store.lead(node.partition)
        _ = try subscribe("waiting")
        let gone = try subscribe("gone")
        await node.settle()
        node.host.unsubscribe(gone)
        node.store.standDown(node.partition)
        #expect(await node.replies(2).last == "waiting: node.not_owner")
        node.store.lead(node.partition)
        _ = try subscribe("patient")
        node.store.serve(node.partition)
        _ = try await node.perform(.add())
        #expect(await node.replies(3).last == "patient: 1")
        node.store.holdCommits()
        try node.submit("add", .add())
        _ = try subscribe("beginning")
        await node.settle()
        node.store.standDown(node.partition)
        let told = await node.replies(6).dropFirst(3).sorted()
        #expect(told == ["add", "beginning", "patient"].map { "\($0): node.moved" })
        node.store.lead(node.partition)
        node.store.commit(node.partition)
        node.store.serve(node.partition)
        node.store.resumeCommits()
        _ = try subscribe("again", "changed")
        _ = try await node.perform(.add())
        #expect(await node.replies(7).last == "again: 2")
        try await node.host.stop()
    }

    @Test("A11: an asynchronous action under way ends with its epoch, whatever its code does then")
    func asyncAction() async throws {
        let stops = [Stop(), Stop()]
        let node = try MovingNode(registry: { Slow.Kinds(slow: Slow(log: $0, stops: stops)) })
        await node.own()
        let act = ActorRequest.Operation.action("act", input: .null)
        _ = try await node.perform(.getOrCreate(input: nil), kind: "slow")
        let identity = RequestIdentity.key("act")
        try node.submit("act", act, kind: "slow", as: identity)
        await node.until { node.noted("first turn") == 1 }
        // Its second turn is appended and not committed.
        node.store.holdCommits()
        stops[0].open()
        await node.until { node.store.uncommitted(node.partition) == 1 }
        node.store.standDown(node.partition)
        #expect(await node.replies(1) == ["act: node.moved"])
        #expect(await node.until { node.noted("second turn lost") == 1 })
        node.store.lead(node.partition)
        node.store.resumeCommits()
        stops[1].open()
        #expect(await node.until { node.noted("state lost") == 1 && node.noted("third turn lost") == 1 })
        await node.settle()
        #expect(node.store.late == 0)
        #expect(try await node.perform(act, kind: "slow", as: identity) == "3")
        #expect(try await node.perform(act, kind: "slow", as: identity) == "3")
        try await node.host.stop()
    }

    @Test("A stop that waits for a commit is not held up by the end of the epoch")
    func stopping() async throws {
        let node = try MovingNode()
        await node.own()
        _ = try await node.perform(.add())
        node.store.holdCommits()
        try node.submit("two", .add())
        await node.until { node.store.uncommitted(node.partition) >= 1 }
        async let stopped: Void = node.host.stop()
        await node.settle()
        node.store.standDown(node.partition)
        try await stopped
        #expect(node.replies.all == ["two: node.moved"])
    }
}

/// An actor with an action of three turns.
private struct Slow: DurableActor {
    struct Kinds: Registry {
        let slow: Slow
        init() { slow = Slow(log: EffectLog(), stops: []) }
        init(slow: Slow) { self.slow = slow }
    }
    struct State: DurableState { var count = 0 }
    struct Actions: Declarations {
        let act = AsyncAction<NoInput, Int> { context in
            let log = context.definition.log
            func attempt<Value: Sendable>(
                _ name: String, _ body: () async throws -> Value
            ) async throws -> Value {
                do {
                    let value = try await body()
                    log.note(name)
                    return value
                } catch {
                    log.note("\(name) lost")
                    throw error
                }
            }
            _ = try await attempt("first turn") { try await context.turn { $0.state.count += 1 } }
            await context.definition.stops[0].wait()
            do {
                _ = try await attempt("second turn") { try await context.turn { $0.state.count += 1 } }
            } catch {
                await context.definition.stops[1].wait()
                _ = try? await attempt("state") { try await context.state }
                _ = try? await attempt("third turn") { try await context.turn { $0.state.count += 100 } }
                throw error
            }
            return try await attempt("third turn") {
                try await context.turn { turn in
                    turn.state.count += 1
                    return turn.state.count
                }
            }
        }
    }
    let log: EffectLog
    let stops: [Stop]
}
