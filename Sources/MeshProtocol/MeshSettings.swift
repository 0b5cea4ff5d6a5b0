/// Every bound and every deadline of the mesh.
public struct MeshSettings: Hashable, Sendable {
    public var deadlines = DeadlineSettings()
    public var backoff = Backoff.Settings()
    /// Connections of any kind.
    public var linksMax = 4096
    /// Accepted connections whose handshake is not over. One more is closed at once.
    public var handshakesMax = 256
    /// A frame before the peer is known.
    public var handshakeFrameBytesMax = 4096
    public var controlQueue = QueueLimits(
        bytesMax: 4 << 20, framesMax: 16_384, highBytes: 1 << 20, lowBytes: 256 << 10)
    public var dataQueue = QueueLimits(
        bytesMax: 32 << 20, framesMax: 65_536, highBytes: 4 << 20, lowBytes: 1 << 20)
    public var bulkQueue = QueueLimits(
        bytesMax: 32 << 20, framesMax: 4096, highBytes: 4 << 20, lowBytes: 1 << 20)

    public init() {}

    func queue(of lane: MeshLane) -> QueueLimits {
        switch lane {
        case .control: controlQueue
        case .data: dataQueue
        case .bulk: bulkQueue
        }
    }
}
