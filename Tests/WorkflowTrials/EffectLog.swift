import Apus
import Synchronization

/// What the effects of a trial's steps did to the outside world, in order.
package final class EffectLog: Sendable {
    package struct Entry: Sendable, Equatable {
        package var name: String
        /// The step's path; empty outside of a step.
        package var step: String
        package var idempotencyKey: String
        package var attempt: Int
        /// Which life of the node, counted from 0.
        package var life: Int
    }

    private struct Live {
        var entries: [Entry] = []
        var life = 0
        var hooks: [String: @Sendable () -> Void] = [:]
    }

    private let live = Mutex(Live())
    package init() {}

    /// Called by an effect.
    package func note(_ name: String) {
        let attempt = StepAttempt.current
        let hook = live.withLock { live in
            live.entries.append(
                Entry(
                    name: name, step: attempt?.step ?? "", idempotencyKey: attempt?.idempotencyKey ?? "",
                    attempt: attempt?.number ?? 0, life: live.life))
            return live.hooks[name]
        }
        hook?()
    }

    /// From now on, whoever notes that name calls the body, too: it can end the process under an effect.
    package func when(_ name: String, _ body: @escaping @Sendable () -> Void) {
        live.withLock { $0.hooks[name] = body }
    }

    func nextLife() { live.withLock { $0.life += 1 } }

    package var entries: [Entry] { live.withLock { $0.entries } }
    /// The names in order, without what a later life repeated.
    package var names: [String] {
        var seen: Set<String> = []
        return entries.filter { seen.insert("\($0.idempotencyKey) \($0.attempt) \($0.name)").inserted }.map(
            \.name)
    }
    /// The same, each name once.
    package var distinctNames: [String] {
        var seen: Set<String> = []
        return entries.map(\.name).filter { seen.insert($0).inserted }
    }
}
