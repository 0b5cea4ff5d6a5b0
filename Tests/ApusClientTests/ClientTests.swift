import ClientGateway
import ClientProtocol
import FakeActors
import Identifiers
import Logging
import Synchronization
import Testing

@testable import ApusClient

func counter(_ key: String) -> ActorAddress {
    // The kind and the keys in these tests are within the limits.
    ActorAddress(kind: try! ActorKind("counter"), key: try! ActorKey([key]))
}

func quietLogger() -> Logger {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
}

func startGateway(_ service: FakeActorService, port: Int = 0) async throws -> ClientGateway {
    try await ClientGateway.start(service: service, host: "127.0.0.1", port: port, logger: quietLogger())
}

func client(port: Int, _ change: (inout ClientConfiguration) -> Void = { _ in }) -> ApusConnection {
    var configuration = ClientConfiguration()
    configuration.backoffMin = .milliseconds(10)
    configuration.backoffMax = .milliseconds(50)
    change(&configuration)
    return ApusConnection(host: "127.0.0.1", port: port, configuration: configuration, logger: quietLogger())
}

/// Runs a test with a gateway and a client, and ends both.
func withClient(
    _ change: (inout ClientConfiguration) -> Void = { _ in },
    _ body: (FakeActorService, ApusConnection) async throws -> Void
) async throws {
    let service = FakeActorService()
    let gateway = try await startGateway(service)
    let connection = client(port: gateway.port, change)
    do {
        try await body(service, connection)
    } catch {
        await connection.close()
        await gateway.stop(within: .milliseconds(200))
        throw error
    }
    await connection.close()
    await gateway.stop(within: .milliseconds(200))
}

@Suite("Client") struct ClientTests {
    @Test("A2, A10, A31: each kind of request has its answer")
    func requests() async throws {
        try await withClient { (_, client) async throws in
            let made = try await client.create(counter("a"))
            #expect(made.isNew && made.description.text == #"{"state":{"count":0}}"#)
            let again = try await client.create(counter("a"), ifAbsent: true)
            #expect(!again.isNew)
            #expect(try await client.call(counter("a"), "increment", Payload("4")).text == "4")
            #expect(try await client.send(counter("a"), "requests", Payload("{}")) > 0)
            #expect(try await client.request(counter("a"), "requests", Payload("\"now\""))?.text == "\"now\"")
            #expect(try await client.request(counter("a"), "requests", Payload("1"), timeout: .zero) == nil)
            #expect(try await client.describe(counter("a")).text == #"{"state":{"count":4}}"#)
            #expect(try await client.history(counter("a")).text == #"{"entries":[]}"#)
            try await client.destroy(counter("a"))
        }
    }

    @Test("A14: a user's error arrives whole, and the next request is not disturbed")
    func errors() async throws {
        try await withClient { (_, client) async throws in
            let expected = ActorError("out_of_paint", "no \"paint\" left", metadata: ["colour": "blue"])
            await #expect(throws: ClientError.actor(expected)) { try await client.call(counter("a"), "fail") }
            await #expect(throws: ClientError.actor(.internalError)) {
                try await client.call(counter("a"), "crash")
            }
            #expect(try await client.call(counter("a"), "count").text == "0")
        }
    }

    @Test("What is no JSON or too large is refused here and the connection stays")
    func refusedPayloads() async throws {
        try await withClient { (service, client) async throws in
            await #expect(throws: ClientError.self) {
                try await client.call(counter("a"), "echo", Payload("{"))
            }
            let large = Payload("\"" + String(repeating: "x", count: 1 << 20) + "\"")
            await #expect(throws: ClientError.self) { try await client.call(counter("a"), "echo", large) }
            #expect(service.requests.isEmpty)
        }
    }

    @Test("A63: the status goes from idle over connected to closed")
    func statuses() async throws {
        try await withClient { (_, client) async throws in
            var statuses = client.statuses.makeAsyncIterator()
            #expect(await statuses.next() == .idle)
            client.connect()
            #expect(await statuses.next() == .connecting)
            #expect(await statuses.next() == .connected)
            await client.close()
            #expect(await statuses.next() == .closed)
            #expect(await statuses.next() == nil)
            await #expect(throws: ClientError.closed) { try await client.describe(counter("a")) }
        }
    }

    @Test("Bounds: requests that wait, the time of a call, cancellation, closing")
    func bounds() async throws {
        try await withClient({ $0.pendingMax = 1 }) { (service, client) async throws in
            let held = Task { try await client.call(counter("a"), "hold") }
            await service.waitForRequests(1)
            await #expect(throws: ClientError.tooManyRequests(limit: 1)) {
                try await client.describe(counter("a"))
            }
            held.cancel()
            let cancelled = await held.result
            #expect(throws: ClientError.cancelled) { try cancelled.get() }
            // The node hears that nobody waits any more.
            await service.waitUntil { $0.contains { if case .abandoned = $0 { true } else { false } } }
            await #expect(throws: ClientError.timedOut) {
                try await client.call(counter("a"), "hold", timeout: .milliseconds(1))
            }
            let closing = Task { try await client.call(counter("a"), "hold") }
            await service.waitForRequests(3)
            await client.close()
            let closed = await closing.result
            #expect(throws: ClientError.closed) { try closed.get() }
        }
    }

    @Test("Pipelined calls without tasks: each reply comes once, the work is done once")
    func pipelining() async throws {
        try await withClient { (service, client) async throws in
            let outputs = await withCheckedContinuation { continuation in
                let all = Outputs()
                for _ in 0..<1000 {
                    client.submit(counter("a"), .call(action: "increment", input: Payload("1"))) { result in
                        if let done = all.add(result, until: 1000) { continuation.resume(returning: done) }
                    }
                }
            }
            #expect(outputs == (1...1000).map { "\($0)" })
            #expect(service.executions == 1000)
        }
    }

    private final class Outputs: Sendable {
        private let outputs = Mutex<[String]>([])

        func add(_ result: Result<ActorReply, ClientError>, until count: Int) -> [String]? {
            outputs.withLock { outputs in
                if case .success(.output(let output)) = result { outputs.append(output.text) }
                return outputs.count == count ? outputs : nil
            }
        }
    }

    @Test("A40: events come in order; an unknown event fails its stream")
    func events() async throws {
        try await withClient { (service, client) async throws in
            var events = client.events(counter("a"), "changed").makeAsyncIterator()
            await service.waitUntil { $0.contains { if case .subscribed = $0 { true } else { false } } }
            for number in 1...3 { service.broadcast("changed", of: counter("a"), Payload("\(number)")) }
            for number in 1...3 { #expect(try await events.next()?.payload.text == "\(number)") }
            var unknown = client.events(counter("a"), "nope").makeAsyncIterator()
            await #expect(throws: ClientError.self) { try await unknown.next() }
        }
    }
}

@Suite("Reconnection") struct ReconnectionTests {
    @Test("A13, A63: a call whose reply was lost is asked again under the same sequence and executed once")
    func lostReply() async throws {
        let service = FakeActorService()
        let gateway = try await startGateway(service)
        let proxy = try await CuttingProxy.start(to: gateway.port)
        let client = client(port: proxy.port)
        #expect(try await client.call(counter("a"), "increment", Payload("1")).text == "1")
        proxy.swallowReplies()
        async let output = client.call(counter("a"), "increment", Payload("10"))
        await service.waitForRequests(2)
        proxy.cut()
        #expect(try await output.text == "11")
        #expect(service.executions == 2)
        let sequences = service.requests.map(\.identity)
        let session = client.session
        #expect(
            sequences == [
                .session(session, sequence: 1, acknowledged: 0),
                .session(session, sequence: 2, acknowledged: 1),
                .session(session, sequence: 2, acknowledged: 1),
            ])
        await client.close()
        try await proxy.stop()
        await gateway.stop(within: .milliseconds(200))
    }

    @Test(
        "A63: after a restart of the node waiting requests are asked again, subscriptions renewed"
    )
    func restart() async throws {
        let service = FakeActorService()
        let first = try await startGateway(service)
        let client = client(port: first.port)
        var events = client.events(counter("a"), "changed").makeAsyncIterator()
        async let response = client.request(counter("a"), "requests", Payload("1"))
        await service.waitForRequests(1)
        await service.waitUntil { $0.contains { if case .subscribed = $0 { true } else { false } } }
        await first.stop(within: .milliseconds(20))
        let second = try await startGateway(service, port: first.port)
        await service.waitForRequests(2)
        await service.waitUntil { $0.count { if case .subscribed = $0 { true } else { false } } == 2 }
        service.broadcast("changed", of: counter("a"), Payload("7"))
        #expect(try await events.next()?.payload.text == "7")
        service.release(.success(.completed(Payload("2"))))
        #expect(try await response?.text == "2")
        #expect(Set(service.requests.map(\.identity)).count == 1)
        #expect(try await client.call(counter("a"), "increment", Payload("1")).text == "1")
        await client.close()
        await second.stop(within: .milliseconds(200))
    }

    @Test("A63: a node whose name nobody knows at the moment is looked for again", .timeLimit(.minutes(1)))
    func unknownName() async throws {
        var configuration = ClientConfiguration()
        configuration.backoffMin = .milliseconds(1)
        configuration.backoffMax = .milliseconds(1)
        // An empty label is in no name, so that nobody is asked for it.
        let client = ApusConnection(
            host: "no..name", port: 1, configuration: configuration, logger: quietLogger())
        var statuses = client.statuses.makeAsyncIterator()
        client.connect()
        var failures = 0
        while failures < 2, let status = await statuses.next() {
            if status == .disconnected { failures += 1 }
        }
        #expect(failures == 2)
        await client.close()
    }

    @Test("A63: calls made while there is no node are answered when there is one")
    func nobodyThere() async throws {
        let service = FakeActorService()
        let first = try await startGateway(service)
        await first.stop(within: .zero)
        let client = client(port: first.port)
        var statuses = client.statuses.makeAsyncIterator()
        async let output = client.call(counter("a"), "increment", Payload("1"))
        while let status = await statuses.next(), status != .disconnected {}
        let second = try await startGateway(service, port: first.port)
        #expect(try await output.text == "1")
        await client.close()
        await second.stop(within: .milliseconds(200))
    }
}
