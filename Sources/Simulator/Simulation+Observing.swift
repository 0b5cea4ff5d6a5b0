import ControlCore
import Identifiers
import PlacementCore

/// What each machine sees of the others: whom it has not reached for a while, as its connections and the
/// gossip would tell it, and as a voter whose heartbeats stay away.
extension Simulation {
    /// A machine that is out of reach is complained of after so many ticks.
    private static var complaintTicks: UInt64 { 10 }

    func observe(_ index: Int, _ process: SimulatedProcess) {
        process.client.silences = process.server.silences
        process.client.complaints = []
        guard let map = process.client.map else { return }
        for node in map.nodes where node.isUp {
            let other = Self.machine(node.id)
            guard other != index, !reaches(index, other) else {
                process.outOfReach[other] = nil
                continue
            }
            let ticks = process.outOfReach[other, default: 0] + 1
            process.outOfReach[other] = ticks
            guard ticks >= Self.complaintTicks else { continue }
            process.client.complaints.append(.init(node: node.id, incarnation: node.incarnation))
        }
    }

    /// A probe goes there and comes back.
    private func reaches(_ one: Int, _ other: Int) -> Bool {
        guard let process = machines[other].process, process.pausedUntil <= now else { return false }
        return !network.isCut(one, other) && !network.isCut(other, one)
    }
}
