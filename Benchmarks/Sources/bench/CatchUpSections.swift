import Foundation

/// A node comes back to a cluster of two that has gone on without it: with its disk, so that it is fed from
/// the other one's log, and without, so that it gets whole partitions. `BENCH_CATCHUP_MB` says how much it
/// lacks.
extension Sections {
    @Sendable static func catchUp() async throws -> [Figure] {
        let bytes = (environment("BENCH_CATCHUP_MB") ?? 128) << 20
        let log = try catchUp(bytes, losesDisk: false)
        let snapshots = try catchUp(bytes, losesDisk: true)
        return log + snapshots
    }

    private static func catchUp(_ bytes: Int, losesDisk: Bool) throws -> [Figure] {
        // Kept until the other one is back, or, as usual, a small part of it.
        let journal = losesDisk ? 16 << 20 : bytes * 4
        let cluster = try BenchCluster(size: 2, journalBytesMax: journal)
        defer { cluster.end() }
        let (owner, away) = (cluster.members[0], cluster.members[1])
        let node = try away.administer("describe")["node"] as? Int ?? 0
        away.kill()
        try BenchCluster.wait("the operator's command") {
            (try? owner.administer("down", #"{"node":\#(node)}"#)) != nil
        }
        try BenchCluster.wait("owners of everything") {
            try owner.administer("describe")["partitionsWithoutOwner"] as? Int == 0
        }
        let size = 60_000
        _ = try owner.ask(.fill(prefix: "b", count: bytes / size, bytes: size))
        // The tables have it, too, before whole partitions are asked for.
        Thread.sleep(forTimeInterval: 3)
        let disk = try RawDisk.stream(in: cluster.directory, bytes: min(bytes, 1 << 30))
        let before = try owner.figures()
        let began = ContinuousClock.now
        if losesDisk {
            try FileManager.default.removeItem(atPath: away.directory)
            try cluster.join(journalBytesMax: journal)
        } else {
            try away.start(journalBytesMax: journal)
        }
        let stream = try watch(cluster, owner, from: before.meshBytes)
        let seconds = (ContinuousClock.now - began).inSeconds
        let used = try owner.figures().since(before)
        let rate = stream.megabytes / stream.seconds
        let limit = min(100, disk)
        let name = losesDisk ? "with snapshots" : "from the log"
        var figures = [
            Figure(
                name: "catch-up of \(bytes >> 20) MB \(name), while it flows", value: rate, unit: "MB/s",
                limit: disk,
                limitName: "written and synced to the disk, MB/s", target: ">= 100 or the disk",
                reached: rate >= limit),
            plain("  until every partition has its copies", seconds, "s"),
            plain("  sent", Double(used.meshBytes) / 1_000_000, "MB"),
        ]
        for (part, micros) in used.times.shares where micros > 0 {
            figures.append(plain("  CPU of the sender, \(part)", micros / 1_000_000, "s"))
        }
        return figures
    }

    /// Watches what the owner sends until everything is in sync, and for how much of that time it sends:
    /// between the waves that the planner moves partitions in, nothing does.
    private static func watch(
        _ cluster: BenchCluster, _ owner: BenchCluster.Member, from start: UInt64
    ) throws -> (megabytes: Double, seconds: Double) {
        var last = (at: ContinuousClock.now, bytes: start)
        var bytes: UInt64 = 0
        var time = Duration.zero
        try BenchCluster.wait("a whole cluster", seconds: 1_200) {
            let now = (at: ContinuousClock.now, bytes: try owner.figures().meshBytes)
            if now.bytes - last.bytes > 64 << 10 {
                bytes += now.bytes - last.bytes
                time += now.at - last.at
            }
            last = now
            let document = try owner.administer("describe")
            return document["nodesUp"] as? Int == 2 && document["partitionsAtRisk"] as? Int == 0
        }
        return (Double(bytes) / 1_000_000, time.inSeconds)
    }
}
