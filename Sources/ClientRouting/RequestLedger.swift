import ClientProtocol
import Identifiers

/// What a client waits for: requests with their numbers, and subscriptions, whichever node they are at. A
/// value without I/O.
///
/// There is one for all connections of a client. A sequence is one in the whole session, and acknowledged
/// only when all requests of the session up to it are done, at whatever node; so no node can forget a reply
/// that another connection may still ask for.
package struct RequestLedger {
    package typealias Reply = @Sendable (Result<ActorReply, ClientError>) -> Void

    package struct Pending {
        var frame: RequestFrame
        var reply: Reply
        /// By the connection's clock.
        var deadline: Duration?
        /// Where it is under way. At most at one place at a time: a change is never asked for twice at once.
        var link: LinkID?
        /// How often it was sent on to another owner.
        var redirects = 0
        /// How often it was put off.
        var pauses = 0
        /// Who has put it off; another one is asked next, if there is one.
        var refusedBy: LinkID?
    }

    package struct Subscription {
        var actor: ActorAddress
        var event: String
        package var deliver: @Sendable (EventDelivery) -> Void
        package var fail: @Sendable (ClientError) -> Void
        var link: LinkID?
        var pauses = 0

        package init(
            actor: ActorAddress, event: String, deliver: @escaping @Sendable (EventDelivery) -> Void,
            fail: @escaping @Sendable (ClientError) -> Void
        ) {
            self.actor = actor
            self.event = event
            self.deliver = deliver
            self.fail = fail
        }
    }

    package let session: SessionID
    private var nextID: UInt64 = 1
    private var nextSequence: UInt64 = 1
    /// All sequences up to this one have their replies, or nobody wants them any more.
    package private(set) var acknowledged: UInt64 = 0
    /// Requests with a sequence, in its order. At most as many of them are done as are not, and a few: one
    /// that waits for long costs no memory for each that came after it.
    private(set) var inOrder: [(id: UInt64, sequence: UInt64)] = []
    /// The place of the first that is not done.
    private var first = 0
    package var pending: [UInt64: Pending] = [:]
    var subscriptions: [UInt64: Subscription] = [:]

    init(session: SessionID) { self.session = session }

    mutating func takeID() -> UInt64 {
        defer { nextID += 1 }
        return nextID
    }

    /// Takes a request.
    /// - Returns: its id.
    mutating func begin(
        _ target: ActorAddress, _ operation: RequestFrame.Operation, deadline: Duration?,
        reply: @escaping Reply
    ) -> UInt64 {
        let id = takeID()
        var frame = RequestFrame(target: target, operation: operation)
        // Reading changes nothing, so a repeated reading needs no recognition and the node no memory of it.
        if !operation.isReading {
            frame.sequence = nextSequence
            inOrder.append((id, nextSequence))
            nextSequence += 1
        }
        pending[id] = Pending(frame: frame, reply: reply, deadline: deadline)
        return id
    }

    /// The request as it is sent now.
    func frame(_ id: UInt64, _ request: Pending, epoch: Epoch?, now: Duration) -> ClientFrame {
        var frame = request.frame
        frame.acknowledged = acknowledged
        frame.timeLeftMillis = request.deadline.map { ($0 - now).wholeMilliseconds }
        frame.epoch = epoch
        return .request(id: id, frame)
    }

    /// The request is done: answered, or given up. nil: it was already.
    mutating func finish(_ id: UInt64) -> Pending? {
        guard let found = pending.removeValue(forKey: id) else { return nil }
        if found.frame.sequence != nil { acknowledge() }
        return found
    }

    private mutating func acknowledge() {
        while first < inOrder.count, pending[inOrder[first].id] == nil { first += 1 }
        acknowledged = (first < inOrder.count ? inOrder[first].sequence : nextSequence) - 1
        guard inOrder.count > 2 * pending.count + 64 else { return }
        inOrder.removeAll { pending[$0.id] == nil }
        first = 0
    }

    /// Requests whose time is over.
    func overdue(at now: Duration) -> [UInt64] {
        pending.filter { entry in entry.value.deadline.map { $0 <= now } ?? false }.map(\.key).sorted()
    }

    mutating func subscribe(_ subscription: Subscription) -> UInt64 {
        let id = takeID()
        subscriptions[id] = subscription
        return id
    }

    /// What is under way there, in its first order, subscriptions before requests.
    func at(_ link: LinkID) -> [UInt64] {
        subscriptions.filter { $0.value.link == link }.keys.sorted()
            + pending.filter { $0.value.link == link }.keys.sorted()
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

/// Pauses between attempts: doubling, half of each random, so that many clients do not return at once.
package struct Backoff {
    package var minimum: Duration
    package var maximum: Duration

    package init(minimum: Duration, maximum: Duration) {
        self.minimum = minimum
        self.maximum = maximum
    }

    /// The pause after `attempts` failures in a row, with `chance` from 0 to 1.
    func pause(attempts: Int, chance: Double) -> Duration {
        var pause = minimum
        for _ in 1..<max(2, min(attempts, 32)) where attempts > 1 && pause < maximum { pause *= 2 }
        pause = min(pause, maximum)
        return max(minimum, pause / 2 + pause / 2 * chance)
    }
}
