import ClientProtocol

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
