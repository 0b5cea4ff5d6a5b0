import Identifiers
import PlacementCore

extension ControlClient {
    /// A node without a connection is complained of after so many ticks: a restart of a link takes less.
    static let lostTicks: UInt64 = 10

    /// What this process sees of the others, for a heartbeat that is due.
    /// - Parameters:
    ///   - silences: what this node's part of the consensus group waits for.
    ///   - isLinked: whether there is a connection to the node.
    ///   - seemsDown: whether the failure detector suspects that process of the node. One that stands still
    ///     keeps its connections, and answers no probe.
    public mutating func observe(
        silences: [Heartbeat.Silence], isLinked: (NodeID) -> Bool, seemsDown: (NodeID, Incarnation) -> Bool
    ) {
        self.silences = silences
        complaints = []
        guard let map, let life else { return }
        var stillLost: [NodeID: UInt64] = [:]
        for node in map.nodes where node.isUp && node.id != life.node {
            var isLost = false
            if !isLinked(node.id) {
                let since = lost[node.id] ?? ticks
                stillLost[node.id] = since
                isLost = ticks - since >= Self.lostTicks
            }
            guard isLost || seemsDown(node.id, node.incarnation) else { continue }
            complaints.append(.init(node: node.id, incarnation: node.incarnation))
        }
        lost = stillLost
    }
}
