import ReplicationCore

/// One simulated cluster: its size, and how often what goes wrong. Times are virtual microseconds.
public struct SimulationSettings: Hashable, Sendable {
    public var seed: UInt64
    public var machines = 3
    /// Whether there is a cluster of all machines at the beginning; else the script founds one.
    public var isFormed = true
    public var voters = 3
    public var copies = 2
    public var partitions = 8
    public var clients = 4
    /// Faults happen for so long; then everything is healed, and must converge.
    public var faultyMicros: UInt64 = 12_000_000
    /// How long convergence may take.
    public var healMicros: UInt64 = 60_000_000
    public var faults = FaultRates()
    /// What happens at moments that are known, within `faultyMicros`.
    public var script: [ScriptedEvent] = []
    public var extremes = Extremes()
    /// Whether somebody declares nodes down besides the controller, quickly and not always rightly.
    public var hasOperator = true
    /// Real hosts with real actors, in place of counters; nil for counters.
    public var whole: WholePlan?
    /// The faults that may happen, by their numbers; nil for all of them.
    public var keptFaults: Set<Int>?
    /// Keeps a line for each event.
    public var traces = false
    /// Keeps what each client asked and heard.
    public var recordsHistory = false
    /// One of the rules that a run is to do without.
    package var without: BrokenRule?

    public init(seed: UInt64) { self.seed = seed }
}

/// Mean virtual microseconds between two faults of a kind; 0 for never.
public struct FaultRates: Hashable, Sendable {
    public var crash: UInt64 = 2_500_000
    public var wipe: UInt64 = 4_000_000
    public var image: UInt64 = 2_000_000
    public var rollback: UInt64 = 2_000_000
    public var pause: UInt64 = 3_000_000
    public var cut: UInt64 = 2_000_000
    public var reset: UInt64 = 2_000_000
    public var slowDisk: UInt64 = 4_000_000
    public var falseAlarm: UInt64 = 5_000_000
    public var election: UInt64 = 4_000_000
    public var trim: UInt64 = 1_000_000
    public var setBack: UInt64 = 1_500_000
    public var leave: UInt64 = 4_000_000
    public var drain: UInt64 = 5_000_000
    /// Only machines of whole nodes have wall clocks.
    public var clockJump: UInt64 = 0

    public init() {}
}

/// Limits that are set so low that what is rare becomes common, and habits of the network.
public struct Extremes: Hashable, Sendable {
    /// Bytes of records in one append, on their way to one replica, and kept in memory.
    public var appendBytesMax = 1_000
    public var windowBytesMax = 4_000
    public var tailBytesMax = 2_000
    public var expandAfterMicros: UInt64 = 300_000
    /// Bytes of the consensus log after which there is a snapshot, bytes in one of its chunks, and entries
    /// kept behind it.
    public var compactionBytes = 4 << 20
    public var snapshotChunkBytes = 256 << 10
    public var retainedEntries = 1024
    /// Of a hundred packets, so many take long.
    public var latePercent: UInt64 = 2
    public var lateMicrosMax: UInt64 = 30_000
    /// Of a hundred answers about the map, so many are lost, and the asker must notice.
    public var lostMapPercent: UInt64 = 0
    /// Of a hundred frames of replication, so many arrive once more, later.
    public var repeatedPercent: UInt64 = 0
    /// Whether a machine without a process refuses connections, or nobody answers.
    public var refusesConnections = true
    /// How long the controller waits for nodes that are away, and before it trusts those that are back.
    public var awaitTicks: UInt64 = 40
    public var stableTicks: UInt64 = 40
    /// When the controller declares nodes down: silent and out of reach for so long, or silent for so long.
    public var unreachableTicks: UInt64 = 40
    public var silentTicks: UInt64 = 120
    public var breakerPercent = 20
    /// Whether the controller knows how far the logs of a partition go.
    public var reportsLogs = true

    public init() {}
}

/// What a run has found wrong.
public struct Violation: Error, CustomStringConvertible, Sendable {
    public var description: String
    /// What happened before, for people; empty unless asked for.
    public var trace: [String] = []
    /// The numbers of the faults that happened.
    public var faults: [Int] = []

    public init(_ description: String) { self.description = description }
}

/// A call of a client, and what it heard in the end.
public struct SimulatedOperation: Hashable, Sendable {
    public var client: Int
    public var partition: Int
    public var isRead: Bool
    public var calledAt: UInt64
    public var answeredAt: UInt64
    public var result: UInt64
}

/// What a run did, for a line of output.
public struct SimulationReport: Hashable, Sendable {
    public var seed: UInt64
    public var virtualMicros: UInt64 = 0
    public var events = 0
    public var acknowledged = 0
    public var commits = 0
    public var promotions = 0
    /// Owners that were asked to hand over.
    public var handovers = 0
    /// Nodes that the controller declared down.
    public var declaredDown = 0
    public var faults: [String: Int] = [:]
    /// Of whole nodes: calls of the outside world, those of processes that had lost their partition without
    /// knowing it, and committed turns.
    public var effects = 0
    /// Redirects that clients of whole nodes followed, and calls whose time was over.
    public var redirects = 0
    public var timedOut = 0
    public var lateEffects = 0
    public var records = 0
    /// The same for every run of the same seed and settings.
    public var traceHash: UInt64 = 0
    /// What happened, for people; empty unless asked for.
    public var trace: [String] = []
    /// In the order of the answers; empty unless asked for.
    public var history: [SimulatedOperation] = []
}
