import Identifiers
import Logging
import Synchronization
import TimeAndChance

/// Says in the log when user code holds a shard's thread: everything else of the shard waits for it then.
///
/// A thread of its own looks now and then whether the shard gets on with its work.
final class ShardWatch: Sendable {
    private struct Effect: Sendable {
        var actor: ActorAddress
        var step: String
    }

    private let shard: Int
    private let logger: Logger
    /// The effect whose beginning runs on the shard's thread now.
    private let effect = Mutex<Effect?>(nil)

    init(shard: Int, logger: Logger) {
        self.shard = shard
        self.logger = logger
    }

    /// Runs the beginning of an effect, up to where it first waits, under its name.
    func naming<Value>(_ actor: ActorAddress, _ step: String, _ body: () -> Value) -> Value {
        effect.withLock { $0 = Effect(actor: actor, step: step) }
        defer { effect.withLock { $0 = nil } }
        return body()
    }

    /// Starts to look, until the executor is stopped.
    /// - Parameter limit: how long one piece of work may take before it is told.
    func start(_ executor: ShardExecutor, limit: Duration) {
        let pause = UInt64(clamping: max(1_000, limit.wholeMicroseconds / 2))
        Thread.start(name: "apus-watch-\(shard)") { [self] in
            var seen = executor.progress
            var looks = 0
            let parker = Parker()
            while !executor.isStopped {
                parker.park(micros: pause)
                let progress = executor.progress
                if progress != seen || executor.isWaiting { looks = 0 } else { looks += 1 }
                seen = progress
                if looks == 2 { tell(limit) }
            }
        }
    }

    private func tell(_ limit: Duration) {
        let effect = effect.withLock { $0 }
        let what =
            effect.map { "the effect of step \"\($0.step)\" of \($0.actor)" }
            ?? "a turn, or code between two of its awaits,"
        logger.warning(
            """
            \(what) has held the thread of shard \(shard) for more than \(limit); the shard's other actors \
            wait. Work that blocks belongs on an executor of its own
            """)
    }
}
