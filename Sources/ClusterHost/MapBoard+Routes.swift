import ClientProtocol
import ControlCore
import Identifiers
import PlacementCore
import Synchronization

/// What clients that keep a map are told.
extension MapBoard {
    /// Clients that wait for news at a time. One more is answered at once, and asks again after a moment.
    static let routeWaitersMax = 20_000

    /// What a client that has that version misses, as soon as there is something, or that time is over;
    /// everything without a version. nil while there is no map.
    func routes(after version: UInt64?, within limit: Duration, teller: NodeID) async -> RoutingMap? {
        if limit > .zero {
            let id = takeRouteWaiter()
            let timer = Task { [self] in
                // Ends with the wait, by cancellation, or with the time.
                try? await Task.sleep(for: limit)
                endRouteWait(id)
            }
            await withTaskCancellationHandler {
                await withCheckedContinuation { waitForRoutes(id, after: version, $0) }
            } onCancel: {
                endRouteWait(id)
            }
            timer.cancel()
        }
        return routeBook.withLock { $0.book.routes(after: version, teller: teller) }
    }

    private func takeRouteWaiter() -> UInt64 {
        routeBook.withLock { state in
            state.nextWaiter += 1
            state.waiters[state.nextWaiter] = .expected
            return state.nextWaiter
        }
    }

    private func waitForRoutes(
        _ id: UInt64, after version: UInt64?, _ continuation: CheckedContinuation<Void, Never>
    ) {
        let isOver = routeBook.withLock { state in
            // No entry: the time or the task was over before the wait began.
            guard state.waiters[id] != nil, state.waiters.count <= Self.routeWaitersMax,
                !state.book.hasNews(after: version)
            else {
                state.waiters[id] = nil
                return true
            }
            state.waiters[id] = .waiting(after: version, continuation)
            return false
        }
        if isOver { continuation.resume() }
    }

    private func endRouteWait(_ id: UInt64) {
        let waiter = routeBook.withLock { $0.waiters.removeValue(forKey: id) }
        waiter?.resume()
    }

    func publishRoutes(_ map: ClusterMap) {
        let ready = routeBook.withLock { state in
            state.book.publish(map)
            let ready = state.waiters.filter { $0.value.isAnswered(by: state.book) }
            for id in ready.keys { state.waiters[id] = nil }
            return ready.values
        }
        for waiter in ready { waiter.resume() }
    }

    struct RouteState {
        var book = RouteBook()
        var waiters: [UInt64: RouteWaiter] = [:]
        var nextWaiter: UInt64 = 0
    }

    enum RouteWaiter {
        case expected
        case waiting(after: UInt64?, CheckedContinuation<Void, Never>)

        func isAnswered(by book: RouteBook) -> Bool {
            if case .waiting(let version, _) = self { book.hasNews(after: version) } else { false }
        }

        func resume() {
            if case .waiting(_, let continuation) = self { continuation.resume() }
        }
    }
}
