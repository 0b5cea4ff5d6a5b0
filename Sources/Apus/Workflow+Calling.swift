import ClientProtocol
import Identifiers
import WorkflowCore

extension Workflow {
    /// Sends a message into a queue of another actor, which is made if it is absent: exactly once, over
    /// crashes and moves of either side (W60). Returns when that it will arrive is recorded.
    ///
    /// ```swift
    /// try await workflow.send("approve", Approval(by: "me"), to: \.approval, of: \Shop.order, "order-1")
    /// ```
    ///
    /// If too many messages wait for the other actor's partition already, it waits, too. A message that
    /// cannot be delivered is kept with this actor and shown in its description.
    /// - Parameters:
    ///   - delay: it is not taken earlier than that after its arrival.
    ///   - priority: 0 to 9; a message of a higher priority is taken first.
    ///   - deduplicationKey: nothing is put into the queue if one with this key was in the last 24 hours.
    public mutating func send<R: Registry, Other: DurableActor, Body, Reply>(
        _ name: String, _ body: Body, to queue: KeyPath<Other.Queues, QueueOf<Body, Reply>>,
        of kind: KeyPath<R, Other>, _ key: String..., delay: Duration = .zero, priority: UInt8 = 0,
        deduplicationKey: String? = nil
    ) async throws {
        let post = try OutgoingPost(
            body, to: queue, of: ActorAddress.of(kind, key), delay: delay,
            options: MessageOptions(priority: priority, deduplicationKey: deduplicationKey))
        try await driver.send(name, in: scope, post)
    }

    /// Performs an action or a query of another actor, which is made if it is absent, exactly once, and
    /// returns what it returns (W60). Waits as long as it takes, hibernated like any wait.
    ///
    /// ```swift
    /// let total = try await workflow.call("count", \Shop.counter, "a") { $0.increment(4) }
    /// ```
    /// - Throws: the `ActorError` that the other actor answers with, recorded like a result.
    @discardableResult
    public mutating func call<R: Registry, Other: DurableActor, Output: Codable & Sendable>(
        _ name: String, _ kind: KeyPath<R, Other>, _ key: String...,
        action: (ActionsOf<Other>) -> ActionCall<Output>
    ) async throws -> Output {
        let call = try OutgoingCall(action(ActionsOf()), of: ActorAddress.of(kind, key))
        guard let output = try await driver.call(name, in: scope, call, within: nil) else {
            // Only a deadline makes a call end without an answer.
            preconditionFailure("the call \(name) has ended without an answer")
        }
        return try PayloadCoding.decode(Output.self, from: output)
    }

    /// The same; nil when no answer has come in that time. The action may be performed all the same, before
    /// or after that.
    public mutating func call<R: Registry, Other: DurableActor, Output: Codable & Sendable>(
        _ name: String, _ kind: KeyPath<R, Other>, _ key: String..., within timeout: Duration,
        action: (ActionsOf<Other>) -> ActionCall<Output>
    ) async throws -> Output? {
        let call = try OutgoingCall(action(ActionsOf()), of: ActorAddress.of(kind, key))
        return try await driver.call(name, in: scope, call, within: timeout)
            .map { try PayloadCoding.decode(Output.self, from: $0) }
    }
}
