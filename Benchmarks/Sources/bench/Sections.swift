import ClientProtocol
import Foundation
import Identifiers
import Synchronization

enum Sections {
    static let all: [(String, @Sendable () async throws -> [Figure])] = [
        ("sequential", sequential), ("parallel", parallel),
    ]

    static func sequential() async throws -> [Figure] {
        let bench = try await BenchNode()
        defer { bench.remove() }
        Samples.steps.reset()
        _ = try await bench.perform("sequential", "warm", .getOrCreate(input: Payload("{\"steps\":200}")))
        try await bench.wait("sequential", "warm", until: "completed")
        Samples.steps.reset()
        _ = try await bench.perform("sequential", "one", .getOrCreate(input: Payload("{\"steps\":2000}")))
        try await bench.wait("sequential", "one", until: "completed")
        let step = Samples.steps.percentile(0.5)
        let high = Samples.steps.percentile(0.99)
        try await bench.stop()
        let raw = try RawDisk.commits(in: bench.directory, bytes: 110, count: 2000).percentile(0.5)
        return [
            Figure(
                name: "sequential durable step, p50", value: step, unit: "us", limit: raw,
                limitName: "raw SQLite commit p50", target: "<= 2x the commit", reached: step <= 2 * raw),
            Figure(
                name: "sequential durable step, p99", value: high, unit: "us", limit: nil, limitName: nil,
                target: "-", reached: true),
        ]
    }

    static func parallel() async throws -> [Figure] {
        let bench = try await BenchNode()
        defer { bench.remove() }
        var best = 0.0
        for round in 0..<5 {
            let runs = 1_000
            let done = try await timed(bench, "tenSteps", prefix: "r\(round)-", count: runs)
            best = max(best, Double(runs * 10) / done)
            print("  round \(round): \(Int(Double(runs * 10) / done)) steps/s")
        }
        try await bench.stop()
        return [
            Figure(
                name: "durable steps/s, 1,000 runs of 10 steps", value: best, unit: "steps/s", limit: nil,
                limitName: nil, target: ">= 100,000", reached: best >= 100_000)
        ]
    }

    /// Seconds from the first request until the last run is recorded as completed.
    static func timed(_ bench: BenchNode, _ kind: String, prefix: String, count: Int) async throws -> Double {
        let began = ContinuousClock.now
        let left = Atomic<Int>(count)
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            for index in 0..<count {
                guard let target = try? BenchNode.address(kind, prefix + String(index)) else { continue }
                bench.node.host.submit(ActorRequest(target: target, operation: .getOrCreate(input: nil))) { _ in
                    if left.subtract(1, ordering: .relaxed).newValue == 0 { continuation.resume() }
                }
            }
        }
        for index in 0..<count { try await bench.wait(kind, prefix + String(index), until: "completed") }
        return (ContinuousClock.now - began).inSeconds
    }
}
