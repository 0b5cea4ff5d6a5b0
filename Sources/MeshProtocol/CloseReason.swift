/// Why a connection ended, or never came about.
public enum CloseReason: Hashable, Sendable, CustomStringConvertible {
    /// This node refused the peer.
    case refused(Refusal)
    /// The peer refused this node, or said farewell.
    case refusedByPeer(Refusal)
    /// The peer sent bytes that are no frames, or a frame that is not allowed.
    case malformed(String)
    case connectTimedOut
    case handshakeTimedOut
    /// The peer was silent, and did not answer a ping.
    case noPong
    /// The peer took no bytes although some waited for it.
    case notReading
    /// The peer did not close after a farewell.
    case farewellTimedOut
    case peerClosed(insideFrame: Bool)
    /// The socket failed; the sentence says how.
    case transport(String)
    /// One side does not accept the other's certificate, or does not speak TLS; the sentence says what to do.
    case security(String)
    /// This node had no more use for it.
    case requested

    public var description: String {
        switch self {
        case .refused(let refusal): "refused: \(refusal)"
        case .refusedByPeer(let refusal): "the peer closed: \(refusal)"
        case .malformed(let reason): "the peer broke the protocol: \(reason)"
        case .connectTimedOut: "no connection within the deadline"
        case .handshakeTimedOut: "the handshake was not completed within the deadline"
        case .noPong: "the peer was silent and did not answer a ping"
        case .notReading: "the peer does not read what is sent to it"
        case .farewellTimedOut: "the peer did not close after a farewell"
        case .peerClosed(let insideFrame):
            insideFrame ? "the peer closed inside a frame" : "the peer closed"
        case .transport(let sentence), .security(let sentence): sentence
        case .requested: "closed by this node"
        }
    }

    /// Only a person can change it.
    public var needsOperator: Bool {
        switch self {
        case .refused(let refusal), .refusedByPeer(let refusal): refusal.needsOperator
        case .security: true
        default: false
        }
    }
}
