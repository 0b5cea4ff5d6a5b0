import Apus
import ClientProtocol
import ClientRouting
import Identifiers

/// One actor, seen from outside. Its actions and queries are called like methods.
///
/// Every call throws `ActorError` if the actor or its node answers with an error, and `ClientError` if there
/// is no answer.
@dynamicMemberLookup
public struct ActorReference<Definition: DurableActor>: Sendable {
    public let address: ActorAddress
    let connection: ApusConnection

    /// An action: `try await client.counter("a").increment(4)`.
    public subscript<Input, Output>(
        dynamicMember path: KeyPath<Definition.Actions, ActorAction<Definition, Input, Output>>
    ) -> BoundAction<Input, Output> {
        BoundAction(
            name: DeclarationTable<Definition.Actions>.shared.name(path), address: address,
            connection: connection)
    }

    /// An asynchronous action, called like any other.
    public subscript<Input, Output>(
        dynamicMember path: KeyPath<Definition.Actions, ActorAsyncAction<Definition, Input, Output>>
    ) -> BoundAction<Input, Output> {
        BoundAction(
            name: DeclarationTable<Definition.Actions>.shared.name(path), address: address,
            connection: connection)
    }

    /// A query: `try await client.counter("a").count()`.
    public subscript<Output>(
        dynamicMember path: KeyPath<Definition.Actions, ActorQuery<Definition, Output>>
    ) -> BoundAction<NoInput, Output> {
        BoundAction(
            name: DeclarationTable<Definition.Actions>.shared.name(path), address: address,
            connection: connection)
    }

    /// Makes the actor if it is absent.
    /// - Returns: whether it was made now; the input is used only then.
    @discardableResult
    public func create(_ input: Definition.Input? = nil) async throws -> Bool {
        let payload = try input.map { Payload(try PayloadCoding.encode($0)) }
        return try await unwrapped { () async throws(ClientError) in
            try await connection.create(address, input: payload, ifAbsent: true)
        }.isNew
    }

    /// Puts a message into a queue; returns its number when it is durable (A31).
    /// - Parameters:
    ///   - delay: it is not taken earlier than that.
    ///   - priority: 0 to 9; a message of a higher priority is taken first.
    ///   - deduplicationKey: a second message with this key, within 24 hours, changes nothing.
    @discardableResult
    public func send<Body, Reply>(
        _ body: Body, to queue: KeyPath<Definition.Queues, QueueOf<Body, Reply>>, delay: Duration = .zero,
        priority: UInt8 = 0, deduplicationKey: String? = nil
    ) async throws -> UInt64 {
        let options = MessageOptions(
            delayMillis: delay.wholeMilliseconds, priority: priority, deduplicationKey: deduplicationKey)
        let name = DeclarationTable<Definition.Queues>.shared.name(queue)
        let payload = Payload(try PayloadCoding.encode(body))
        return try await unwrapped { () async throws(ClientError) in
            try await connection.send(address, name, payload, options: options)
        }
    }

    /// Puts a message into a queue and waits until it is completed, however long that takes (W33).
    public func request<Body, Reply>(
        _ body: Body, from queue: KeyPath<Definition.Queues, QueueOf<Body, Reply>>
    ) async throws -> Reply {
        guard let reply = try await reply(body, queue, nil) else { throw ClientError.unexpectedReply }
        return reply
    }

    /// Puts a message into a queue and waits for its completion at most that long; nil is a timeout. The
    /// message stays in the queue.
    public func request<Body, Reply>(
        _ body: Body, from queue: KeyPath<Definition.Queues, QueueOf<Body, Reply>>, within timeout: Duration
    ) async throws -> Reply? {
        try await reply(body, queue, timeout)
    }

    private func reply<Body, Reply>(
        _ body: Body, _ queue: KeyPath<Definition.Queues, QueueOf<Body, Reply>>, _ timeout: Duration?
    ) async throws -> Reply? {
        let name = DeclarationTable<Definition.Queues>.shared.name(queue)
        let payload = Payload(try PayloadCoding.encode(body))
        let answer = try await unwrapped { () async throws(ClientError) in
            try await connection.request(address, name, payload, timeout: timeout)
        }
        return try answer.map { try PayloadCoding.decode(Reply.self, from: $0.bytes) }
    }

    /// The events of that name from now on, over lost connections too (A40).
    ///
    /// It fails with `ClientError.actor` if the node refuses, and with `ClientError.slowConsumer` if more
    /// events wait than the configuration allows.
    public func events<Value>(
        _ event: KeyPath<Definition.Events, Event<Value>>
    ) -> some AsyncSequence<Value, any Error> & Sendable {
        connection.events(address, DeclarationTable<Definition.Events>.shared.name(event))
            .map { delivery in try PayloadCoding.decode(Value.self, from: delivery.payload.bytes) }
    }

    /// The actor's state and how its run stands. Neither wakes nor creates it.
    public func snapshot() async throws -> ActorSnapshot<Definition.State> {
        let document = try await unwrapped { () async throws(ClientError) in
            try await connection.describe(address)
        }
        return try PayloadCoding.decode(ActorSnapshot.self, from: document.bytes)
    }

    /// Ends the actor and deletes its data (A2).
    public func destroy() async throws {
        try await unwrapped { () async throws(ClientError) in try await connection.destroy(address) }
    }
}

/// An actor as its node describes it.
public struct ActorSnapshot<State: Decodable & Sendable>: Decodable, Sendable {
    public struct Run: Decodable, Sendable {
        public struct Failure: Decodable, Sendable {
            public var type: String
            public var message: String
        }

        /// One of the states of W80, such as `running`, `waiting` or `completed`.
        public var status: String
        /// Since when, as RFC 3339.
        public var since: String
        public var waitingFor: String?
        /// Why it is stalled.
        public var reason: String?
        public var failure: Failure?
    }

    public var state: State
    public var run: Run?
    /// Whether it is in memory.
    public var awake: Bool
}

/// An action or a query of one actor, ready to be called.
public struct BoundAction<Input: Codable & Sendable, Output: Codable & Sendable>: Sendable {
    let name: String
    let address: ActorAddress
    let connection: ApusConnection

    @discardableResult
    public func callAsFunction(_ input: Input) async throws -> Output {
        try await call(Payload(try PayloadCoding.encode(input)))
    }

    fileprivate func call(_ payload: Payload) async throws -> Output {
        let output = try await unwrapped { () async throws(ClientError) in
            try await connection.call(address, name, payload)
        }
        return try PayloadCoding.decode(Output.self, from: output.bytes)
    }
}

extension BoundAction where Input == NoInput {
    @discardableResult
    public func callAsFunction() async throws -> Output { try await call(.null) }
}

/// Lets an actor's own error through as itself.
private func unwrapped<Value>(_ body: () async throws(ClientError) -> Value) async throws -> Value {
    do { return try await body() } catch { throw error.unwrapped }
}

extension ClientError {
    fileprivate var unwrapped: any Error {
        if case .actor(let error) = self { return error }
        return self
    }
}
