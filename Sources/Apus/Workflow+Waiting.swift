import TimeAndChance
import WorkflowCore

extension Workflow {
    /// Waits that long, through restarts, without using memory or a thread once the actor hibernates (W30,
    /// W35). The deadline is recorded on the first visit; a past one passes at once.
    public mutating func sleep(_ name: String, for duration: Duration) async throws {
        try await driver.sleep(name, in: scope, until: .after(duration))
    }

    /// Waits until that time.
    public mutating func sleep(_ name: String, until time: Timestamp) async throws {
        try await driver.sleep(name, in: scope, until: .at(time))
    }

    /// Takes the oldest message of a queue, waiting for one as long as it takes (W31).
    public mutating func next<Body, Reply>(
        _ name: String, from queue: KeyPath<Definition.Queues, QueueOf<Body, Reply>>
    ) async throws -> Message<Body, Reply> {
        let (node, taken) = try await take(name, from: [queueName(queue)], upTo: 1, within: nil)
        return try Message(taken[0], node: node, index: 0, driver: driver)
    }

    /// Takes the oldest message of a queue, or returns nil when none has come in that time (W32).
    public mutating func next<Body, Reply>(
        _ name: String, from queue: KeyPath<Definition.Queues, QueueOf<Body, Reply>>, within timeout: Duration
    ) async throws -> Message<Body, Reply>? {
        let (node, taken) = try await take(name, from: [queueName(queue)], upTo: 1, within: timeout)
        return try taken.first.map { try Message($0, node: node, index: 0, driver: driver) }
    }

    /// Takes the oldest message of two queues, in order of arrival over both (W32).
    public mutating func next<BodyA, ReplyA, BodyB, ReplyB>(
        _ name: String, from first: KeyPath<Definition.Queues, QueueOf<BodyA, ReplyA>>,
        _ second: KeyPath<Definition.Queues, QueueOf<BodyB, ReplyB>>
    ) async throws -> Either<Message<BodyA, ReplyA>, Message<BodyB, ReplyB>> {
        let names = [queueName(first), queueName(second)]
        let (node, taken) = try await take(name, from: names, upTo: 1, within: nil)
        return taken[0].queue == names[0]
            ? .first(try Message(taken[0], node: node, index: 0, driver: driver))
            : .second(try Message(taken[0], node: node, index: 0, driver: driver))
    }

    /// Takes up to `limit` messages, as soon as there is one; none after the timeout (W32).
    public mutating func batch<Body, Reply>(
        _ name: String, from queue: KeyPath<Definition.Queues, QueueOf<Body, Reply>>, upTo limit: Int,
        within timeout: Duration? = nil
    ) async throws -> [Message<Body, Reply>] {
        let (node, taken) = try await take(
            name, from: [queueName(queue)], upTo: max(1, limit), within: timeout)
        return try taken.enumerated().map { try Message($1, node: node, index: $0, driver: driver) }
    }

    private func queueName<Body, Reply>(_ queue: KeyPath<Definition.Queues, QueueOf<Body, Reply>>) -> String {
        DeclarationTable<Definition.Queues>.shared.name(queue)
    }

    private func take(
        _ name: String, from queues: [String], upTo limit: Int, within timeout: Duration?
    ) async throws -> (WorkflowCore.Node, [TakenMessage]) {
        let request = NextRequest(name: name, scope: scope, queues: queues, limit: limit, within: timeout)
        return try await driver.next(request)
    }
}
