import Identifiers

/// How long nodes have been up or down, as far as this leader has seen it.
extension Controller {
    struct Watched: Hashable, Sendable {
        var incarnation: Incarnation
        var isUp: Bool
        /// When it went up or down last; 0 if it was like that when this leader began.
        var since: UInt64
        /// How often it was away, until it has been up for long.
        var absences: UInt64 = 0
    }

    mutating func watch(_ map: ClusterMap) {
        if watched.count > map.nodes.count {
            watched = watched.filter { map[$0.key] != nil }
        }
        for node in map.nodes {
            guard var known = watched[node.id] else {
                // Who is down now is waited for from now on; who is up is as good as any.
                watched[node.id] = Watched(
                    incarnation: node.incarnation, isUp: node.isUp, since: node.isUp ? 0 : now)
                continue
            }
            if known.isUp != node.isUp || known.incarnation != node.incarnation {
                if known.isUp { known.absences += 1 }
                (known.incarnation, known.isUp, known.since) = (node.incarnation, node.isUp, now)
            } else if known.isUp, now >= known.since + settings.stableTicks << 6 {
                known.absences = 0
            }
            watched[node.id] = known
        }
    }

    func hints(_ map: ClusterMap) -> Planner.Hints {
        var hints = Planner.Hints()
        for node in map.nodes {
            if !node.isUp, isAwaited(node.id) { hints.awaited.insert(node.id) }
            if node.isUp, !isStable(node.id) { hints.withoutOwnership.insert(node.id) }
        }
        return hints
    }

    /// Whether a node that is not up is expected back soon.
    func isAwaited(_ node: NodeID) -> Bool {
        watched[node].map { !$0.isUp && now < $0.since + settings.awaitTicks } ?? false
    }

    private func isStable(_ node: NodeID) -> Bool {
        guard let known = watched[node], known.isUp else { return false }
        guard known.absences > 0 else { return true }
        return now >= known.since + settings.stableTicks << min(known.absences - 1, 6)
    }
}
