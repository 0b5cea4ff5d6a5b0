import ClientProtocol
import Foundation
import HTTPCalls
import NIOHTTP1
import OperatorCommands
import Synchronization
import TimeAndChance

/// What a probe asks, of whom, and how often.
package struct ProbeSettings: Sendable {
    package var seed: UInt64 = 1
    package var nodes: [NodeLocation]
    package var actors = 16
    /// How many calls of one actor may be under way at once.
    package var clientsEach = 2
    package var pause: Duration = .milliseconds(100)
    /// How long one node may take to answer before the next one is asked.
    package var attempt: Duration = .seconds(1)
    /// How long a call is repeated before its outcome counts as unknown.
    package var patience: Duration = .seconds(120)
    /// How long the same counters are used. The checker's memory grows with the calls of one counter.
    package var round: Duration = .seconds(120)

    package init(nodes: [NodeLocation]) { self.nodes = nodes }
}

/// Calls a few counters again and again, each time at the next node, and hands out what it saw.
package final class ProbeRun: Sendable {
    private let settings: ProbeSettings
    private let callers: [HTTPCaller]
    private let name: String
    private let stopping = Atomic<Bool>(false)
    private let recording = Mutex(())
    private let turn = Atomic<Int>(0)
    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant
    /// Of the same moment as `start`; a clock that is set later does not bend the history.
    private let startMicros: Int64

    package init(_ settings: ProbeSettings) {
        self.settings = settings
        callers = settings.nodes.map { HTTPCaller(host: $0.host, port: $0.port, bodyBytesMax: 1 << 20) }
        start = clock.now
        startMicros = Int64(Date().timeIntervalSince1970 * 1_000_000)
        name = "probe-\(settings.seed)-\(startMicros)"
    }

    /// Lets the calls that are under way end, and begins no others.
    package func stop() { stopping.store(true, ordering: .relaxed) }

    /// - Parameters:
    ///   - limit: how long, if nobody calls `stop` before.
    ///   - record: called once for each call, one at a time.
    package func run(
        for limit: Duration, record: @escaping @Sendable (ProbeCall) -> Void
    ) async {
        await withDiscardingTaskGroup { group in
            for actor in 0..<settings.actors {
                for client in 0..<settings.clientsEach {
                    group.addTask { [self] in
                        var random = SplitMix64(
                            seed: settings.seed &+ UInt64(actor * settings.clientsEach + client))
                        while !stopping.load(ordering: .relaxed), clock.now - start < limit {
                            let call = await perform(actor, client, &random)
                            recording.withLock { _ in record(call) }
                            try? await Task.sleep(for: settings.pause)
                        }
                    }
                }
            }
        }
    }

    private func micros(_ instant: ContinuousClock.Instant) -> Int64 {
        let (seconds, attoseconds) = (instant - start).components
        return startMicros + seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }

    private func perform(_ actor: Int, _ client: Int, _ random: inout SplitMix64) async -> ProbeCall {
        let began = clock.now
        let round = Int((began - start) / settings.round)
        let delta = Int.random(in: 0..<100, using: &random) < 30 ? nil : Int.random(in: 1...9, using: &random)
        let path =
            "/actors/counter/\(name)-\(round)-\(actor)/actions/"
            + (delta == nil ? "getState" : "increment")
        let identity = "\(name)-\(client)-\(micros(began))-\(UInt32.random(in: 0...(.max), using: &random))"
        var call = ProbeCall(
            actor: actor, round: round, client: client, delta: delta, began: micros(began), tried: 0,
            ended: 0, attempts: 0, total: nil)
        while true {
            let caller = callers[turn.add(1, ordering: .relaxed).oldValue % callers.count]
            call.attempts += 1
            call.tried = micros(clock.now)
            do throws(HTTPFailure) {
                let reply = try await caller.send(
                    .POST, path, headers: delta == nil ? [] : [("Idempotency-Key", identity)],
                    body: delta.map { Array("\($0)".utf8) } ?? [], timeout: settings.attempt)
                call.total = reply.isSuccess ? Self.total(reply.body) : nil
                call.failure = call.total == nil ? "\(reply.status)" : nil
            } catch { call.failure = "\(error)" }
            call.ended = micros(clock.now)
            if call.total != nil || clock.now - began >= settings.patience { return call }
            // A pause between attempts, so that a dead node is not asked ten thousand times.
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Of `{"output": 7}` or `{"output": {"count": 7}}`.
    private static func total(_ body: [UInt8]) -> Int? {
        struct Count: Decodable { var count: Int }
        struct Plain: Decodable { var output: Int }
        struct Whole: Decodable { var output: Count }
        let data = Data(body)
        if let plain = try? JSONDecoder().decode(Plain.self, from: data) { return plain.output }
        return (try? JSONDecoder().decode(Whole.self, from: data))?.output.count
    }
}
