import Synchronization

/// Brings together a request's id and its task's cancellation, whichever comes first.
final class RequestCancellation: Sendable {
    private enum State {
        case waiting
        case begun(UInt64)
        case cancelled
    }

    private let state = Mutex(State.waiting)
    private let connection: ApusConnection

    init(connection: ApusConnection) { self.connection = connection }

    func begun(_ id: UInt64) {
        let isCancelled = state.withLock { state in
            if case .cancelled = state { return true }
            state = .begun(id)
            return false
        }
        if isCancelled { connection.cancel(id) }
    }

    func cancel() {
        let id = state.withLock { state -> UInt64? in
            defer { state = .cancelled }
            return if case .begun(let id) = state { id } else { nil }
        }
        if let id { connection.cancel(id) }
    }
}
