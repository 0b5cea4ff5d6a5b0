import TimeAndChance

/// What a plan of whole nodes says besides: real hosts with real actors in every process.
public struct WholePlan: Hashable, Sendable {
    public var shards = 2
    public var accounts = 6
    public var tellers = 2
    public var errands = 3
    /// After so long without work an actor leaves memory.
    public var idleMicros: UInt64 = 20_000
    /// Tables have committed records after so long, at the most.
    public var applyMicrosMax: UInt64 = 20_000
    /// Journals and tables are real files of the real store, on disks that lose power.
    public var hasFiles = false
    /// How far the wall clocks of machines are off when a process starts, at the most.
    public var clockErrorMicros: UInt64 = 0
    /// How far processes follow clocks that jump while they run, at the most: a hundredth of the time (D43).
    public var driftMicros: UInt64 = 0
    /// Of a hundred rounds of a node's threads, so many leave a shard out.
    public var laggingPercent: UInt64 = 10
    /// Of a hundred calls of the outside world, so many fail, and so many are performed without an answer.
    public var refusedPercent: UInt64 = 10
    public var unansweredPercent: UInt64 = 10
    /// How late answers of the outside world may be; the limit of a step is 400 ms.
    public var answerMicrosMax: UInt64 = 50_000

    public init() {}

    var timeErrorMicros: UInt64 { clockErrorMicros + driftMicros }
}

extension SimulationSettings {
    /// A plan of whole nodes that follows from its seed alone; the faults and limits are those of `swarm`.
    public static func whole(seed: UInt64, machines: Int? = nil, copies: Int? = nil) -> Self {
        var settings = swarm(seed: seed, machines: machines, copies: copies)
        var random = SplitMix64(seed: seed ^ 0x5748_4F4C)
        func pick<Value>(_ values: Value...) -> Value {
            values[Int.random(in: 0..<values.count, using: &random)]
        }
        settings.partitions = pick(2, 4, 8)
        settings.clients = pick(3, 8)
        settings.faultyMicros = pick(6_000_000, 12_000_000, 20_000_000)
        // Workflows need time in which to get on, so that there is something to interrupt.
        for rate in FaultRates.all { settings.faults[keyPath: rate] *= 2 }
        var plan = WholePlan()
        plan.shards = pick(1, 2)
        plan.accounts = pick(2, 6, 12)
        plan.tellers = pick(1, 3)
        plan.errands = pick(1, 4)
        plan.idleMicros = pick(1_000, 5_000, 200_000, 10_000_000)
        plan.applyMicrosMax = pick(1_000, 20_000, 300_000)
        plan.laggingPercent = pick(0, 10, 60)
        plan.refusedPercent = pick(0, 10, 40)
        plan.unansweredPercent = pick(0, 10, 30)
        plan.answerMicrosMax = pick(5_000, 50_000, 1_500_000)
        plan.clockErrorMicros = pick(0, 0, 300_000, 3_000_000)
        plan.hasFiles = pick(false, false, true)
        settings.faults.clockJump = pick(0, 0, 1_500_000, 4_000_000)
        if settings.faults.clockJump > 0 {
            plan.driftMicros = (settings.faultyMicros + settings.healMicros) / 100
        }
        if plan.hasFiles {
            // Disks that go back in time, and snapshots, are in the other plans.
            (settings.faults.image, settings.faults.rollback, settings.faults.trim) = (0, 0, 0)
            settings.faults.setBack = 0
        }
        settings.whole = plan
        return settings
    }
}
