import ClientProtocol
import Identifiers

/// The decisions of a client's connection: numbers, what waits, what to send again. A value without I/O.
struct ConnectionCore {
    typealias Reply = @Sendable (Result<ActorReply, ClientError>) -> Void

    struct Pending {
        var frame: RequestFrame
        var reply: Reply
        /// By the connection's clock.
        var deadline: Duration?
        /// Whether an earlier attempt ended without an answer, so that it may have been performed.
        var isRepeated = false
        /// Whether it waits for a moment to be asked again on this connection.
        var isPostponed = false
    }

    struct Subscription {
        var actor: ActorAddress
        var event: String
        var deliver: @Sendable (EventDelivery) -> Void
        var fail: @Sendable (ClientError) -> Void
    }

    let session: SessionID
    private(set) var status = ConnectionStatus.idle
    private var nextID: UInt64 = 1
    private var nextSequence: UInt64 = 1
    /// All sequences up to this one have their replies, or nobody wants them any more.
    private(set) var acknowledged: UInt64 = 0
    /// Sequences beyond `acknowledged` that are done.
    private var doneBeyond: Set<UInt64> = []
    private(set) var pending: [UInt64: Pending] = [:]
    private(set) var subscriptions: [UInt64: Subscription] = [:]
    private(set) var failedAttempts = 0

    init(session: SessionID) { self.session = session }

    // MARK: Requests

    /// Takes a request.
    /// - Returns: its id, and the frame to send if the connection is up; it is sent at the next connection
    ///   otherwise.
    mutating func begin(
        _ target: ActorAddress, _ operation: RequestFrame.Operation, deadline: Duration?, now: Duration,
        reply: @escaping Reply
    ) -> (id: UInt64, frame: ClientFrame?) {
        let id = nextID
        nextID += 1
        var frame = RequestFrame(target: target, operation: operation)
        // Reading changes nothing, so a repeated reading needs no recognition and the node no memory of it.
        if !operation.isReading {
            frame.sequence = nextSequence
            nextSequence += 1
        }
        let request = Pending(frame: frame, reply: reply, deadline: deadline)
        pending[id] = request
        return (id, status == .connected ? self.frame(id, request, now) : nil)
    }

    private func frame(_ id: UInt64, _ request: Pending, _ now: Duration) -> ClientFrame {
        var frame = request.frame
        frame.acknowledged = acknowledged
        frame.timeLeftMillis = request.deadline.map { ($0 - now).wholeMilliseconds }
        return .request(id: id, frame)
    }

    /// The request is done: answered, or given up. nil: it was already.
    mutating func finish(_ id: UInt64) -> Pending? {
        guard let found = pending.removeValue(forKey: id) else { return nil }
        if let sequence = found.frame.sequence {
            doneBeyond.insert(sequence)
            while doneBeyond.remove(acknowledged + 1) != nil { acknowledged += 1 }
        }
        return found
    }

    /// Keeps a request that got an error which is no outcome of it: only this attempt came to nothing.
    /// - Returns: whether it is to be asked `again` in a moment; false if the error is the outcome.
    mutating func postpone(_ id: UInt64, _ error: ActorError) -> Bool {
        guard let request = pending[id], error.group == "node" else { return false }
        let isOutcome =
            switch error.code {
            // Also one that is stopping: it may be another node than this one, to which a request went on.
            case "starting", "stopping", "not_owner", "moved": false
            // Nothing was done this time; the attempt before may have done everything.
            default: !request.isRepeated
            }
        if !isOutcome { pending[id]?.isPostponed = true }
        return !isOutcome
    }

    /// - Returns: a request that is to be asked again on this connection; nil if it is done, or goes out with
    ///   the next welcome.
    mutating func again(_ id: UInt64, now: Duration) -> ClientFrame? {
        guard status == .connected, let request = pending[id], request.isPostponed else { return nil }
        pending[id]?.isPostponed = false
        pending[id]?.isRepeated = true
        return frame(id, request, now)
    }

    /// Requests whose time is over.
    func overdue(at now: Duration) -> [UInt64] {
        pending.filter { entry in entry.value.deadline.map { $0 <= now } ?? false }.map(\.key)
    }

    // MARK: Subscriptions

    mutating func subscribe(_ subscription: Subscription) -> (id: UInt64, frame: ClientFrame?) {
        let id = nextID
        nextID += 1
        subscriptions[id] = subscription
        let frame = ClientFrame.subscribe(id: id, subscription.actor, event: subscription.event)
        return (id, status == .connected ? frame : nil)
    }

    mutating func unsubscribe(_ id: UInt64) -> ClientFrame? {
        guard subscriptions.removeValue(forKey: id) != nil, status == .connected else { return nil }
        return .unsubscribe(id: id)
    }

    mutating func subscriptionFailed(_ id: UInt64) -> Subscription? { subscriptions.removeValue(forKey: id) }

    // MARK: The connection

    mutating func connecting() {
        if status != .closed { status = .connecting }
    }

    /// The node has said welcome.
    /// - Returns: everything that it must hear again, requests in their first order with their first
    ///   sequences.
    mutating func welcomed(now: Duration) -> [ClientFrame] {
        guard status != .closed else { return [] }
        status = .connected
        failedAttempts = 0
        // They go out now, and must not a second time.
        for id in pending.keys { pending[id]?.isPostponed = false }
        let again = subscriptions.sorted { $0.key < $1.key }.map { id, subscription in
            ClientFrame.subscribe(id: id, subscription.actor, event: subscription.event)
        }
        return again + pending.sorted { $0.key < $1.key }.map { frame($0.key, $0.value, now) }
    }

    /// The connection is gone, or could not be made.
    mutating func disconnected() {
        guard status != .closed else { return }
        if status == .connected { for id in pending.keys { pending[id]?.isRepeated = true } }
        status = .disconnected
        failedAttempts += 1
    }

    /// - Returns: what was waiting and has to be told.
    mutating func close() -> (requests: [Pending], subscriptions: [Subscription]) {
        status = .closed
        defer {
            pending = [:]
            subscriptions = [:]
        }
        return (Array(pending.values), Array(subscriptions.values))
    }
}

extension RequestFrame.Operation {
    var isReading: Bool {
        switch self {
        case .get, .history: true
        default: false
        }
    }
}

/// Pauses between attempts to connect: doubling, half of each random, so that many clients do not return at
/// once.
struct Backoff {
    var minimum: Duration
    var maximum: Duration

    /// The pause after `attempts` failures in a row, with `chance` from 0 to 1.
    func pause(attempts: Int, chance: Double) -> Duration {
        var pause = minimum
        for _ in 1..<max(2, min(attempts, 32)) where attempts > 1 && pause < maximum { pause *= 2 }
        pause = min(pause, maximum)
        return max(minimum, pause / 2 + pause / 2 * chance)
    }
}
