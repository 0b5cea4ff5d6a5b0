import Identifiers

/// Where a node listens: a numeric address or a name, and a port.
public struct MeshAddress: Hashable, Sendable, CustomStringConvertible {
    public var host: String
    public var port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    public var description: String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// One connection between its first byte and its last, whoever is at the other end. Never used twice.
public struct LinkID: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// What the users of the mesh hear.
public enum MeshEvent: Hashable, Sendable {
    case connected(MeshPeer)
    /// Frames that were not delivered are lost; whoever needs them sends them again on the next connection.
    case disconnected(MeshPeer, CloseReason)
    case frame(Frame, from: MeshPeer)
    /// The queue to the peer reached its high mark (`true`), or fell to its low mark.
    case backPressure(MeshPeer, isHigh: Bool)
    /// A dial did not lead to a connection. `node` is nil for an introduction; `retryIn` is nil if this was
    /// the only attempt.
    case dialFailed(NodeID?, MeshAddress, MeshLane, CloseReason, retryIn: Duration?)
    /// Somebody connected and did not become a peer.
    case rejected(from: String, CloseReason)
    /// Everything is closed after `stop`.
    case stopped
}

/// What the mesh asks its driver to do.
public enum MeshEffect: Hashable, Sendable {
    /// Open a TCP connection; then `connected` and `secured`, or `ended`.
    case dial(LinkID, MeshAddress)
    /// Bytes wait in `fill`: ask until it has none, and again after every `wrote` that came late.
    case flush(LinkID)
    /// Everything was written: close the sending half, and keep reading until the peer closes.
    case finish(LinkID)
    /// Close at once. The mesh has forgotten the link already.
    case abort(LinkID)
    case read(LinkID, isPaused: Bool)
    case report(MeshEvent)
}

/// What became of a frame that was handed to the mesh.
public enum SendOutcome: Hashable, Sendable {
    /// In order behind the others; no promise that it arrives.
    case queued
    /// Not taken: the queue to this peer is full. Wait for the low mark.
    case full
    case notConnected
    /// The frame breaks a rule that holds for every peer; the sentence says which.
    case invalid(String)
}
