import ClientProtocol

/// What can be set about a client's connection.
public struct ClientConfiguration: Sendable {
    /// Requests that wait for their reply. One more fails with `ClientError.tooManyRequests`.
    public var pendingMax = 10_000
    /// Events of one subscription that its reader has not taken. One more ends the subscription (A42).
    public var bufferedEventsMax = 1024
    /// How long a call may take if it does not say.
    public var timeout: Duration = .seconds(60)
    /// The first pause before connecting again; it doubles up to `backoffMax`, and half of it is random
    /// (A63).
    public var backoffMin: Duration = .milliseconds(250)
    public var backoffMax: Duration = .seconds(30)
    /// How long one attempt to connect may take.
    public var connectTimeout: Duration = .seconds(10)
    /// A silent connection is pinged after this long, and given up after as long again.
    public var heartbeat: Duration = .seconds(30)
    /// The same while requests wait there and there is another node to go to.
    public var probe: Duration = .seconds(2)
    /// Connections to the nodes of a cluster at a time. What belongs to further nodes is passed on by these.
    public var connectionsMax = 64
    /// How long a connection beside the last one stays without requests and subscriptions.
    public var idle: Duration = .seconds(60)

    public init() {}
}

/// Why a request has no reply.
public enum ClientError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The node answered with an error.
    case actor(ActorError)
    /// No reply within the time given. The request may have been executed.
    case timedOut
    /// The caller's task was cancelled. The request may have been executed.
    case cancelled
    /// The client was closed. The request may have been executed.
    case closed
    /// As many requests wait as may.
    case tooManyRequests(limit: Int)
    /// The reader of a subscription is slower than its events.
    case slowConsumer(limit: Int)
    /// The node answered something that is no answer to this request.
    case unexpectedReply

    public var description: String {
        switch self {
        case .actor(let error): "\(error.group).\(error.code): \(error.message)"
        case .timedOut: "no reply within the time given; the request may have been executed"
        case .cancelled: "the task was cancelled; the request may have been executed"
        case .closed: "the client is closed"
        case .tooManyRequests(let limit): "\(limit) requests wait for their replies already"
        case .slowConsumer(let limit): "\(limit) events wait to be read already"
        case .unexpectedReply: "the node's reply does not fit the request"
        }
    }
}

/// The state of a client's connection (A63).
public enum ConnectionStatus: Hashable, Sendable {
    /// Not asked to connect yet.
    case idle
    case connecting
    case connected
    /// Lost; it will be connected again after a pause.
    case disconnected
    /// Closed for good.
    case closed
}
