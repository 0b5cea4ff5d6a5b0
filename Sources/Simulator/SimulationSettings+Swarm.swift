import TimeAndChance

extension SimulationSettings {
    /// A plan that follows from its seed alone: how many machines and copies, which kinds of faults there
    /// are, how often, and which limits are extreme. Runs that differ in this find more than runs that all
    /// do a bit of everything (Groce et al., "Swarm testing", 2012).
    ///
    /// - Parameters:
    ///   - machines: as many as that instead of what the seed says; likewise `copies`.
    public static func swarm(seed: UInt64, machines: Int? = nil, copies: Int? = nil) -> Self {
        // Another stream than the run's own, so that a plan can change without the run.
        var random = SplitMix64(seed: seed ^ 0x5741_524D)
        func happens(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
        func pick<Value>(_ values: Value...) -> Value {
            values[Int.random(in: 0..<values.count, using: &random)]
        }

        var settings = SimulationSettings(seed: seed)
        let (size, factor) = (pick(3, 3, 5), pick(2, 2, 3))
        settings.machines = machines ?? size
        settings.copies = min(copies ?? factor, settings.machines)
        let voters = pick(3, 3, 5)
        settings.voters = settings.machines < 3 ? 1 : min(voters, settings.machines)
        settings.partitions = pick(1, 2, 4, 8, 8)
        settings.clients = pick(1, 3, 6)
        settings.faultyMicros = pick(4_000_000, 8_000_000, 16_000_000)
        for rate in FaultRates.all {
            let percent = pick(30, 70, 100, 200, 400) as UInt64
            let mean = settings.faults[keyPath: rate]
            settings.faults[keyPath: rate] = happens(65) ? mean * percent / 100 : 0
        }

        settings.extremes.appendBytesMax = pick(60, 1_000, 20_000)
        settings.extremes.windowBytesMax = pick(200, 4_000, 100_000)
        settings.extremes.tailBytesMax = pick(0, 2_000, 100_000)
        settings.extremes.expandAfterMicros = pick(50_000, 300_000, 1_000_000)
        settings.extremes.compactionBytes = pick(2_000, 10_000, 4 << 20)
        settings.extremes.snapshotChunkBytes = pick(100, 256 << 10)
        settings.extremes.retainedEntries = pick(0, 4, 1024)
        settings.extremes.latePercent = pick(0, 2, 10)
        settings.extremes.lateMicrosMax = pick(30_000, 1_000_000)
        settings.extremes.lostMapPercent = pick(0, 0, 10)
        settings.extremes.repeatedPercent = pick(0, 0, 5)
        settings.extremes.refusesConnections = happens(70)
        settings.extremes.awaitTicks = pick(2, 20, 100)
        settings.extremes.stableTicks = pick(1, 10, 40)
        settings.extremes.reportsLogs = happens(50)
        settings.faults.setBack = happens(40) ? settings.faults.setBack * pick(30, 100, 300) / 100 : 0
        settings.faults.leave = happens(50) ? settings.faults.leave * pick(50, 100, 300) / 100 : 0
        settings.faults.drain = happens(40) ? settings.faults.drain * pick(50, 100, 300) / 100 : 0
        settings.extremes.unreachableTicks = pick(12, 40)
        settings.extremes.silentTicks = pick(15, 60, 120)
        settings.extremes.breakerPercent = pick(20, 50, 100)
        settings.hasOperator = happens(50)
        return settings
    }
}

extension FaultRates {
    static var all: [WritableKeyPath<FaultRates, UInt64>] {
        [
            \.crash, \.wipe, \.image, \.rollback, \.pause, \.cut, \.reset, \.slowDisk, \.falseAlarm,
            \.election, \.trim,
        ]
    }
}
