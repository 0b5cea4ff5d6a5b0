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
        var waiters: [Waiter] = []
    }

    private let state = Mutex(State())

    public var map: ClusterMap? { state.withLock { $0.map } }

    func publish(_ map: ClusterMap) {
        let ready = state.withLock { state in
            state.map = map
            let ready = state.waiters.filter { $0.isMatch(map) }
            if !ready.isEmpty { state.waiters.removeAll { $0.isMatch(map) } }
            return ready
        }
        for waiter in ready { waiter.continuation.resume(returning: map) }
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
