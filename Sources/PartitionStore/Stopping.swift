import Synchronization

/// The first error that stops the store (R14): told once, and from then on nothing is acknowledged.
final class Stopping: Sendable {
    private struct State {
        var error: StoreError?
        var tell: (@Sendable (StoreError) -> Void)?
    }
    private let state = Mutex(State())

    var error: StoreError? { state.withLock { $0.error } }

    func listen(_ tell: @escaping @Sendable (StoreError) -> Void) { state.withLock { $0.tell = tell } }

    func fail(_ error: StoreError) {
        let tell: (@Sendable (StoreError) -> Void)? = state.withLock { state in
            guard state.error == nil else { return nil }
            state.error = error
            return state.tell
        }
        tell?(error)
    }
}
