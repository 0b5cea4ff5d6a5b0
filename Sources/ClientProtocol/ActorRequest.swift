import Identifiers

/// One JSON value as UTF-8 bytes, checked to be well-formed by whoever brought it in.
public struct Payload: Hashable, Sendable {
    public var bytes: [UInt8]
    public init(_ bytes: [UInt8]) { self.bytes = bytes }
    public init(_ text: String) { bytes = Array(text.utf8) }
    public static let null = Payload("null")
    public var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// What makes a repeated request recognisable (A13).
public enum RequestIdentity: Hashable, Sendable {
    /// The `sequence`-th request of a client's session; it has seen the replies of all up to `acknowledged`.
    case session(SessionID, sequence: UInt64, acknowledged: UInt64)
    /// A user's idempotency key: up to 255 bytes, remembered for 24 hours.
    case key(String)
}

/// A client's request to one actor, as any edge hands it to the host.
public struct ActorRequest: Sendable {
    public enum Operation: Sendable {
        /// Makes the actor if it is absent, with an input (nil: none given).
        case getOrCreate(input: Payload?)
        /// Makes the actor, or fails with `actor.duplicate_key`.
        case create(input: Payload?)
        /// What is known of the actor and its run. Never wakes or creates it.
        case describe
        /// The history of the run. Never wakes or creates the actor.
        case history
        /// Performs an action or a query; creates the actor if it is absent.
        case action(String, input: Payload)
        /// Enqueues a message; creates the actor if it is absent.
        case send(queue: String, body: Payload, options: MessageOptions = MessageOptions())
        /// Enqueues a message and waits for its completion. `timeoutMillis` 0: answers `timedOut` unless it
        /// is complete already; nil: as long as the caller stays.
        case request(
            queue: String, body: Payload, timeoutMillis: UInt64?, options: MessageOptions = MessageOptions())
        /// Ends the actor and deletes its data.
        case destroy
    }

    public var target: ActorAddress
    public var operation: Operation
    public var identity: RequestIdentity?
    /// How long the client waits yet, when the node gets the request; nil: the node is not told. What the
    /// node has not begun by then, it does not begin (A63).
    public var timeLeftMillis: UInt64?
    /// The client keeps the map and takes the node for the actor's owner in this epoch of its partition: if
    /// the node knows a newer one with another owner, it says so instead of passing the request on (A60).
    public var assumedEpoch: Epoch?

    public init(
        target: ActorAddress, operation: Operation, identity: RequestIdentity? = nil,
        timeLeftMillis: UInt64? = nil, assumedEpoch: Epoch? = nil
    ) {
        self.target = target
        self.operation = operation
        self.identity = identity
        self.timeLeftMillis = timeLeftMillis
        self.assumedEpoch = assumedEpoch
    }
}

/// The answer to an `ActorRequest`.
public enum ActorReply: Hashable, Sendable {
    /// To `getOrCreate` and `create`: whether it was made now, and its description as JSON.
    case created(Bool, Payload)
    /// To `describe`: a JSON object. To `history`: a JSON object with an array `entries`.
    case document(Payload)
    /// To `action`.
    case output(Payload)
    /// To `send`: the message's number in its actor.
    case accepted(UInt64)
    /// To `request`.
    case completed(Payload)
    case timedOut
    /// To `destroy`.
    case destroyed
}

/// An event as it leaves the actor, after the turn that caused it has committed.
public struct EventDelivery: Hashable, Sendable {
    public var actor: ActorAddress
    public var event: String
    public var payload: Payload
    /// Not an event, but the end of the subscription: nothing more comes.
    public var ending: ActorError?

    public init(actor: ActorAddress, event: String, payload: Payload) {
        self.actor = actor
        self.event = event
        self.payload = payload
    }

    /// The end of a subscription to `event`.
    public init(ending: ActorError, event: String, of actor: ActorAddress) {
        self.init(actor: actor, event: event, payload: .null)
        self.ending = ending
    }
}

/// Names a subscription that a node gave out.
public struct SubscriptionID: Hashable, Sendable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// What an edge (HTTP, WebSocket) needs from the node behind it. Implemented by the actor host.
public protocol ActorService: Sendable {
    /// The kinds that this node serves, by name.
    var kinds: [String] { get }

    /// Why nothing at all can be served at the moment; nil if that is not so.
    var obstacle: ActorError? { get }

    /// Performs a request. `reply` is called exactly once, on any thread, and never before everything that
    /// the reply tells is durable (R17).
    /// - Returns: a token for `abandon`.
    @discardableResult
    func submit(
        _ request: ActorRequest, reply: @escaping @Sendable (Result<ActorReply, ActorError>) -> Void
    ) -> RequestToken

    /// Says that nobody waits for the reply any more, so that a waiting `request` is let go.
    /// What was accepted stays.
    func abandon(_ token: RequestToken)

    /// Delivers every later event of that name, in order, on any thread, until `unsubscribe`, or until a
    /// delivery with an `ending`, which `unsubscribe` is to follow: the actor lives elsewhere.
    /// The actor need not exist yet, is not created, and does not stay awake for it.
    func subscribe(
        to event: String, of actor: ActorAddress, deliver: @escaping @Sendable (EventDelivery) -> Void
    ) throws(ActorError) -> SubscriptionID

    func unsubscribe(_ subscription: SubscriptionID)

    /// Facts about the node for `/healthz` and `apus status`, as a JSON object.
    func status() async -> Payload

    /// Addresses and short descriptions of stored actors in address order, as a JSON object with an array
    /// `actors`.
    func list(kind: String?, after: ActorAddress?, limit: Int) async throws(ActorError) -> Payload
}

extension ActorService {
    public var obstacle: ActorError? { nil }
}

/// Names a request under way at one node.
public struct RequestToken: Hashable, Sendable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}
