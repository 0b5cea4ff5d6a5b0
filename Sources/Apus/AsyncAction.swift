import Identifiers
import TimeAndChance

/// See `DurableActor.AsyncAction`.
public struct ActorAsyncAction<
    Definition: DurableActor, Input: Codable & Sendable, Output: Codable & Sendable
>: Sendable, Declared {
    package let identity = Identity()
    package let explicitName: String?
    package let body: @Sendable (ActionContext<Definition>, Input) async throws -> Output

    // Where a body without a result would do as well, that is what is meant.
    @_disfavoredOverload
    public init(
        name: String? = nil,
        _ body: @escaping @Sendable (ActionContext<Definition>, Input) async throws -> Output
    ) {
        explicitName = name
        self.body = body
    }
}

extension ActorAsyncAction where Input == NoInput {
    public init(
        name: String? = nil, _ body: @escaping @Sendable (ActionContext<Definition>) async throws -> Output
    ) {
        explicitName = name
        self.body = { context, _ in try await body(context) }
    }
}

extension ActorAsyncAction where Output == NoOutput {
    public init(
        name: String? = nil,
        _ body: @escaping @Sendable (ActionContext<Definition>, Input) async throws -> Void
    ) {
        explicitName = name
        self.body = { context, input in
            try await body(context, input)
            return NoOutput()
        }
    }
}

/// What an asynchronous action has of its actor: it reads its state, and changes it in turns.
public struct ActionContext<Definition: DurableActor>: Sendable {
    let instance: TypedInstance<Definition>
    let driver: any ActionDriver

    /// The key under which the actor is found.
    public var key: ActorKey { instance.key }

    /// The kind's value, for the dependencies that it was made with.
    public var definition: Definition { instance.definition }

    /// Names this request for services outside: the same each time that the client repeats it, 32
    /// hexadecimal digits.
    public var idempotencyKey: String { driver.idempotencyKey }

    /// The actor's state after its latest turn; comes when that turn is committed (A12).
    public var state: Definition.State {
        get async throws {
            let state = instance.state
            try await driver.settle()
            return state
        }
    }

    /// Changes the actor: synchronous, atomic, committed when it returns (W20). Between two turns of an
    /// action others may have changed the state.
    ///
    /// A turn that has committed is not repeated when the client repeats the request, after a crash or a
    /// failure: it returns what it has returned then.
    ///
    /// - Parameter name: what such a turn is found by, unique in the action; by default its place in the
    ///   order in which the action's code begins turns. Give names where that order can differ.
    /// - Throws: what the body throws; then nothing is changed and nothing recorded.
    @discardableResult
    public func turn<Value: Codable & Sendable>(
        _ name: String? = nil, _ body: @escaping @Sendable (inout Turn<Definition>) throws -> Value
    ) async throws -> Value {
        let instance = instance
        let result = try await driver.turn(name) { now in
            let (value, effects) = try instance.turn(now: now) { turn in try body(&turn) }
            return (try RecordedValue(encoding: value), effects)
        }
        switch result {
        case .recorded(let bytes): return try PayloadCoding.decode(Value.self, from: bytes)
        case .fresh(let value):
            guard let value = value as? Value else {
                // The body and the caller share the type parameter; only a bug of this module gets here.
                preconditionFailure("a turn's value is the one that its body returned, of type \(Value.self)")
            }
            return value
        }
    }

    /// Changes the actor; the body returns nothing.
    public func turn(
        _ name: String? = nil, _ body: @escaping @Sendable (inout Turn<Definition>) throws -> Void
    ) async throws {
        _ = try await turn(name) { turn in
            try body(&turn)
            return NoOutput()
        }
    }
}

extension ActionContext {
    /// Performs an action or a query of another actor, which is made if it is absent (A11). It is a request
    /// like a client's, and part of no record: what must happen exactly once, a `turn` sends, or `run` calls.
    ///
    /// ```swift
    /// let total = try await context.call(\Shop.counter, "a") { $0.increment(4) }
    /// ```
    /// - Throws: what the other actor throws, or what says that there is no answer.
    @discardableResult
    public func call<R: Registry, Other: DurableActor, Output: Codable & Sendable>(
        _ kind: KeyPath<R, Other>, _ key: String..., action: (ActionsOf<Other>) -> ActionCall<Output>
    ) async throws -> Output {
        let call = action(ActionsOf())
        let outgoing = try OutgoingCall(call, of: ActorAddress.of(kind, key))
        return try PayloadCoding.decode(Output.self, from: try await driver.call(outgoing))
    }
}

/// What the host does for an asynchronous action under way.
package protocol ActionDriver: AnyObject, Sendable {
    var idempotencyKey: String { get }
    /// Returns when everything that the actor has done so far is committed.
    @concurrent func settle() async throws
    /// Runs a turn, or answers with what it returned under an earlier execution of the same request.
    @concurrent func turn(
        _ name: String?, _ body: @escaping @Sendable (Timestamp) throws -> (RecordedValue, TurnEffects)
    ) async throws -> OperationResult
    /// Asks another actor; the output as JSON.
    @concurrent func call(_ call: OutgoingCall) async throws -> [UInt8]
}

extension ActorAsyncAction: ErasedAsyncAction {
    var performer: KindDefinition<Definition>.AsyncPerformer {
        { instance, bytes, driver in
            let input = try PayloadCoding.decodeInput(Input.self, from: bytes)
            let context = ActionContext(instance: instance, driver: driver)
            return try PayloadCoding.encode(try await body(context, input))
        }
    }
}

/// A member of `Actions` that awaits.
protocol ErasedAsyncAction<Definition>: Sendable {
    associatedtype Definition: DurableActor
    var performer: KindDefinition<Definition>.AsyncPerformer { get }
}
