import MembershipCore

/// The trials of `simulate --gossip` as tables of text, which are Markdown as well.
public enum GossipTable {
    /// Conditions that are tried at a size of the cluster.
    public static func trials(nodes: Int, seed: UInt64, period: Duration? = nil) -> [GossipTrial] {
        var settings = SwimSettings()
        if let period {
            // All that is counted in periods follows; the direct timeout keeps its share.
            settings.directTimeout = period * 0.3
            settings.probePeriod = period
        }
        let troubled = max(1, nodes / 20)
        let crashes = nodes > 500 ? 20 : 100
        let conditions: [GossipTrial.Condition] = [
            .crashes(count: crashes, isKilled: true), .crashes(count: crashes, isKilled: false),
            .loss(percent: 0), .loss(percent: 5), .loss(percent: 20), .loss(percent: 30),
            .pauses(nodes: troubled), .slow(nodes: troubled), .mute, .deaf,
        ]
        return conditions.enumerated().map { number, condition in
            // Long enough for full exchanges, which are seldom; what costs much is shorter.
            let isShort = nodes > 500 && condition != .loss(percent: 0)
            return GossipTrial(
                nodes: nodes, condition, seconds: isShort ? 60 : 600, seed: seed &+ UInt64(number),
                settings: settings)
        }
    }

    public static let head = [
        row([
            "Nodes", "Condition", "First p50", "p99", "max", "All p50", "p99", "max", "Suspicions",
            "False", "Still", "Seconds", "Messages/s", "Bytes/s", "",
        ]),
        row(["--:", "---"] + Array(repeating: "--:", count: 12) + ["---"]),
    ]

    public static func row(_ trial: GossipTrial, _ report: GossipReport) -> String {
        func times(_ values: [Double]) -> [String] {
            [0.5, 0.99, 1].map { share in
                guard let value = GossipReport.quantile(share, of: values) else { return "" }
                return value.isFinite ? rounded(value) : "never"
            }
        }
        var remark = ""
        if trial.condition == .mute || trial.condition == .deaf {
            remark = report.isCutOffLonely ? "it is lonely" : "it is not lonely"
            if report.othersLonely > 0 { remark += ", and \(report.othersLonely) others" }
            remark += report.isHealed ? "; all alive after it" : "; NOT all alive after it"
        }
        return row(
            ["\(trial.nodes)", trial.name] + times(report.first) + times(report.all) + [
                "\(report.suspicions)", "\(report.falsePositives)", "\(report.stillCalledUnreachable)",
                "\(Int(report.virtualSeconds))", rounded(report.messagesPerSecond),
                "\(Int(report.bytesPerSecond.rounded()))", remark,
            ])
    }

    private static func row(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }

    /// With one digit after the point.
    private static func rounded(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
