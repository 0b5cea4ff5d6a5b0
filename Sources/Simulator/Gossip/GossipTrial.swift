import Identifiers
import MembershipCore
import TimeAndChance

/// What a cluster of failure detectors goes through, and what is measured meanwhile.
public struct GossipTrial: Hashable, Sendable {
    public enum Condition: Hashable, Sendable {
        /// One process after the other ends. `isKilled`: its connections break at once, as on SIGKILL; else
        /// it only falls silent, as when its machine does.
        case crashes(count: Int, isKilled: Bool)
        /// Nothing happens; each message is lost with that probability.
        case loss(percent: UInt64)
        /// Some nodes stand still for 1 to 20 s, go on for 10 to 30 s, and so on.
        case pauses(nodes: Int)
        /// Some nodes stand still for three seconds and go on for 64 ms, again and again, as if they had far
        /// too much to do (Lifeguard, 5.2: "interval experiment").
        case slow(nodes: Int)
        /// One node hears everybody, and nobody hears it.
        case mute
        /// One node is heard by everybody, and hears nobody.
        case deaf
    }

    public var nodes: Int
    public var condition: Condition
    /// How long the condition holds; crashes take as long as they take.
    public var seconds: Int
    public var seed: UInt64
    public var settings: SwimSettings

    public init(
        nodes: Int, _ condition: Condition, seconds: Int = 300, seed: UInt64,
        settings: SwimSettings = SwimSettings()
    ) {
        self.nodes = nodes
        self.condition = condition
        self.seconds = seconds
        self.seed = seed
        self.settings = settings
    }

    public var name: String {
        switch condition {
        case .crashes(_, let isKilled): isKilled ? "a process is killed" : "a node falls silent"
        case .loss(0): "nothing happens"
        case .loss(let percent): "\(percent) % of messages lost"
        case .pauses(let nodes): "\(nodes) paused for 1 to 20 s"
        case .slow(let nodes): "\(nodes) slow: 3 s still, 64 ms not"
        case .mute: "one hears, and is not heard"
        case .deaf: "one is heard, and does not hear"
        }
    }

    public func run() -> GossipReport {
        var cluster = GossipCluster(nodes, settings: settings, seed: seed)
        // New processes ask each other for everything, which is not what is measured.
        cluster.run(for: .seconds(10))
        _ = cluster.takeChanges()
        cluster.resetTraffic()
        let start = cluster.micros
        var report = GossipReport()
        switch condition {
        case .crashes(let count, let isKilled):
            for _ in 0..<count { crash(isKilled, &cluster, &report) }
        case .loss(let percent):
            cluster.lossPercent = percent
            cluster.run(for: .seconds(seconds))
            report.count(cluster.takeChanges(), sound: 0..<nodes)
        case .pauses(let troubled), .slow(let troubled):
            disturb(troubled, &cluster)
            report.count(cluster.takeChanges(), sound: troubled..<nodes)
        case .mute, .deaf: cutOff(&cluster, &report)
        }
        let elapsed = Double(cluster.micros - start) / 1_000_000
        report.virtualSeconds = elapsed
        report.messagesPerSecond = Double(cluster.messages) / elapsed / Double(nodes)
        report.bytesPerSecond = Double(cluster.bytes) / elapsed / Double(nodes)
        report.damaged = cluster.damaged
        return report
    }

    private static let detectionLimitMicros: UInt64 = 300_000_000

    private func crash(_ isKilled: Bool, _ cluster: inout GossipCluster, _ report: inout GossipReport) {
        let victim = Int.random(in: 0..<nodes, using: &cluster.random)
        // At any moment of a period.
        cluster.run(for: .microseconds(Int64.random(in: 0..<1_000_000, using: &cluster.random)))
        report.count(cluster.takeChanges(), sound: 0..<nodes)
        let start = cluster.micros
        cluster.end(victim, isKilled: isKilled)
        cluster.run(until: start + Self.detectionLimitMicros) { $0.isKnownUnreachable(victim) }
        let changes = cluster.takeChanges()
        let first = changes.first { $0.node == victim && $0.standing.state == .unreachable }
        report.first.append(first.map { Double($0.micros - start) / 1_000_000 } ?? .infinity)
        let isKnown = cluster.isKnownUnreachable(victim)
        report.all.append(isKnown ? Double(cluster.micros - start) / 1_000_000 : .infinity)
        report.count(changes.filter { $0.node != victim }, sound: 0..<nodes)
        cluster.restart(victim)
        cluster.run(for: .seconds(10))
    }

    private func disturb(_ troubled: Int, _ cluster: inout GossipCluster) {
        let end = cluster.micros + UInt64(seconds) * 1_000_000
        var next = (0..<troubled).map { _ in
            cluster.micros + UInt64.random(in: 0..<10_000_000, using: &cluster.random)
        }
        while let (index, moment) = next.enumerated().min(by: { $0.element < $1.element }), moment < end {
            cluster.run(until: moment)
            var (still, running): (UInt64, UInt64) = (3_000_000, 64_000)
            if case .pauses = condition {
                still = UInt64.random(in: 1_000_000...20_000_000, using: &cluster.random)
                running = UInt64.random(in: 10_000_000...30_000_000, using: &cluster.random)
            }
            cluster.pause(index, for: .microseconds(Int64(still)))
            next[index] = moment + still + running
        }
        cluster.run(until: end)
    }

    /// The first node is cut off in one direction, and is back in the end.
    private func cutOff(_ cluster: inout GossipCluster, _ report: inout GossipReport) {
        let start = cluster.micros
        if condition == .mute { cluster.mute = [0] } else { cluster.deaf = [0] }
        cluster.run(until: start + UInt64(seconds) * 1_000_000)
        let changes = cluster.takeChanges()
        var known: Set<Int> = []
        for change in changes where change.node == 0 && change.standing.state == .unreachable {
            known.insert(change.observer)
            let elapsed = Double(change.micros - start) / 1_000_000
            if known.count == 1 { report.first.append(elapsed) }
            if known.count == nodes - 1 { report.all.append(elapsed) }
        }
        report.count(changes.filter { $0.observer != 0 && $0.node != 0 }, sound: 1..<nodes)
        report.isCutOffLonely = cluster.lonelyNow.contains(0)
        report.othersLonely = cluster.lonelyNow.subtracting([0]).count
        (cluster.mute, cluster.deaf) = ([], [])
        // A suspect is asked at the latest before its time to object is over, which is longer in large ones.
        cluster.run(for: .seconds(nodes > 500 ? 120 : 60))
        report.isHealed = cluster.processes.indices.allSatisfy { index in
            cluster.processes[index].swim?.members.values.allSatisfy { $0.state == .alive } == true
        }
    }
}
