import ClientProtocol
import Identifiers
import MembershipCore
import PlacementCore

/// The cluster's control plane as an operator's command needs it, whichever node it is asked at.
public protocol ControlPlane: Sendable {
    /// The newest map that this node has; nil before it has one.
    func currentMap() async -> ClusterMap?

    /// Lets the leader apply the commands.
    /// - Returns: one outcome for each.
    /// - Throws: if it is not known whether they were applied; each may be proposed again.
    func propose(_ commands: [Command]) async throws -> [Outcome]

    /// The leader, as far as this node knows.
    func leader() async -> NodeID?

    /// Where actors live: what has changed after a version of the map, as soon as there is something, or that
    /// time is over; everything without a version. nil before the node has a map.
    func routes(after version: UInt64?, within limit: Duration) async -> RoutingMap?

    /// What the node thinks of the others; empty while it does not know.
    func opinions() async -> [NodeID: Opinion]
}

extension ControlPlane {
    public func leader() async -> NodeID? { nil }
    public func routes(after version: UInt64?, within limit: Duration) async -> RoutingMap? { nil }
    public func opinions() async -> [NodeID: Opinion] { [:] }
}
