import ControlCore
import Identifiers
import Logging
import MembershipCore
import PlacementCore

/// What this node sees of the others, for its heartbeats.
extension ControlDriver {
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
        guard client.isHeartbeatDue else { return }
        client.observe(silences: server.silences, isLinked: links.contains) { [gossip] node, incarnation in
            gossip?.assumeIsolated { $0.doubts(node, incarnation) } ?? false
        }
    }
}
