import ClientProtocol
import ClientRouting
import Identifiers
import NIOCore
import Synchronization

extension ApusConnection {
    /// Performs an action or a query; creates the actor if it is absent.
    /// - Parameters:
    ///   - input: one JSON value.
    ///   - timeout: the configuration's if nil.
    public func call(
        _ actor: ActorAddress, _ action: String, _ input: Payload = .null, timeout: Duration? = nil
    ) async throws(ClientError) -> Payload {
        guard
            case .output(let output) = try await perform(actor, .call(action: action, input: input), timeout)
        else { throw .unexpectedReply }
        return output
    }

    /// Enqueues a message; returns its number in the actor when it is durable.
    @discardableResult
    public func send(
        _ actor: ActorAddress, _ queue: String, _ body: Payload, options: MessageOptions = MessageOptions(),
        timeout: Duration? = nil
    ) async throws(ClientError) -> UInt64 {
        let operation = RequestFrame.Operation.send(queue: queue, body: body, options: options)
        guard case .accepted(let id) = try await perform(actor, operation, timeout) else {
            throw .unexpectedReply
        }
        return id
    }

    /// Enqueues a message and waits for its completion, over lost connections too.
    /// - Parameter timeout: after that long the answer is nil and the message stays; nil: no limit.
    /// - Returns: the response; nil if the time was over first.
    public func request(
        _ actor: ActorAddress, _ queue: String, _ body: Payload, options: MessageOptions = MessageOptions(),
        timeout: Duration? = nil
    ) async throws(ClientError) -> Payload? {
        let operation = RequestFrame.Operation.request(
            queue: queue, body: body, timeoutMillis: timeout?.wholeMilliseconds, options: options)
        // The node keeps the time; the client adds what a reconnection may take.
        let reply = try await perform(
            actor, operation, timeout.map { $0 + configuration.timeout }, isUnlimited: true)
        switch reply {
        case .completed(let response): return response
        case .timedOut: return nil
        default: throw .unexpectedReply
        }
    }

    /// Makes the actor.
    /// - Parameter ifAbsent: an actor that exists already is fine; otherwise it is `actor.duplicate_key`.
    /// - Returns: whether it was made now, and its description as a JSON object.
    @discardableResult
    public func create(
        _ actor: ActorAddress, input: Payload? = nil, ifAbsent: Bool = false, timeout: Duration? = nil
    ) async throws(ClientError) -> (isNew: Bool, description: Payload) {
        let reply = try await perform(actor, .create(input: input, ifAbsent: ifAbsent), timeout)
        guard case .created(let isNew, let description) = reply else { throw .unexpectedReply }
        return (isNew, description)
    }

    /// What is known of the actor and its run, as a JSON object. Neither wakes nor creates it.
    public func describe(_ actor: ActorAddress, timeout: Duration? = nil) async throws(ClientError) -> Payload
    {
        guard case .document(let document) = try await perform(actor, .get, timeout) else {
            throw .unexpectedReply
        }
        return document
    }

    /// The history of the actor's run, as a JSON object. Neither wakes nor creates it.
    public func history(_ actor: ActorAddress, timeout: Duration? = nil) async throws(ClientError) -> Payload
    {
        guard case .document(let document) = try await perform(actor, .history, timeout) else {
            throw .unexpectedReply
        }
        return document
    }

    /// Ends the actor and deletes its data.
    public func destroy(_ actor: ActorAddress, timeout: Duration? = nil) async throws(ClientError) {
        guard case .destroyed = try await perform(actor, .destroy, timeout) else { throw .unexpectedReply }
    }

    private func perform(
        _ actor: ActorAddress, _ operation: RequestFrame.Operation, _ timeout: Duration?,
        isUnlimited: Bool = false
    ) async throws(ClientError) -> ActorReply {
        guard !Task.isCancelled else { throw .cancelled }
        let cancellation = RequestCancellation(connection: self)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let limit = timeout ?? (isUnlimited ? nil : configuration.timeout)
                let id = submit(actor, operation, timeout: limit) { continuation.resume(returning: $0) }
                if let id { cancellation.begun(id) }
            }
        } onCancel: {
            cancellation.cancel()
        }
        return try result.get()
    }

    /// Begins a request without a task: for callers that keep many under way.
    /// - Parameters:
    ///   - timeout: nil: none.
    ///   - reply: called exactly once, on the connection's event loop or, if the request is refused at once,
    ///     on the
    ///     caller's thread; it must not block.
    /// - Returns: the request's id for `cancel`; nil if it was refused at once.
    @discardableResult
    public func submit(
        _ actor: ActorAddress, _ operation: RequestFrame.Operation, timeout: Duration? = nil,
        reply: @escaping @Sendable (Result<ActorReply, ClientError>) -> Void
    ) -> UInt64? {
        if let refusal = operation.refusal {
            reply(.failure(.actor(refusal)))
            return nil
        }
        connect()
        let result = decide { core, now, effects -> Result<UInt64, ClientError> in
            guard core.status != .closed else { return .failure(.closed) }
            guard core.ledger.pending.count < configuration.pendingMax else {
                return .failure(.tooManyRequests(limit: configuration.pendingMax))
            }
            let deadline = timeout.map { now + $0 }
            return .success(
                core.begin(actor, operation, deadline: deadline, now: now, &effects, reply: reply))
        }
        switch result {
        case .success(let id): return id
        case .failure(let error):
            reply(.failure(error))
            return nil
        }
    }

    /// Ends a request of `submit`: its reply is `cancelled` unless it came before.
    public func cancel(_ id: UInt64) {
        decide { core, now, effects in core.giveUp(id, .cancelled, now: now, &effects) }
    }

    /// The events of that name, from the moment the node has the subscription, over lost connections too.
    /// Events that happen while the connection is down are not repeated.
    ///
    /// The stream fails if the node refuses the subscription or the reader is too slow, and ends when the
    /// client closes.
    public func events(
        _ actor: ActorAddress, _ event: String
    ) -> AsyncThrowingStream<EventDelivery, any Error> {
        connect()
        let limit = configuration.bufferedEventsMax
        return AsyncThrowingStream(bufferingPolicy: .bufferingOldest(limit)) { continuation in
            let subscription = RequestLedger.Subscription(
                actor: actor, event: event,
                deliver: { delivery in
                    if case .dropped = continuation.yield(delivery) {
                        continuation.finish(throwing: ClientError.slowConsumer(limit: limit))
                    }
                },
                fail: { error in
                    if error == .closed {
                        continuation.finish()
                    } else {
                        continuation.finish(throwing: error)
                    }
                })
            let id = decide { core, now, effects -> UInt64? in
                guard core.status != .closed else { return nil }
                return core.subscribe(subscription, now: now, &effects)
            }
            guard let id else { return continuation.finish() }
            continuation.onTermination = { [weak self] _ in self?.unsubscribe(id) }
        }
    }

    private func unsubscribe(_ id: UInt64) {
        decide { core, now, effects in core.unsubscribe(id, now: now, &effects) }
    }
}

extension RequestFrame.Operation {
    /// Why a node would close the connection over this request. It is refused here, or it would take the
    /// others down with it, again after every reconnection.
    var refusal: ActorError? {
        let payload: Payload?
        switch self {
        case .call(_, let input): payload = input
        case .send(_, let body, _), .request(_, let body, _, _): payload = body
        case .create(let input, _): payload = input
        case .get, .history, .destroy: payload = nil
        }
        guard let payload else { return nil }
        // The rest of the frame is below 16 KiB: a kind, a key and a name within their limits.
        let limit = ClientWire.messageBytesMax - 16 << 10
        guard payload.bytes.count <= limit else { return .tooLarge("the payload", limit: limit) }
        do throws(JSONError) {
            _ = try JSONScanner.validate(payload.bytes.span)
            return nil
        } catch { return .validation("the payload is \(error)", field: "input") }
    }
}
