import ClientProtocol
import Foundation
import Identifiers

extension Sections {
    /// From a request for a hibernated actor to its answer.
    @Sendable static func wake() async throws -> [Figure] {
        let bench = try await BenchNode(idle: .milliseconds(1))
        defer { bench.remove() }
        let count = 500
        for index in 0..<count {
            _ = try await bench.perform("sleeper", "s\(index)", .getOrCreate(input: nil))
        }
        try await bench.allAsleep()
        let samples = Samples()
        for index in 0..<count {
            let began = ContinuousClock.now
            _ = try await bench.perform("sleeper", "s\(index)", .action("touch", input: .null))
            samples.add(ContinuousClock.now - began)
        }
        try await bench.stop()
        let median = samples.percentile(0.5) / 1_000
        return [
            Figure(
                name: "wake of a hibernated actor, p50", value: median, unit: "ms", limit: nil,
                limitName: nil,
                target: "<= 1 ms", reached: median <= 1)
        ]
    }

    /// A run with 5,000 recorded steps comes back into memory.
    @Sendable static func replay() async throws -> [Figure] {
        let bench = try await BenchNode(idle: .milliseconds(1))
        defer { bench.remove() }
        _ = try await bench.perform("longHistory", "r", .getOrCreate(input: Payload("{\"steps\":5000}")))
        try await bench.allAsleep()
        let all = Samples()
        for _ in 0..<10 {
            Samples.replays.reset()
            let began = ContinuousClock.now
            _ = try await bench.perform(
                "longHistory", "r", .request(queue: "work", body: Payload("1"), timeoutMillis: nil))
            all.add(ContinuousClock.now - began)
            try await bench.allAsleep()
        }
        try await bench.stop()
        let code = Samples.replays.percentile(0.5) / 1_000
        let whole = all.percentile(0.5) / 1_000
        return [
            Figure(
                name: "replay of 5,000 steps, with loading, to the answer", value: whole, unit: "ms",
                limit: code,
                limitName: "of it the run's code, ms", target: "<= 50 ms", reached: whole <= 50)
        ]
    }

    /// 100,000 runs that sleep for a year: the memory of their node, and its way back to serving.
    @Sendable static func hibernated() async throws -> [Figure] {
        let directory = BenchNode.freshDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let count = 100_000
        let grown = try child("create", directory, count)
        let fresh = try child("serve", directory, count)
        return [
            Figure(
                name: "node with 100,000 hibernated runs, after a restart", value: fresh.megabytes,
                unit: "MB",
                limit: fresh.baseline, limitName: "the same node empty, MB", target: "<= 100 MB",
                reached: fresh.megabytes <= 100),
            Figure(
                name: "  in the process that created them all", value: grown.megabytes, unit: "MB",
                limit: nil,
                limitName: nil, target: "<= 100 MB", reached: grown.megabytes <= 100),
            Figure(
                name: "  restart to serving", value: fresh.seconds, unit: "s", limit: nil, limitName: nil,
                target: "<= 3 s", reached: fresh.seconds <= 3),
        ]
    }

    struct ChildReport: Codable {
        var megabytes: Double
        var baseline: Double
        var seconds: Double
    }

    /// Runs a part of the measurement in a process of its own, so that its memory is its own.
    private static func child(_ part: String, _ directory: String, _ count: Int) throws -> ChildReport {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["child", part, directory, String(count)]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw BenchError("the child \(part) failed") }
        return try JSONDecoder().decode(ChildReport.self, from: data)
    }

    static func runChild(_ arguments: [String]) async throws {
        guard arguments.count == 3, let count = Int(arguments[2]) else {
            throw BenchError("child: PART DIR COUNT")
        }
        let baseline = ResidentMemory.megabytes
        let began = ContinuousClock.now
        let bench = try await BenchNode(directory: arguments[1], idle: .milliseconds(1))
        if arguments[0] == "create" {
            for start in stride(from: 0, to: count, by: 1_000) {
                _ = try await timed(
                    bench, "sleeper", prefix: "n\(start)-", count: min(1_000, count - start),
                    counter: "creations")
            }
        } else {
            _ = try await bench.perform("sleeper", "n0-0", .describe)
        }
        let seconds = (ContinuousClock.now - began).inSeconds
        try await bench.allAsleep()
        // What is idle gives its memory back within seconds.
        while bench.node.openTables > 0 { try await Task.sleep(for: .milliseconds(100)) }
        try await Task.sleep(for: .seconds(1))
        let report = ChildReport(megabytes: ResidentMemory.megabytes, baseline: baseline, seconds: seconds)
        try await bench.stop()
        FileHandle.standardOutput.write(try JSONEncoder().encode(report))
    }
}

extension BenchNode {
    /// Waits until no actor is in memory.
    func allAsleep() async throws {
        while try await figure("actorsAwake") > 0 { try await Task.sleep(for: .milliseconds(5)) }
    }

    /// A number of the node's status.
    func figure(_ name: String) async throws -> Int {
        let status =
            try JSONSerialization.jsonObject(with: Data(await node.host.status().bytes)) as? [String: Any]
        guard let value = status?[name] as? Int else { throw BenchError("the status has no \(name)") }
        return value
    }
}
