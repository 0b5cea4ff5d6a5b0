import ActorHost
import Apus
import ApusClient
import ClientProtocol
import Foundation
import Identifiers
import Logging
import NodeAssembly
import PartitionStore
import Synchronization
import Testing

private struct Counter: DurableActor {
    struct State: DurableState { var count = 0 }
    struct Queues: Declarations { let changes = CompletableQueue<Int, Int>() }
    struct Events: Declarations { let changed = Event<Int>() }
    struct Actions: Declarations {
        let increment = Action<Int, Int> { turn, amount in
            turn.state.count += amount
            turn.broadcast(\.changed, turn.state.count)
            return turn.state.count
        }
        let count = Query<Int> { $0.state.count }
        let refuse = Action<NoInput, Int> { _ in throw ActorError("too_early", "come back later") }
    }

    func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.loop("changes") { loop in
            let change = try await loop.next("take", from: \.changes)
            try await loop.turn("apply", answering: change) { turn in
                turn.state.count += change.body
                return turn.state.count
            }
        }
    }
}

private struct Reminder: DurableActor {
    struct Input: Codable, Sendable { var millis: Int }
    struct State: DurableState { var isReminded = false }
    func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.sleep("wait", for: .milliseconds(try workflow.input?.millis ?? 0))
        try await workflow.turn("remind") { turn in turn.state.isReminded = true }
    }
}

private struct Shop: Registry {
    let counter = Counter()
    let reminder = Reminder()
}

/// A node with its data in a directory of its own, which goes when the test ends.
private final class TestNode: Sendable {
    let directory: String
    private let node: Mutex<Node?>
    private let settings: HostSettings

    init(idle: Duration? = nil) async throws {
        directory = NSTemporaryDirectory() + "apus-node-\(UUID().uuidString)"
        settings = HostSettings(idleOverride: idle)
        node = Mutex(nil)
        try await start()
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func start() async throws {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let configuration = NodeConfiguration(dataDirectory: directory, port: 0, settings: settings)
        let started = try await Node.start(Shop(), configuration: configuration, logger: logger) { error in
            Issue.record("the journal failed: \(error)")
        }
        node.withLock { $0 = started }
    }

    func stop() async throws {
        let running = node.withLock { node in
            defer { node = nil }
            return node
        }
        try await running?.stop()
    }

    func perform(_ operation: ActorRequest.Operation, as key: String) async throws -> ActorReply? {
        let address = ActorAddress(kind: try ActorKind("counter"), key: try ActorKey(["a"]))
        let request = ActorRequest(target: address, operation: operation, identity: .key(key))
        return try await node.withLock { $0?.host }?.perform(request)
    }

    func client() throws -> Client<Shop> {
        try Client(Shop.self, node: "http://127.0.0.1:\(node.withLock { $0?.port ?? 1 })")
    }
}

@Suite("One node, a real socket, a typed client")
struct NodeTests {
    @Test("A10 A12 A14: actions, queries and errors through the typed client")
    func actions() async throws {
        let node = try await TestNode()
        let client = try node.client()
        #expect(try await client.counter("a").increment(4) == 4)
        #expect(try await client.counter("a").increment(-1) == 3)
        #expect(try await client.counter("a").count() == 3)
        #expect(try await client.counter("b", "with/slash", "").count() == 0)
        await #expect(throws: ActorError("too_early", "come back later")) {
            try await client.counter("a").refuse()
        }
        #expect(try await client.counter("a").snapshot().state.count == 3)
        await client.close()
        try await node.stop()
    }

    @Test("W33 A40: completable messages and events through the typed client")
    func messagesAndEvents() async throws {
        let node = try await TestNode()
        let client = try node.client()
        #expect(try await client.counter("a").request(5, from: \.changes) == 5)
        let events = client.counter("a").events(\.changed)
        var iterator = events.makeAsyncIterator()
        // The subscription counts from the moment the node has it, so changes go on until one is heard.
        let changes = Task {
            while !Task.isCancelled { try await client.counter("a").increment(1) }
        }
        let first = try await iterator.next()
        let second = try await iterator.next()
        changes.cancel()
        #expect(second == first.map { $0 + 1 })
        await client.close()
        try await node.stop()
    }

    @Test("W2 W30 A5: state, queues and sleeping runs outlive a stop and a hibernation")
    func restart() async throws {
        let node = try await TestNode(idle: .zero)
        var client = try node.client()
        try await client.counter("a").increment(7)
        try await client.reminder("r").create(.init(millis: 300))
        await client.close()
        try await node.stop()
        try await node.start()
        client = try node.client()
        #expect(try await client.counter("a").count() == 7)
        #expect(try await client.counter("a").request(1, from: \.changes) == 8)
        while try await client.reminder("r").snapshot().run?.status != "completed" { await Task.yield() }
        #expect(try await client.reminder("r").snapshot().state.isReminded)
        await client.close()
        try await node.stop()
    }

    @Test("A13 A63: a client that is used over a restart changes everything once")
    func clientOverRestart() async throws {
        let node = try await TestNode()
        let client = try node.client()
        for _ in 0..<20 { try await client.counter("a").increment(1) }
        #expect(try await client.counter("a").count() == 20)
        try await client.counter("a").destroy()
        await #expect(throws: ActorError.self) { _ = try await client.counter("a").snapshot() }
        #expect(try await client.counter("a").increment(1) == 1)
        await client.close()
        try await node.stop()
    }

    @Test("A13 A2: a destroy is repeated over a restart, before and after there is a new actor of the key")
    func destroyOverRestart() async throws {
        let node = try await TestNode()
        let increment = ActorRequest.Operation.action("increment", input: Payload("7"))
        #expect(try await node.perform(increment, as: "one") == .output(Payload("7")))
        for _ in 0..<2 {
            #expect(try await node.perform(.destroy, as: "end") == .destroyed)
            #expect(try await node.perform(increment, as: "one") == .output(Payload("7")))
            try await node.stop()
            try await node.start()
        }
        await #expect(throws: ActorError.self) { _ = try await node.perform(.describe, as: "") }
        for _ in 0..<2 {
            #expect(try await node.perform(increment, as: "two") == .output(Payload("7")))
            #expect(try await node.perform(.destroy, as: "end") == .destroyed)
            try await node.stop()
            try await node.start()
        }
        #expect(try await node.perform(increment, as: "three") == .output(Payload("14")))
        try await node.stop()
    }

    @Test("R5: a directory serves one node at a time")
    func oneNodeADirectory() async throws {
        let node = try await TestNode()
        await #expect(throws: StoreError.locked(directory: node.directory)) { try await node.start() }
        try await node.stop()
        try await node.start()
        try await node.stop()
    }
}
