import ClientProtocol
import Foundation
import Identifiers
import Synchronization

enum Sections {
    static let all: [(String, @Sendable () async throws -> [Figure])] = [
        ("sequential", sequential), ("parallel", parallel), ("hot", hotActor), ("wake", wake),
        ("replay", replay), ("messages", messages), ("hibernated", hibernated),
        ("mesh", MeshSections.all), ("cluster", cluster), ("catchup", catchUp),
    ]

    @Sendable static func sequential() async throws -> [Figure] {
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

    @Sendable static func parallel() async throws -> [Figure] {
        let bench = try await BenchNode()
        defer { bench.remove() }
        let runs = 1_000
        let rounds = ProcessInfo.processInfo.environment["BENCH_ROUNDS"].flatMap { Int($0) } ?? 20
        // The first rounds make the partitions' files, which a node does once in its life.
        for round in 0..<3 { _ = try await timed(bench, "tenSteps", prefix: "w\(round)-", count: runs) }
        let before = ThreadTimes.now()
        let commitsBefore = bench.node.journalCommits
        var rates: [Double] = []
        for round in 0..<rounds {
            let seconds = try await timed(bench, "tenSteps", prefix: "r\(round)-", count: runs)
            rates.append(Double(runs * 10) / seconds)
        }
        let used = ThreadTimes.now().since(before)
        let commits = bench.node.journalCommits - commitsBefore
        try await bench.stop()
        let steps = Double(runs * 10 * rounds)
        let raw = try RawDisk.commits(in: bench.directory, bytes: 64 << 10, count: 300).percentile(0.5)
        let median = rates.sorted()[rounds / 2]
        var figures = [
            Figure(
                name: "durable steps/s, 1,000 runs of 10 steps, median", value: median, unit: "steps/s",
                limit: 1_000_000 / raw * 512, limitName: "512 steps per raw 64 KiB commit",
                target: ">= 100,000",
                reached: median >= 100_000),
            Figure(
                name: "  best of \(rounds) rounds", value: rates.max() ?? 0, unit: "steps/s", limit: nil,
                limitName: nil, target: "-", reached: true),
            Figure(
                name: "  steps per fsync", value: steps / Double(max(1, commits)), unit: "steps", limit: nil,
                limitName: nil, target: "-", reached: true),
        ]
        for (name, micros) in used.shares {
            figures.append(
                Figure(
                    name: "  CPU a step, \(name)", value: micros / steps, unit: "us", limit: nil,
                    limitName: nil,
                    target: "-", reached: true))
        }
        return figures
    }

    /// Seconds from the first request until the last run is recorded as completed.
    static func timed(
        _ bench: BenchNode, _ kind: String, prefix: String, count: Int, counter: String = "runsEnded"
    ) async throws -> Double {
        let before = try await bench.figure(counter)
        let began = ContinuousClock.now
        let left = Atomic<Int>(count)
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            for index in 0..<count {
                guard let target = try? BenchNode.address(kind, prefix + String(index)) else { continue }
                bench.node.host.submit(ActorRequest(target: target, operation: .getOrCreate(input: nil))) {
                    _ in
                    if left.subtract(1, ordering: .relaxed).newValue == 0 { continuation.resume() }
                }
            }
        }
        while try await bench.figure(counter) < before + count { try await Task.sleep(for: .milliseconds(2)) }
        return (ContinuousClock.now - began).inSeconds
    }
}
