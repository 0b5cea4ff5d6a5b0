import ClientProtocol
import Identifiers
import MeshTransport
import Synchronization

/// A client's request on its way to whoever owns the actor, until it is answered once.
final class RoutedCall: Sendable {
    /// Where the request is at the moment.
    enum Place {
        /// Between two places, or waiting for an owner.
        case nowhere
        case host(RequestToken)
        /// Under that id at another node.
        case peer(NodeID, UInt64)
    }

    struct State {
        var place = Place.nowhere
        /// Perhaps an attempt was performed whose outcome was lost.
        var isAmbiguous = false
        /// Until then a place is looked for.
        var searchUntil: Duration
        var reply: (@Sendable (Result<ActorReply, ActorError>) -> Void)?
    }

    let number: UInt64
    let request: ActorRequest
    /// When the client's time is over, by the loop's clock.
    let deadline: Duration?
    /// How long a place is looked for, each time that one was lost.
    private let patience: Duration
    let state: Mutex<State>

    init(
        number: UInt64, _ request: ActorRequest, patience: Duration,
        reply: @escaping @Sendable (Result<ActorReply, ActorError>) -> Void
    ) {
        self.number = number
        self.request = request
        let now = EventLoop.now
        deadline = request.timeLeftMillis.map { now + .milliseconds(Int64(clamping: min($0, 1 << 50))) }
        self.patience = patience
        state = Mutex(State(searchUntil: now + patience, reply: reply))
    }

    /// Whether a place is still worth looking for.
    var isPatient: Bool {
        let now = EventLoop.now
        return now < state.withLock { $0.searchUntil } && deadline.map { now < $0 } ?? true
    }

    /// Its place was lost, and nobody knows what became of it there.
    func searchAgain() {
        state.withLock { state in
            state.isAmbiguous = true
            state.searchUntil = EventLoop.now + patience
        }
    }

    var isOver: Bool { state.withLock { $0.reply == nil } }

    func move(to place: Place) { state.withLock { $0.place = place } }

    /// - Returns: whether this was the answer.
    @discardableResult
    func finish(_ result: Result<ActorReply, ActorError>) -> Bool {
        let reply = state.withLock { $0.reply.take() }
        reply?(result)
        return reply != nil
    }

    /// The request as the next place gets it.
    var rest: ActorRequest {
        guard let deadline else { return request }
        var rest = request
        let left = max(.zero, deadline - EventLoop.now)
        rest.timeLeftMillis =
            UInt64(clamping: left.components.seconds * 1_000)
            + UInt64(clamping: left.components.attoseconds / 1_000_000_000_000_000)
        return rest
    }

    /// Whether it may be performed again although it may have been performed already: it is recognised (A13),
    /// or changes nothing.
    var isRepeatable: Bool {
        if request.identity != nil { return true }
        switch request.operation {
        case .describe, .history: return true
        default: return false
        }
    }

    /// What the client hears when nobody was found in time.
    var surrender: ActorError {
        if state.withLock({ $0.isAmbiguous }) { return .moved }
        if let deadline, deadline <= EventLoop.now { return .deadlineExceeded }
        return .unserved
    }
}

extension ActorError {
    /// The actor's partition has no owner that could be reached for some time.
    static let unserved = ActorError(
        "unavailable", "nobody serves the actor's partition at the moment; nothing was done, try again",
        group: "node")

    /// Whether another node may take the request, or this one later: nothing was done.
    var isElsewhere: Bool { group == "node" && code == "not_owner" }
    /// Whether the outcome of the request is unknown because its actor moved.
    var isMoved: Bool { group == "node" && code == "moved" }
}
