import Identifiers

/// Declaring nodes down (`cluster.md` 2.3.4). A wrong verdict costs a restart of the accused process and a
/// move of ownership, and nothing else: safety does not rest on it (R1 to R4).
extension Controller {
    public struct FailureSettings: Hashable, Sendable {
        /// Fast: so long silent at most voters, out of reach for enough nodes, and for the leader itself.
        public var unreachableTicks: UInt64 = 40
        /// Slow: so long silent at most voters.
        public var silentTicks: UInt64 = 120
        /// Nodes that must find a node out of reach, the leader counted; fewer in clusters of two.
        public var reportersMin = 2
        /// At most so many percent of the nodes, and at least one, are declared down and stay away within
        /// `breakerTicks`: when so many seem dead, who says so is more likely the sick one (D33).
        public var breakerPercent = 20
        public var breakerTicks: UInt64 = 600

        public init() {}
    }

    /// - Returns: who is down, and who seems to be but is left alone because so many do.
    mutating func failures(
        _ map: ClusterMap, _ group: Group, _ evidence: [NodeID: Evidence]
    ) -> (commands: [Command], spared: [NodeID]) {
        guard let failures = settings.failures else { return ([], []) }
        let up = map.nodes.count(where: \.isUp)
        declared = declared.filter {
            $0.value.at + failures.breakerTicks > now && map[$0.key].map { !$0.isUp } ?? false
                || now < $0.value.until
        }
        let allowed = max(1, map.nodes.count * failures.breakerPercent / 100)
        var (commands, spared) = ([Command](), [NodeID]())
        for node in map.nodes where node.isUp && node.id != me.node {
            guard let found = evidence[node.id], found.incarnation == node.incarnation,
                let verdict = verdict(found, voters: group.voters.count, up: up, failures)
            else { continue }
            if let declared = declared[node.id], now < declared.until { continue }
            guard declared.count(where: { $0.key != node.id }) < allowed else {
                spared.append(node.id)
                continue
            }
            declared[node.id] = (at: now, until: now + settings.patienceTicks)
            commands.append(.nodeDown(node.id, node.incarnation, verdict))
        }
        return (commands, spared)
    }

    private func verdict(
        _ found: Evidence, voters: Int, up: Int, _ failures: FailureSettings
    ) -> DownEvidence? {
        let reporters = min(failures.reportersMin, (up + 1) / 2)
        if found.reporters.contains(me.node), found.reporters.count >= reporters,
            found.isSilent(for: failures.unreachableTicks, atMostOf: voters)
        {
            return .unreachable
        }
        return found.isSilent(for: failures.silentTicks, atMostOf: voters) ? .silent : nil
    }
}
