/// How a process is, from how its disk and its loop get on: progress, not a pulse (`cluster.md` 2.2.4).
///
/// A thread that answers probes says nothing about one that waits for a disk. So the syncs are measured
/// where somebody waits for them, and a process whose disk stands still falls silent like one that is dead.
public struct HealthMeter: Sendable {
    /// A sync that takes longer is no slow one any more: the process does not say that it lives.
    public static let standstill = Duration.seconds(3)
    /// What is too long for each step of the scale, from 1 to 8, for a sync or for the loop.
    static let scale: [Duration] = [50, 100, 200, 300, 400, 500, 1_000, 2_000].map { .milliseconds($0) }
    /// The share of the newest value in the mean, as a divisor: one slow sync is no sickness.
    static let smoothing = 8

    /// Where nothing is written nothing is measured, so what was measured before fades, by this share in each
    /// tick: of the longest stall that a node survives, less than `SessionTable.sickTicks` are left.
    static let fading = 200

    private var sync = Duration.zero
    private var lateness = Duration.zero
    private var waiting: Duration?

    public init() {}

    /// A sync is done.
    public mutating func synced(after duration: Duration) {
        sync += (duration - sync) / Self.smoothing
    }

    /// - Parameters:
    ///   - late: by how much the loop's timer was late.
    ///   - waiting: for how long the oldest sync has been waited for; nil if none is.
    public mutating func tick(late: Duration, waiting: Duration?) {
        lateness += (max(late, .zero) - lateness) / Self.smoothing
        self.waiting = waiting
        if waiting == nil { sync -= sync / Self.fading }
    }

    /// From 0, all well, to 8.
    public var health: UInt8 {
        let longest = max(sync, lateness, waiting ?? .zero)
        return UInt8(Self.scale.count(where: { longest >= $0 }))
    }

    public var standsStill: Bool { waiting.map { $0 >= Self.standstill } ?? false }
}
