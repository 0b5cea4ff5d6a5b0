import ControlCore
import Identifiers
import Logging
import MembershipCore
import PlacementCore

/// What this node sees of the others, for its heartbeats.
extension ControlDriver {
    /// A node without a connection is complained of after so many ticks: a restart of a link takes less.
    static let lostTicks: UInt64 = 10

    /// How the disk and the loop of this process get on.
    func note(_ meter: HealthMeter) {
        if client.standsStill != meter.standsStill {
            setup.logger.log(
                level: meter.standsStill ? .critical : .notice,
                meter.standsStill
                    ? "the disk has not answered for \(HealthMeter.standstill): this node falls silent"
                    : "the disk answers again")
        }
        client.standsStill = meter.standsStill
        // Nobody else can find the leader down.
        if meter.standsStill { _ = stopLeading() }
        client.condition.health = meter.health
        gossip?.assumeIsolated { $0.health = meter.health }
    }

    func observe() {
        ticks += 1
        // Looked at as often as it is told.
        guard ticks.isMultiple(of: ControlClient.heartbeatTicks) || client.condition.isLeaving else { return }
        client.silences = server.silences
        client.complaints = []
        guard let map = client.map else { return }
        let opinions = gossip?.assumeIsolated { $0.opinions() } ?? [:]
        var lost: [NodeID: UInt64] = [:]
        for node in map.nodes where node.isUp && node.id != me {
            var isLost = false
            if !links.contains(node.id) {
                let since = self.lost[node.id] ?? ticks
                lost[node.id] = since
                isLost = ticks - since >= Self.lostTicks
            }
            // A process that stands still keeps its connections, and answers no probe.
            let seemsDown = opinions[node.id].map {
                $0.incarnation == node.incarnation && $0.state != .alive
            }
            guard isLost || seemsDown ?? false else { continue }
            client.complaints.append(.init(node: node.id, incarnation: node.incarnation))
        }
        self.lost = lost
    }
}
