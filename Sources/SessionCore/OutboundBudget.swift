/// Counts what was handed to a connection and has not reached its socket yet.
///
/// Replies are bounded by not reading further requests; events, which nobody asked for one by one, by
/// closing (A42).
public struct OutboundBudget: Sendable {
    private let limits: SessionLimits
    public private(set) var pendingBytes = 0
    public private(set) var pendingFrames = 0

    public init(limits: SessionLimits) { self.limits = limits }

    public var isFull: Bool {
        pendingBytes >= limits.pendingBytesMax || pendingFrames >= limits.pendingFramesMax
    }
    /// Reading resumes only well below the limit, so that a connection at the limit does not flap.
    public var isLow: Bool {
        pendingBytes <= limits.pendingBytesMax / 2 && pendingFrames <= limits.pendingFramesMax / 2
    }

    public mutating func wrote(bytes: Int) {
        pendingBytes += bytes
        pendingFrames += 1
    }

    /// A burst of frames has reached the socket.
    public mutating func flushed(bytes: Int, frames: Int) {
        pendingBytes = max(0, pendingBytes - bytes)
        pendingFrames = max(0, pendingFrames - frames)
    }
}
