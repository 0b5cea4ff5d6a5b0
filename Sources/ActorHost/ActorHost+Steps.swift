import ByteCoding
import Identifiers
import PartitionStore
import TimeAndChance
import TimerCore
import WorkflowCore

/// A host without threads (`HostSettings.steppedSeed`), for simulations. User code runs inside of `step`, and
/// nowhere else unless it leaves the host's executors by itself.
extension ActorHost {
    package var shardCount: Int { shards.count }

    /// Whether a shard has something to do, besides what becomes due at `nextDeadline`.
    package func hasWork(_ shard: Int) -> Bool { shards[shard].executor.hasWork }

    /// Runs one round of each shard that has work, the same round that its thread would run. Shards may be
    /// stepped one by one, in any order: threads promise no more.
    /// - Returns: whether there may be more to do at once.
    @discardableResult
    package func step(_ chosen: [Int]? = nil) -> Bool {
        var isBusy = false
        for shard in chosen ?? Array(shards.indices) where shards[shard].executor.step() { isBusy = true }
        return isBusy
    }

    /// When something becomes due by itself; microseconds since 1970, of the host's clock.
    package func nextDeadline() -> UInt64? {
        shards.compactMap { $0.timers.next() }.min()
    }

    /// When the first deadline has come by the host's own time, which need not keep the pace of the machine's
    /// clocks: microseconds of the monotonic clock, or too early, never too late.
    package func nextDue() -> UInt64? {
        shards.compactMap { shard in
            guard let next = shard.timers.next() else { return nil }
            let (wall, monotonic) = (shard.reading.wall.rawValue, shard.reading.monotonic)
            return next > wall ? monotonic + (next - wall) : monotonic - min(monotonic, wall - next)
        }.min()
    }

    /// Forgets everything, like a crash: no record, reply or message leaves any more, and the code of runs,
    /// actions and effects is told to end, so that their memory is given back.
    package func dissolve() {
        for shard in shards {
            shard.executor.post {
                shard.isStopping = true
                shard.handle(
                    shard.partitions.values.sorted { $0.id < $1.id }.map { .standDown($0.id, $0.epoch) })
            }
        }
        for _ in 0..<Self.dissolvingRounds where step() {}
        for shard in shards { shard.executor.endStepped() }
    }

    /// Code that goes on for ever in spite of errors is left alone.
    private static let dissolvingRounds = 1_000

    /// The idempotency key that a step of a run has.
    package static func idempotencyKey(
        of path: HistoryPath, actor: ActorAddress, id: ActorID, in store: StoreIdentity
    ) -> String {
        StableNames.idempotencyKey(run: LiveActor.runName(store, actor, id), path: path)
    }
}
