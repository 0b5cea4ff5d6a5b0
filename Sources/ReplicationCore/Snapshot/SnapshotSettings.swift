/// Limits of one snapshot on its way; the times are ticks, which the driver counts.
public struct SnapshotSettings: Hashable, Sendable {
    /// Chunks read or sent and not yet written by the receiver, at the most.
    public var windowChunks = 8
    /// After so many ticks without an answer, the snapshot is offered again.
    public var offerAgainTicks = 20
    /// After so many ticks without a sign of the other side, either gives up.
    public var giveUpTicks = 600

    public init() {}
}
