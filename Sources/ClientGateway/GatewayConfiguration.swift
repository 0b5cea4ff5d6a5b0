import SessionCore

/// What can be set about a gateway. The defaults serve a production node.
public struct GatewayConfiguration: Sendable {
    /// Threads that serve clients.
    public var threads = 1
    /// Connections at a time. One more gets `503` and is closed. Less if the system allows fewer open files.
    public var connectionsMax = 20_000
    /// Connections that the system may hold until they are accepted.
    public var backlog: Int32 = 1024
    /// The input of an action or of a creation, in bytes.
    public var inputBytesMax = 4 << 20
    /// Any other HTTP body, in bytes.
    public var bodyBytesMax = 1 << 20
    /// A request line with its headers, in bytes.
    public var headBytesMax = 32 << 10
    /// Header fields of one request.
    public var headerFieldsMax = 100
    /// How long a connection that was told to go may take to do so.
    public var linger: Duration = .seconds(2)
    /// What one WebSocket may take.
    public var session = SessionLimits()
    /// When silence ends a connection.
    public var deadlines = ConnectionDeadlines.Settings()
    /// The name that `welcome` tells clients; for people and logs.
    public var nodeName = "apus"

    public init() {}
}
