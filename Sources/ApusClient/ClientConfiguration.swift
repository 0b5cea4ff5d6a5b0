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
