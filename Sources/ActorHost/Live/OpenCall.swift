import Apus
import Synchronization

/// A call of user code into the host that has not returned: while its record is on the way, or it waits for
/// something. It returns once, whoever comes first.
///
/// Sound to share: touched on the thread of its actor's shard only.
class OpenCall: OpenEntry, @unchecked Sendable {
    let actor: LiveActor
    final var place: Int?

    init(of actor: LiveActor) {
        self.actor = actor
        actor.calls.insert(self)
    }

    /// The epoch is over: whether what the call did is recorded is not known here. It must not return as if
    /// it were, and the code that waits for it must come to its end.
    func lose() {}

    /// Whether it may return now; then it is not open any more.
    final func end() -> Bool {
        guard place != nil else { return false }
        actor.calls.remove(self)
        return true
    }
}

/// A call that returns a value or throws.
final class OpenOperation<Value: Sendable>: OpenCall, @unchecked Sendable {
    private let continuation: UnsafeContinuation<Value, any Error>
    private let lost: any Error

    /// - Parameter lost: what the call throws if the epoch ends first.
    init(
        _ continuation: UnsafeContinuation<Value, any Error>, of actor: LiveActor,
        lost: any Error = RunClosed()
    ) {
        self.continuation = continuation
        self.lost = lost
        super.init(of: actor)
    }

    func resume(_ result: Result<Value, any Error>) { if end() { continuation.resume(with: result) } }

    override func lose() { resume(.failure(lost)) }
}
