import ReplicationCore

/// One simulated cluster: its size, and how often what goes wrong. Times are virtual microseconds.
public struct SimulationSettings: Hashable, Sendable {
    public var seed: UInt64
    public var machines = 3
    public var voters = 3
    public var copies = 2
    public var partitions = 8
    public var clients = 4
    /// Faults happen for so long; then everything is healed, and must converge.
    public var faultyMicros: UInt64 = 12_000_000
    /// How long convergence may take.
    public var healMicros: UInt64 = 60_000_000
    public var faults = FaultRates()
    /// Keeps a line for each event.
    public var traces = false
    /// One of the rules that a run is to do without.
    package var without: BrokenRule?

    public init(seed: UInt64) { self.seed = seed }
}

/// Mean virtual microseconds between two faults of a kind; 0 for never.
public struct FaultRates: Hashable, Sendable {
    public var crash: UInt64 = 2_500_000
    public var wipe: UInt64 = 9_000_000
    public var rollback: UInt64 = 20_000_000
    public var pause: UInt64 = 3_000_000
    public var cut: UInt64 = 2_000_000
    public var slowDisk: UInt64 = 4_000_000
    /// An operator who believes that a healthy node is down.
    public var falseAlarm: UInt64 = 5_000_000
    public var trim: UInt64 = 1_000_000

    public init() {}

    public static let none: FaultRates = {
        var rates = FaultRates()
        (rates.crash, rates.wipe, rates.rollback, rates.pause) = (0, 0, 0, 0)
        (rates.cut, rates.slowDisk, rates.falseAlarm) = (0, 0, 0)
        return rates
    }()
}

/// A rule that a simulation does without, to see that its checks would notice.
package struct BrokenRule: Hashable, Sendable {
    package var name: String
    package var replication = ReplicationRules.all

    package init(name: String, replication: ReplicationRules) {
        self.name = name
        self.replication = replication
    }
}

/// What a run has found wrong.
public struct Violation: Error, CustomStringConvertible, Sendable {
    public var description: String
}

/// What a run did, for a line of output.
public struct SimulationReport: Hashable, Sendable {
    public var seed: UInt64
    public var virtualMicros: UInt64 = 0
    public var events = 0
    public var acknowledged = 0
    public var commits = 0
    public var promotions = 0
    public var faults: [String: Int] = [:]
    /// The same for every run of the same seed and settings.
    public var traceHash: UInt64 = 0
}
