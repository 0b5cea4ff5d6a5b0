import ApusClient
import ClientProtocol
import Foundation
import Identifiers
import Synchronization

extension Sections {
    /// One actor over one WebSocket: many increments under way at once, then one at a time.
    @Sendable static func hotActor() async throws -> [Figure] {
        let bench = try await BenchNode()
        defer { bench.remove() }
        let connection = ApusConnection(host: "127.0.0.1", port: bench.node.port)
        let actor = try BenchNode.address("tally", "hot")
        _ = try await connection.call(actor, "increment", Payload("1"))
        _ = try await pipelined(connection, actor, count: 20_000)
        let count = 150_000
        let seconds = try await pipelined(connection, actor, count: count)
        let total = try await connection.call(actor, "increment", Payload("0"))
        guard total.text == String(count + 20_001) else { throw BenchError("lost increments: \(total.text)") }
        let alone = Samples()
        for _ in 0..<2_000 {
            let began = ContinuousClock.now
            _ = try await connection.call(actor, "increment", Payload("1"))
            alone.add(ContinuousClock.now - began)
        }
        await connection.close()
        try await bench.stop()
        let raw = try RawDisk.commits(in: bench.directory, bytes: 200, count: 2_000).percentile(0.5)
        let rate = Double(count) / seconds
        let trip = alone.percentile(0.5)
        return [
            Figure(
                name: "one hot actor, pipelined increments", value: rate, unit: "actions/s", limit: nil,
                limitName: nil, target: ">= 30,000", reached: rate >= 30_000),
            Figure(
                name: "one increment at a time, round trip p50", value: trip, unit: "us", limit: raw,
                limitName: "raw SQLite commit p50", target: "<= 3x the commit", reached: trip <= 3 * raw),
        ]
    }

    private static func pipelined(
        _ connection: ApusConnection, _ actor: ActorAddress, count: Int, window: Int = 512
    ) async throws -> Double {
        let flow = Flow(connection: connection, actor: actor, count: count)
        let began = ContinuousClock.now
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            flow.whenDone { continuation.resume() }
            for _ in 0..<window { flow.next() }
        }
        guard flow.failures.load(ordering: .relaxed) == 0 else { throw BenchError("increments failed") }
        return (ContinuousClock.now - began).inSeconds
    }

    /// A run that takes messages one at a time, with nothing and with 500 steps behind it.
    @Sendable static func messages() async throws -> [Figure] {
        let bench = try await BenchNode()
        defer { bench.remove() }
        var medians: [Int: Double] = [:]
        for steps in [0, 500] {
            _ = try await bench.perform(
                "longHistory", "h\(steps)", .getOrCreate(input: Payload("{\"steps\":\(steps)}")))
            try await bench.wait("longHistory", "h\(steps)", until: "waiting")
        }
        let samples = [0: Samples(), 500: Samples()]
        for index in 0..<3_000 {
            let steps = index % 2 == 0 ? 0 : 500
            let began = ContinuousClock.now
            _ = try await bench.perform(
                "longHistory", "h\(steps)", .request(queue: "work", body: Payload("1"), timeoutMillis: nil))
            if index > 500 { samples[steps]?.add(ContinuousClock.now - began) }
        }
        for (steps, sample) in samples { medians[steps] = sample.percentile(0.5) }
        try await bench.stop()
        let long = medians[500] ?? .nan
        let short = medians[0] ?? .nan
        return [
            Figure(
                name: "message to a run with 500 steps behind it, p50", value: long, unit: "us", limit: short,
                limitName: "the same with none", target: "no slower (<= 1.1x)", reached: long <= 1.1 * short)
        ]
    }
}

struct BenchError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Keeps a number of requests under way: each reply starts the next one.
private final class Flow: Sendable {
    let connection: ApusConnection
    let actor: ActorAddress
    let started = Atomic<Int>(0)
    let answered = Atomic<Int>(0)
    let failures = Atomic<Int>(0)
    let count: Int
    private let done = Mutex<(@Sendable () -> Void)?>(nil)

    init(connection: ApusConnection, actor: ActorAddress, count: Int) {
        self.connection = connection
        self.actor = actor
        self.count = count
    }

    func whenDone(_ body: @escaping @Sendable () -> Void) { done.withLock { $0 = body } }

    func next() {
        guard started.add(1, ordering: .relaxed).newValue <= count else { return }
        connection.submit(actor, .call(action: "increment", input: Payload("1"))) { [self] reply in
            if case .failure = reply { failures.add(1, ordering: .relaxed) }
            if answered.add(1, ordering: .relaxed).newValue == count { done.withLock { $0 }?() }
            next()
        }
    }
}
