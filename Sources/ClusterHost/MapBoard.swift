import Identifiers
import PlacementCore
import Synchronization

/// The newest map that this node has, for every thread.
public final class MapBoard: Sendable {
    private struct Waiter {
        var isMatch: @Sendable (ClusterMap) -> Bool
        var continuation: CheckedContinuation<ClusterMap, Never>
    }

    private struct State {
        var map: ClusterMap?
        /// By partition; a request looks here, and copies nothing.
        var owners: [NodeID?] = []
        var waiters: [Waiter] = []
    }

    private let state = Mutex(State())
    let routeBook = Mutex(RouteState())

    public var map: ClusterMap? { state.withLock { $0.map } }

    /// Who owns a partition, as far as this node knows; nil while nobody does.
    func owner(of partition: PartitionID) -> NodeID? {
        state.withLock { state in
            partition.rawValue < state.owners.count ? state.owners[Int(partition.rawValue)] : nil
        }
    }

    func publish(_ map: ClusterMap) {
        let ready = state.withLock { state in
            state.map = map
            state.owners = map.partitions.map { $0.owner?.node }
            let ready = state.waiters.filter { $0.isMatch(map) }
            if !ready.isEmpty { state.waiters.removeAll { $0.isMatch(map) } }
            return ready
        }
        for waiter in ready { waiter.continuation.resume(returning: map) }
        publishRoutes(map)
    }

    /// Waits for a map with a property.
    public func first(
        where isMatch: @escaping @Sendable (ClusterMap) -> Bool
    ) async -> ClusterMap {
        await withCheckedContinuation { continuation in
            let found = state.withLock { state -> ClusterMap? in
                if let map = state.map, isMatch(map) { return map }
                state.waiters.append(Waiter(isMatch: isMatch, continuation: continuation))
                return nil
            }
            if let found { continuation.resume(returning: found) }
        }
    }
}
