import ActorHost
import Apus
import ClientProtocol
import Identifiers
import Logging
import Synchronization
import Testing
import WorkflowTrials

/// Replies and events in the order in which they came.
private final class Arrivals: Sendable {
    private let live = Mutex<[String]>([])
    func note(_ text: String) { live.withLock { $0.append(text) } }
    var all: [String] { live.withLock { $0 } }
}

/// A host on a store that can be held back.
private struct HeldHost: Sendable {
    let store = HeldStore()
    let clock = ManualClock()
    let host: ActorHost
    let arrivals = Arrivals()
    let address: ActorAddress

    init(
        idle: Duration = .seconds(1_000_000_000), liveActorsMax: Int = 50_000,
        _ script: @escaping LabActor.Script = { _, _ in }
    ) throws {
        var logger = Logger(label: "held")
        logger.logLevel = .critical
        address = try Self.address("a")
        host = ActorHost(
            kinds: try RegistryReader.kinds(of: Lab(EffectLog(), script)), store: store, clock: clock,
            settings: HostSettings(shards: 1, liveActorsMax: liveActorsMax, idleOverride: idle),
            logger: logger
        ) { _ in }
        clock.onAdvance { [host] in host.clockMoved() }
    }

    static func address(_ key: String) throws -> ActorAddress {
        ActorAddress(kind: try ActorKind("lab"), key: try ActorKey([key]))
    }

    @discardableResult
    func submit(
        _ name: String, _ operation: ActorRequest.Operation, key: String = "a",
        as identity: RequestIdentity? = nil, timeLeftMillis: UInt64? = nil
    ) throws -> RequestToken {
        let request = ActorRequest(
            target: try Self.address(key), operation: operation, identity: identity,
            timeLeftMillis: timeLeftMillis)
        return host.submit(request) { [arrivals] result in
            switch result {
            case .success(.output(let output)): arrivals.note("\(name): \(output.text)")
            case .success(.document(let text)), .success(.created(_, let text)):
                let state =
                    text.text.contains(#""count":"#)
                    ? text.text.split(separator: #""count":"#)[1].prefix(1) : ""
                arrivals.note("\(name): \(state)")
            case .success(let reply): arrivals.note("\(name): \(reply)")
            case .failure(let error): arrivals.note("\(name): \(error.group).\(error.code)")
            }
        }
    }

    /// Lets the host do what it can.
    func settle() async { for _ in 0..<20 { await host.ready() } }

    /// Waits until that many have arrived.
    func arrivals(_ count: Int) async -> [String] {
        for _ in 0..<100_000 where arrivals.all.count < count { await Task.yield() }
        await settle()
        return arrivals.all
    }
}

@Suite("The output gate, and who is on the way out")
struct GateTests {
    @Test("A12 A40 W3: no reply and no event before the commit; then all, in order")
    func gate() async throws {
        let node = try HeldHost()
        _ = try node.host.subscribe(to: "changed", of: node.address) { [arrivals = node.arrivals] in
            arrivals.note("event \($0.payload.text)")
        }
        try node.submit("created", .getOrCreate(input: nil))
        #expect(await node.arrivals(1) == ["created: 0"])
        node.store.holdDurable()
        try node.submit("one", .action("add", input: Payload("1")))
        try node.submit("read", .action("count", input: .null))
        try node.submit("refused", .action("refuse", input: Payload("5")))
        await node.settle()
        try node.submit("two", .action("add", input: Payload("1")))
        try node.submit("sent", .send(queue: "jobs", body: Payload(#""x""#)))
        await node.settle()
        #expect(node.arrivals.all.count == 1)
        let waiting = node.store.waiting
        #expect(waiting >= 2)
        node.store.releaseDurable(1)
        await node.settle()
        #expect(node.arrivals.all.dropFirst() == ["event 1", "one: 1", "read: 1", "refused: user.too_late"])
        node.store.releaseDurable()
        await node.settle()
        #expect(node.arrivals.all.dropFirst(5).prefix(2) == ["event 2", "two: 2"])
        #expect(node.arrivals.all.count == 8)
        try await node.host.stop()
    }

    @Test("A12: a description shows what was committed when it leaves, not what came later")
    func descriptions() async throws {
        let node = try HeldHost()
        try node.submit("created", .getOrCreate(input: nil))
        _ = await node.arrivals(1)
        node.store.holdDurable()
        try node.submit("one", .action("add", input: Payload("1")))
        try node.submit("seen", .describe)
        try node.submit("got", .getOrCreate(input: nil))
        await node.settle()
        try node.submit("two", .action("add", input: Payload("1")))
        await node.settle()
        node.store.releaseDurable(1)
        await node.settle()
        #expect(node.arrivals.all.dropFirst() == ["one: 1", "seen: 1", "got: 1"])
        node.store.releaseDurable()
        try await node.host.stop()
    }

    @Test("A12: that a key is taken is told only when it is durable")
    func duplicateKey() async throws {
        let node = try HeldHost()
        node.store.holdDurable()
        try node.submit("first", .create(input: nil))
        try node.submit("second", .create(input: nil))
        await node.settle()
        #expect(node.arrivals.all == [])
        node.store.releaseDurable()
        #expect(await node.arrivals(2) == ["first: 0", "second: actor.duplicate_key"])
        try await node.host.stop()
    }

    @Test("A12 A31: a request that does not wait is answered when its message is durable")
    func requestWithoutWaiting() async throws {
        let node = try HeldHost { workflow, _ in _ = try await workflow.next("never", from: \.jobs) }
        try node.submit("created", .getOrCreate(input: nil))
        _ = await node.arrivals(1)
        node.store.holdDurable()
        try node.submit("ask", .request(queue: "asks", body: Payload(#""x""#), timeoutMillis: 0))
        await node.settle()
        #expect(node.arrivals.all.count == 1)
        node.store.releaseDurable()
        #expect(await node.arrivals(2).last == "ask: timedOut")
        try await node.host.stop()
    }

    @Test("A12: that a run has ended is told to a waiting request only when it is durable")
    func runEnded() async throws {
        let node = try HeldHost { workflow, _ in _ = try await workflow.next("take", from: \.jobs) }
        try node.submit("created", .getOrCreate(input: nil))
        _ = await node.arrivals(1)
        await node.settle()
        node.store.holdDurable()
        try node.submit("sent", .send(queue: "jobs", body: Payload(#""x""#)))
        await node.settle()
        node.store.releaseDurable(1)
        await node.settle()
        try node.submit("ask", .request(queue: "asks", body: Payload(#""x""#), timeoutMillis: nil))
        await node.settle()
        #expect(!node.arrivals.all.contains("ask: actor.run_ended"))
        node.store.releaseDurable()
        #expect(await node.arrivals(3).last == "ask: actor.run_ended")
        try await node.host.stop()
    }

    @Test("A7: a stop answers those who wait for an actor that is on its way out")
    func stopWithParkedRequests() async throws {
        let node = try HeldHost(idle: .zero)
        node.store.holdApplied()
        try node.submit("created", .getOrCreate(input: nil))
        _ = await node.arrivals(1)
        await node.settle()
        try node.submit("parked", .action("add", input: Payload("1")))
        await node.settle()
        #expect(node.arrivals.all.count == 1)
        try await node.host.stop()
        #expect(node.arrivals.all.last == "parked: node.stopping")
    }

    @Test("A7 A5: requests for an actor on its way out are served by its next life, in order")
    func parkedRequests() async throws {
        let node = try HeldHost(idle: .zero)
        node.store.holdApplied()
        try node.submit("created", .getOrCreate(input: nil))
        _ = await node.arrivals(1)
        await node.settle()
        for number in 1...3 { try node.submit("\(number)", .action("add", input: Payload("1"))) }
        await node.settle()
        #expect(node.arrivals.all.count == 1)
        node.store.releaseApplied()
        #expect(await node.arrivals(4).dropFirst() == ["1: 1", "2: 2", "3: 3"])
        try await node.host.stop()
    }

    @Test("A63: what was not begun when the client's time was over is not begun any more, and told so")
    func deadlines() async throws {
        let node = try HeldHost(idle: .zero)
        let add = ActorRequest.Operation.action("add", input: Payload("1"))
        try node.submit("none", add, timeLeftMillis: 0)
        #expect(await node.arrivals(1) == ["none: request.deadline_exceeded"])
        node.store.holdApplied()
        try node.submit("created", .getOrCreate(input: nil), timeLeftMillis: .max)
        _ = await node.arrivals(2)
        await node.settle()
        try node.submit("short", add, timeLeftMillis: 999)
        try node.submit("long", add, timeLeftMillis: 1_001)
        try node.submit("patient", add)
        await node.settle()
        node.clock.advance(by: .seconds(1))
        await node.settle()
        node.store.releaseApplied()
        let told = await node.arrivals(5).dropFirst(2)
        #expect(told == ["short: request.deadline_exceeded", "long: 1", "patient: 2"])
        try await node.host.stop()
    }

    @Test("A5: who has left a request on an actor that was on its way out does not keep the next life awake")
    func abandonedWhileParked() async throws {
        let node = try HeldHost(idle: .zero) { workflow, _ in
            _ = try await workflow.next("never", from: \.jobs)
        }
        node.store.holdApplied()
        try node.submit("created", .getOrCreate(input: nil))
        _ = await node.arrivals(1)
        await node.settle()
        let token = try node.submit(
            "ask", .request(queue: "asks", body: Payload(#""x""#), timeoutMillis: nil))
        await node.settle()
        node.host.abandon(token)
        await node.settle()
        node.store.releaseApplied()
        await node.settle()
        #expect(await node.host.status().text.contains(#""actorsAwake":0"#))
        try await node.host.stop()
    }

    @Test("A5: actors that go early for want of room answer like others")
    func evicted() async throws {
        let node = try HeldHost(liveActorsMax: 1)
        for key in ["a", "b", "c", "d"] { try node.submit("created", .getOrCreate(input: nil), key: key) }
        _ = await node.arrivals(4)
        await node.settle()
        for round in 1...3 {
            for key in ["a", "b", "c", "d"] {
                try node.submit("add", .action("add", input: Payload("1")), key: key)
                let seen = await node.arrivals(node.arrivals.all.count + 1)
                #expect(seen.last == "add: \(round)")
            }
        }
        try await node.host.stop()
    }

    @Test("A2: destroying tells who waits, frees the key, and keeps nothing")
    func destroying() async throws {
        let node = try HeldHost { workflow, _ in
            try await workflow.step("long", timeout: nil) { try await Task.sleep(for: .seconds(3_600)) }
        }
        try node.submit("created", .getOrCreate(input: Payload(#"{"start":5}"#)))
        try node.submit("ask", .request(queue: "asks", body: Payload(#""x""#), timeoutMillis: nil))
        try node.submit("add", .action("add", input: Payload("1")))
        _ = await node.arrivals(2)
        try node.submit("destroyed", .destroy)
        try node.submit("add", .action("add", input: Payload("1")))
        let seen = await node.arrivals(5)
        #expect(seen.contains("add: 6"))
        #expect(seen.dropFirst(2).sorted() == ["add: 1", "ask: actor.destroyed", "destroyed: destroyed"])
        try await node.host.stop()
    }
}
