import ClientProtocol
import Identifiers
import PlacementCore

/// Emptying nodes and letting them go (`cluster.md` 2.8).
extension MapCommands {
    /// Asks for a node to be emptied, or takes that back; the controller then moves what it has.
    func drain(_ wanted: ClusterRequest.Drain) async throws(ActorError) -> DoneDocument {
        let id = NodeID(rawValue: wanted.node)
        let drains = wanted.undo != true
        return try await change { (map) throws(ActorError) in
            guard let node = map[id] else { throw Self.unknown(id) }
            guard node.isDraining != drains else {
                return .done(
                    drains
                        ? "node \(id.rawValue) is being emptied already"
                        : "node \(id.rawValue) is not being emptied")
            }
            guard drains else {
                return .propose(.drain(id, node.incarnation, false), "node \(id.rawValue) takes part again")
            }
            let others = map.nodes.count {
                $0.id != id && $0.isUp && !$0.isDraining && $0.profile.weight > 0
            }
            guard others >= map.settings.replicationFactor else {
                throw .refused(
                    "without node \(id.rawValue) there are \(others) nodes for "
                        + "\(map.settings.replicationFactor) copies of each partition: let another node join "
                        + "first")
            }
            return .propose(
                .drain(id, node.incarnation, true),
                "node \(id.rawValue) is being emptied: others take over what it has")
        }
    }

    /// Forgets an empty node.
    func leave(_ wanted: ClusterRequest.Leave) async throws(ActorError) -> DoneDocument {
        let id = NodeID(rawValue: wanted.node)
        return try await change { (map) throws(ActorError) in
            guard let node = map[id] else { throw Self.unknown(id) }
            let held = map.partitions.count { $0.holds(id) || $0.targets.contains(id) }
            guard held == 0 else {
                throw .refused(
                    "node \(id.rawValue) has or is to get copies of \(held) partitions: empty it with `apus "
                        + "cluster drain \(id.rawValue)` first")
            }
            guard !map.voters.holds(id) else {
                throw .refused(
                    "node \(id.rawValue) votes in the control plane: empty it with `apus cluster drain "
                        + "\(id.rawValue)` first")
            }
            return .propose(.leave(id, node.incarnation), "the cluster has forgotten node \(id.rawValue)")
        }
    }
}
