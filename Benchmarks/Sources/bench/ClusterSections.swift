import Foundation

/// Three nodes in processes of their own on this machine, two copies of everything, TLS between them. The
/// nodes themselves ask for the runs, two of three of which are other nodes'.
extension Sections {
    @Sendable static func cluster() async throws -> [Figure] {
        let cluster = try BenchCluster(size: 3)
        defer { cluster.end() }
        let paced = try pacedRuns(cluster)
        return try parallelRuns(cluster) + paced
    }

    private static func parallelRuns(_ cluster: BenchCluster) throws -> [Figure] {
        let (runs, rounds) = (1_000, environment("BENCH_ROUNDS") ?? 20)
        for round in 0..<3 { _ = try timedRound(cluster, "w\(round)-", runs) }
        let before = try cluster.figures()
        let rates = try (0..<rounds).map {
            Double(runs * 10) / (try timedRound(cluster, "r\($0)-", runs))
        }
        let used = try cluster.figures().since(before)
        let steps = Double(runs * 10 * rounds)
        let median = rates.sorted()[rounds / 2]
        let raw = try RawDisk.commits(in: cluster.directory, bytes: 64 << 10, count: 300).percentile(0.5)
        var figures = [
            Figure(
                name: "replicated durable steps/s, 1,000 runs of 10", value: median, unit: "steps/s",
                limit: 1_000_000 / raw * 256, limitName: "2 x 256 steps per raw 64 KiB commit",
                target: ">= 25,000", reached: median >= 25_000),
            plain("  best of \(rounds) rounds", rates.max() ?? 0, "steps/s"),
            plain("  steps per fsync", steps / Double(max(1, used.journalCommits)), "steps"),
            Figure(
                name: "  bytes between nodes a step", value: Double(used.meshBytes) / steps, unit: "bytes",
                limit: Double(used.recordBytes) / steps, limitName: "of records a step", target: "-",
                reached: true),
        ]
        for (name, micros) in used.times.shares {
            figures.append(plain("  CPU a step, \(name)", micros / steps, "us"))
        }
        return figures
    }

    private static func pacedRuns(_ cluster: BenchCluster) throws -> [Figure] {
        let (perSecond, seconds) = (100.0, Double(environment("BENCH_PACED_SECONDS") ?? 20))
        let nodes = Double(cluster.members.count)
        let answers = try cluster.tellAll { index in
            .paced(
                prefix: "p\(index)-", count: Int(perSecond * seconds / nodes),
                perSecond: perSecond / nodes)
        }
        let micros = try answers.flatMap {
            try JSONDecoder().decode([Double].self, from: Data($0.utf8))
        }.sorted()
        func percentile(_ share: Double) -> Double {
            micros[min(micros.count - 1, Int(Double(micros.count) * share))] / 1_000
        }
        let raw = try RawDisk.commits(in: cluster.directory, bytes: 200, count: 1_000).percentile(0.5) / 1_000
        return [
            Figure(
                name: "run of three steps at 100 runs/s, p50", value: percentile(0.5), unit: "ms",
                limit: raw, limitName: "one raw SQLite commit, ms", target: "<= 10 ms",
                reached: percentile(0.5) <= 10),
            plain("  p99", percentile(0.99), "ms"),
        ]
    }

    /// Seconds from the first request until the last run is recorded as completed.
    private static func timedRound(_ cluster: BenchCluster, _ prefix: String, _ runs: Int) throws -> Double {
        let before = try cluster.figures().runsEnded
        let began = ContinuousClock.now
        let nodes = cluster.members.count
        _ = try cluster.tellAll { index in
            .start(
                kind: "tenSteps", prefix: "\(prefix)\(index)-",
                count: runs / nodes + (index < runs % nodes ? 1 : 0))
        }
        while try cluster.figures().runsEnded < before + UInt64(runs) {
            Thread.sleep(forTimeInterval: 0.002)
        }
        return (ContinuousClock.now - began).inSeconds
    }

    static func plain(_ name: String, _ value: Double, _ unit: String) -> Figure {
        Figure(
            name: name, value: value, unit: unit, limit: nil, limitName: nil, target: "-", reached: true)
    }

    static func environment(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }
}
