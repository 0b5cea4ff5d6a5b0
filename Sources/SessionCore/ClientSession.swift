import ClientProtocol
import Identifiers

/// The decisions of one WebSocket connection: which frame may come, what is under way, when to stop reading.
///
/// A value without I/O. The connection hands it each frame and does what the directive says.
public struct ClientSession: Sendable {
    /// What the connection has to do about a frame.
    public enum Directive: Sendable {
        case nothing
        case send(ServerFrame)
        /// Submit it, then tell `submitted`.
        case submit(id: UInt64, ActorRequest)
        /// Subscribe, then tell `subscribed` and send the frame of that name, or send the error.
        case subscribe(id: UInt64, ActorAddress, event: String)
        case unsubscribe(SubscriptionID)
        case abandon(RequestToken)
        /// Ask where actors live, then tell `toldMap` and send the reply or the error.
        case map(id: UInt64, after: UInt64?, waitMillis: UInt64)
        case close(CloseReason)
    }

    /// What has to be let go when the connection ends.
    public struct Remains: Sendable {
        public var requests: [RequestToken]
        public var subscriptions: [SubscriptionID]
    }

    private let limits: SessionLimits
    private let node: String
    private var session: SessionID?
    private var isStopping = false
    /// nil until the host has given the request its token.
    private var inFlight: [UInt64: RequestToken?] = [:]
    private var subscriptions: [UInt64: SubscriptionID] = [:]
    public var outbound: OutboundBudget
    private var isReadingPaused = false
    /// Questions for the map. They do not keep a connection of a node that stops.
    private var mapQuestions: Set<UInt64> = []

    public init(limits: SessionLimits, node: String) {
        self.limits = limits
        self.node = node
        outbound = OutboundBudget(limits: limits)
    }

    public var isGreeted: Bool { session != nil }
    public var inFlightCount: Int { inFlight.count }
    public var subscriptionCount: Int { subscriptions.count }

    /// Decides on one frame of the client.
    public mutating func received(_ frame: ClientFrame) -> Directive {
        guard let session else {
            guard case .hello(let version, let session) = frame else {
                return .close(.violation("the first frame must be hello"))
            }
            guard version >= 1 else { return .close(.violation("version 0 does not exist")) }
            self.session = session
            // The older of the two versions is spoken; a client that cannot speak it leaves.
            return .send(.welcome(version: min(version, ClientWire.version), node: node))
        }
        switch frame {
        case .hello: return .close(.violation("hello came twice"))
        case .request(let id, let request):
            guard !isStopping else { return .send(.error(id: id, .stopping)) }
            guard !mapQuestions.contains(id), inFlight.updateValue(nil, forKey: id) == nil else {
                return .close(.violation("the id \(id) is under way already"))
            }
            return .submit(id: id, request.actorRequest(session: session))
        case .subscribe(let id, let address, let event):
            guard !isStopping else { return .send(.error(id: id, .stopping)) }
            guard subscriptions[id] == nil else {
                return .close(.violation("the id \(id) is a subscription already"))
            }
            guard subscriptions.count < limits.subscriptionsMax else {
                return .send(.error(id: id, .tooManySubscriptions(limit: limits.subscriptionsMax)))
            }
            return .subscribe(id: id, address, event: event)
        case .unsubscribe(let id):
            return subscriptions.removeValue(forKey: id).map { .unsubscribe($0) } ?? .nothing
        case .cancel(let id):
            // A reply that is on its way crosses the cancellation; both sides ignore what they no longer
            // know.
            guard let known = inFlight.removeValue(forKey: id), let token = known else { return .nothing }
            return .abandon(token)
        case .map(let id, let after, let waitMillis):
            guard !isStopping else { return .send(.error(id: id, .stopping)) }
            guard inFlight[id] == nil, !mapQuestions.contains(id) else {
                return .close(.violation("the id \(id) is under way already"))
            }
            guard mapQuestions.count < limits.mapQuestionsMax else {
                return .send(.error(id: id, .overloaded))
            }
            mapQuestions.insert(id)
            return .map(id: id, after: after, waitMillis: min(waitMillis, ClientWire.mapWaitMillisMax))
        case .ping(let id): return .send(.pong(id: id))
        }
    }

    /// The host has taken the request `id`.
    public mutating func submitted(id: UInt64, token: RequestToken) {
        if inFlight[id] != nil { inFlight.updateValue(token, forKey: id) }
    }

    /// A reply came for `id`. False: nobody waits for it any more.
    public mutating func replied(id: UInt64) -> Bool { inFlight.removeValue(forKey: id) != nil }

    /// The map came for `id`. False: nobody waits for it any more.
    public mutating func toldMap(id: UInt64) -> Bool { mapQuestions.remove(id) != nil }

    public mutating func subscribed(id: UInt64, as subscription: SubscriptionID) {
        subscriptions[id] = subscription
    }

    /// An event came for the subscription `id`.
    /// - Returns: whether it is wanted, or that the connection must end because its reader is too slow.
    public func delivered(id: UInt64) -> EventDecision {
        guard subscriptions[id] != nil else { return .drop }
        return outbound.isFull ? .close(.slowReader) : .send
    }

    /// The host has ended the subscription `id`.
    /// - Returns: what to unsubscribe; nil: nobody wants to know any more.
    public mutating func ended(id: UInt64) -> SubscriptionID? { subscriptions.removeValue(forKey: id) }

    public enum EventDecision: Hashable, Sendable {
        case send, drop
        case close(CloseReason)
    }

    /// Whether further bytes of the client may be read now. Stops at a limit, resumes at half of it.
    public mutating func mayRead() -> Bool {
        if isReadingPaused {
            isReadingPaused = !(inFlight.count <= limits.inFlightMax / 2 && outbound.isLow)
        } else {
            isReadingPaused = inFlight.count >= limits.inFlightMax || outbound.isFull
        }
        return !isReadingPaused
    }

    /// From now on requests are refused. The connection may close once `isDrained`.
    public mutating func stop() { isStopping = true }

    public var isDrained: Bool { isStopping && inFlight.isEmpty && outbound.pendingFrames == 0 }

    /// The connection is gone.
    public mutating func end() -> Remains {
        defer {
            inFlight = [:]
            subscriptions = [:]
            mapQuestions = []
        }
        return Remains(
            requests: inFlight.values.compactMap { $0 }, subscriptions: Array(subscriptions.values))
    }
}

extension ActorError {
    /// A connection asked for more subscriptions than one connection may have.
    public static func tooManySubscriptions(limit: Int) -> ActorError {
        ActorError(
            "too_many_subscriptions", "a connection may have \(limit) subscriptions", group: "session",
            metadata: ["limit": String(limit)])
    }
}
