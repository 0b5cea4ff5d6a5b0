import TimeAndChance
import WorkflowCore

extension Workflow {
    /// Performs an effect: asynchronous, touches the outside world, may run more than once, its result is
    /// recorded once (W10). Retries happen underneath; what is thrown here is final (W16).
    ///
    /// - Parameters:
    ///   - name: unique in its scope; the step is found under it on each replay (W1).
    ///   - retry: when a failed attempt is tried again.
    ///   - retryIf: called with an attempt's error; false makes it final.
    ///   - timeout: how long one attempt may take; nil for no limit (W15).
    ///   - ephemeral: do not wait for the record; it rides with the next one (W4).
    /// - Throws: `StepFailure`.
    @discardableResult
    public mutating func step<Value: Codable & Sendable>(
        _ name: String, retry: RetryPolicy = .default, retryIf: (@Sendable (any Error) -> Bool)? = nil,
        timeout: Duration? = .seconds(30), ephemeral: Bool = false,
        _ effect: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let result = try await driver.step(
            StepRequest(
                name: name, scope: scope, retry: retry, retryIf: retryIf, timeout: timeout,
                ephemeral: ephemeral,
                effect: Self.recording(effect), commit: nil))
        return try decoded(result, as: Value.self)
    }

    /// An effect without a result.
    public mutating func step(
        _ name: String, retry: RetryPolicy = .default, retryIf: (@Sendable (any Error) -> Bool)? = nil,
        timeout: Duration? = .seconds(30), ephemeral: Bool = false,
        _ effect: @escaping @Sendable () async throws -> Void
    ) async throws {
        _ = try await driver.step(
            StepRequest(
                name: name, scope: scope, retry: retry, retryIf: retryIf, timeout: timeout,
                ephemeral: ephemeral,
                effect: Self.recording(effect), commit: nil))
    }

    /// An effect, and the turn that commits its result: both are recorded together, the turn runs exactly
    /// once (W18).
    @discardableResult
    public mutating func step<Value: Codable & Sendable>(
        _ name: String, retry: RetryPolicy = .default, retryIf: (@Sendable (any Error) -> Bool)? = nil,
        timeout: Duration? = .seconds(30), _ effect: @escaping @Sendable () async throws -> Value,
        commit: @escaping @Sendable (inout Turn<Definition>, Value) throws -> Void
    ) async throws -> Value {
        let instance = instance
        let result = try await driver.step(
            StepRequest(
                name: name, scope: scope, retry: retry, retryIf: retryIf, timeout: timeout, ephemeral: false,
                effect: Self.recording(effect),
                commit: { recorded, now in
                    guard let value = recorded.value as? Value else { return TurnEffects() }
                    return try instance.turn(now: now) { turn in try commit(&turn, value) }.effects
                }))
        return try decoded(result, as: Value.self)
    }

    /// An effect without a result, and the turn that commits that it happened (W18).
    public mutating func step(
        _ name: String, retry: RetryPolicy = .default, retryIf: (@Sendable (any Error) -> Bool)? = nil,
        timeout: Duration? = .seconds(30), _ effect: @escaping @Sendable () async throws -> Void,
        commit: @escaping @Sendable (inout Turn<Definition>) throws -> Void
    ) async throws {
        let instance = instance
        _ = try await driver.step(
            StepRequest(
                name: name, scope: scope, retry: retry, retryIf: retryIf, timeout: timeout, ephemeral: false,
                effect: Self.recording(effect),
                commit: { _, now in try instance.turn(now: now) { turn in try commit(&turn) }.effects }))
    }

    /// Changes the actor: synchronous, atomic, exactly once (W20). Returns what the body returns, recorded.
    /// - Throws: what the body throws; then nothing is changed and nothing recorded.
    @discardableResult
    public mutating func turn<Value: Codable & Sendable>(
        _ name: String, _ body: @escaping @Sendable (inout Turn<Definition>) throws -> Value
    ) async throws -> Value {
        let result = try await driver.turn(
            TurnRequest(name: name, scope: scope, body: recording(body), answering: nil))
        return try decoded(result, as: Value.self)
    }

    /// Changes the actor; the body returns nothing.
    public mutating func turn(
        _ name: String, _ body: @escaping @Sendable (inout Turn<Definition>) throws -> Void
    ) async throws {
        let instance = instance
        _ = try await driver.turn(
            TurnRequest(
                name: name, scope: scope,
                body: { now in
                    let effects = try instance.turn(now: now) { turn in try body(&turn) }.effects
                    return (RecordedValue(bytes: Self.nothing, value: ()), effects)
                }, answering: nil))
    }

    /// Changes the actor and completes a message with what the body returns, in one commit (W33).
    @discardableResult
    public mutating func turn<Body, Reply>(
        _ name: String, answering message: Message<Body, Reply>,
        _ body: @escaping @Sendable (inout Turn<Definition>) throws -> Reply
    ) async throws -> Reply {
        let result = try await driver.turn(
            TurnRequest(
                name: name, scope: scope, body: recording(body),
                answering: (message.taken, message.node, message.index)))
        return try decoded(result, as: Reply.self)
    }

    private static var nothing: [UInt8] { Array("null".utf8) }

    private static func recording<Value: Codable & Sendable>(
        _ effect: @escaping @Sendable () async throws -> Value
    ) -> @Sendable () async throws -> RecordedValue {
        {
            let value = try await effect()
            return try RecordedValue(encoding: value)
        }
    }

    private static func recording(
        _ effect: @escaping @Sendable () async throws -> Void
    ) -> @Sendable () async throws -> RecordedValue {
        {
            try await effect()
            return RecordedValue(bytes: nothing, value: ())
        }
    }

    private func recording<Value: Codable & Sendable>(
        _ body: @escaping @Sendable (inout Turn<Definition>) throws -> Value
    ) -> @Sendable (Timestamp) throws -> (RecordedValue, TurnEffects) {
        let instance = instance
        return { now in
            let (value, effects) = try instance.turn(now: now) { turn in try body(&turn) }
            return (try RecordedValue(encoding: value), effects)
        }
    }
}
