import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import Logging
import MailboxCore
import TimeAndChance
import WorkflowCore

/// A client's request on its way through a shard.
struct ShardRequest: Sendable {
    var token: RequestToken
    var request: ActorRequest
    var partition: PartitionID
    var reply: @Sendable (Result<ActorReply, ActorError>) -> Void
}

/// Somebody who waits for the completion of a message.
struct ReplyWaiter {
    var token: RequestToken
    var message: UInt64
    /// Microseconds since 1970; nil for as long as the caller stays.
    var deadline: UInt64?
    var reply: @Sendable (Result<ActorReply, ActorError>) -> Void
}

extension LiveActor {
    func perform(_ request: ShardRequest) {
        touch()
        if let identity = request.request.identity {
            switch deduplication.check(identity.identityInActor) {
            case .new: break
            case .known(let outcome): return repeatReply(outcome, request)
            case .expired: return request.reply(.failure(.sessionExpired))
            }
        }
        switch request.request.operation {
        case .action(let name, let input):
            if asyncActions.contains(name) {
                startAction(name, input, request)
            } else {
                act(name, input, request)
            }
        case .send(let queue, let body): send(body, to: queue, waits: false, nil, request)
        case .request(let queue, let body, let timeout): send(body, to: queue, waits: true, timeout, request)
        case .destroy:
            change(request, "onDestroy") { (.destroyed, try instance.destroy(now: now)) }
        case .getOrCreate, .create, .describe, .history:
            // Answered by the shard, which knows whether the actor exists.
            request.reply(.failure(.internalError))
        }
    }

    /// Remembers a reply in the record of its effect (A13).
    func remember(
        _ identity: RequestIdentityID, acknowledged: UInt64 = 0, _ outcome: DeduplicationCore.Outcome
    ) -> [TurnOperation] {
        deduplication.record(identity, outcome, acknowledged: acknowledged, at: now.rawValue)
            .map(TurnOperation.init)
    }

    func remember(
        _ identity: RequestIdentity?, _ outcome: DeduplicationCore.Outcome
    ) -> [TurnOperation] {
        guard let identity else { return [] }
        var acknowledged: UInt64 = 0
        if case .session(_, _, let seen) = identity { acknowledged = seen }
        return remember(identity.identityInActor, acknowledged: acknowledged, outcome)
    }

    private func repeatReply(_ outcome: DeduplicationCore.Outcome, _ request: ShardRequest) {
        shard.counters.repliesRepeated += 1
        switch outcome {
        case .destroyed: request.reply(.failure(.destroyed(address)))
        case .message(let number):
            guard case .request(_, _, let timeout) = request.request.operation else {
                return request.reply(
                    .failure(.badRequest("this request's identity was used for another request")))
            }
            wait(for: number, timeout, request)
        case .reply(let bytes):
            do {
                let reply = try ReplyRecord.decode(bytes)
                shard.whenCommitted(partition) { request.reply(.success(reply)) }
            } catch {
                shard.logger.error("a recorded reply of \(address) cannot be read: \(error)")
                request.reply(.failure(.internalError))
            }
        }
    }

    /// Whether that request created this actor (A13).
    func wasCreated(by identity: RequestIdentity?) -> Bool {
        guard let identity else { return false }
        return deduplication.check(identity.identityInActor) == .known(.reply(ReplyRecord.creation))
    }

    /// Whether that request was one of an earlier actor of this key.
    func outlives(_ identity: RequestIdentity?) -> Bool {
        guard let identity else { return false }
        return deduplication.check(identity.identityInActor) == .known(.destroyed)
    }

    // MARK: Actions

    private func act(_ name: String, _ input: Payload, _ request: ShardRequest) {
        change(request, "action \(name)") {
            let (output, effects) = try instance.perform(name, input: input.bytes, now: now)
            guard output.count <= RecordedValue.bytesMax else {
                throw ActorError.tooLarge("the action's output", limit: RecordedValue.bytesMax)
            }
            return (.output(Payload(output)), effects)
        }
    }

    /// Performs the turn that a request asks for, and answers with what it returns.
    /// - Parameter body: returns no effects if it has only read.
    private func change(
        _ request: ShardRequest, _ what: @autoclosure () -> String,
        _ body: () throws -> (ActorReply, TurnEffects?)
    ) {
        do {
            var isQuery = false
            let (reply, turn) = try performTurn {
                let (reply, effects) = try body()
                isQuery = effects == nil
                return (reply, effects)
            }
            if isQuery { return shard.whenCommitted(partition) { request.reply(.success(reply)) } }
            let memory = remember(request.request.identity, .reply(ReplyRecord.encode(reply)))
            record(turn, also: memory) { request.reply(.success(reply)) }
        } catch {
            let told = publicError(error, of: what())
            shard.whenCommitted(partition) { request.reply(.failure(told)) }
        }
    }

    /// What a caller may know of an error of user code; the log has all of it (A14).
    func publicError(_ error: any Error, of what: String) -> ActorError {
        if let error = error as? ActorError { return error }
        shard.logger.error("\(what) of \(address) failed: \(error)")
        return .internalError
    }

    // MARK: Messages

    private func send(
        _ body: Payload, to queue: String, waits: Bool, _ timeout: UInt64?, _ request: ShardRequest
    ) {
        guard let declaration = kind.queues[queue] else {
            return request.reply(
                .failure(.queueUnknown(queue, kind: address.kind, known: Array(kind.queues.keys))))
        }
        do throws(ActorError) {
            guard body.bytes.count <= declaration.limits.messageBytesMax else {
                throw .tooLarge("the message", limit: declaration.limits.messageBytesMax)
            }
            try declaration.validate(body: body.bytes)
            if waits, !declaration.isCompletable {
                throw .badRequest("the queue \"\(queue)\" has no replies to wait for; send without waiting")
            }
            if waits, waiters.count >= shard.settings.waitersMax { throw .overloaded }
        } catch { return request.reply(.failure(error)) }
        if waits, run.status.hasEnded { return refuseEnded(request) }
        let requester = waits ? request.request.identity?.identityInActor.encoded : nil
        guard let message = enqueue(body.bytes, to: queue, limits: declaration.limits, requester: requester)
        else {
            return request.reply(.failure(.queueFull(queue, capacity: declaration.limits.capacity)))
        }
        let accepted = ActorReply.accepted(message.number)
        let memory = remember(
            request.request.identity, waits ? .message(message.number) : .reply(ReplyRecord.encode(accepted)))
        store(message, memory) { if !waits { request.reply(.success(accepted)) } }
        if waits { wait(for: message.number, timeout, request) }
    }

    /// Nobody will complete a message any more; told when it is durable that it is so (A12).
    private func refuseEnded(_ request: ShardRequest) {
        shard.whenCommitted(partition) { request.reply(.failure(Self.runEndedError)) }
    }

    /// Stores a message; if the run waits for it, storing and taking it is one record.
    private func store(_ message: QueuedMessage, _ memory: [TurnOperation], _ then: @escaping () -> Void) {
        let waiting = waits.sorted { $0.key < $1.key }.first { _, wait in
            if case .message(let queues, _) = wait.goal { return queues.contains(message.queue) }
            return false
        }
        guard let (ticket, wait) = waiting, mailbox.count(in: message.queue) == 1 else {
            let put = TurnOperation.put(.message, id: TurnOperation.itemID(message.number), message.encoded())
            record([put] + memory, then)
            return offerMessages()
        }
        _ = mailbox.take(from: [message.queue], upTo: 1)
        waits[ticket] = nil
        pending += memory
        wait.taken?([TakenMessage(message)])
        shard.whenCommitted(partition, then)
    }

    // MARK: Waiting for completions

    private func wait(for message: UInt64, _ timeoutMillis: UInt64?, _ request: ShardRequest) {
        guard !run.status.hasEnded else { return refuseEnded(request) }
        let deadline = timeoutMillis.map { (now + .milliseconds(Int64(clamping: $0))).rawValue }
        let waiter = ReplyWaiter(
            token: request.token, message: message, deadline: deadline, reply: request.reply)
        waiters.append(waiter)
        if timeoutMillis == 0 {
            // Accepted is accepted only when it is durable; then there is one look, and no waiting.
            shard.whenCommitted(partition) { [self] in expireWaiters(now.rawValue) }
        }
        arm()
    }

    func tellWaiters(of message: UInt64, _ reply: ActorReply) {
        for waiter in waiters where waiter.message == message { waiter.reply(.success(reply)) }
        waiters.removeAll { $0.message == message }
        touch()
    }

    func failWaiters(_ error: ActorError) {
        for waiter in waiters { waiter.reply(.failure(error)) }
        waiters.removeAll()
    }

    func expireWaiters(_ time: UInt64) {
        let expired = waiters.filter { ($0.deadline ?? .max) <= time }
        guard !expired.isEmpty else { return }
        waiters.removeAll { ($0.deadline ?? .max) <= time }
        shard.whenCommitted(partition) { for waiter in expired { waiter.reply(.success(.timedOut)) } }
    }

    func abandon(_ token: RequestToken) {
        forgetParked(token)
        waiters.removeAll { $0.token == token }
    }
}

extension RequestIdentity {
    var identityInActor: RequestIdentityID {
        switch self {
        case .session(let id, let sequence, _): .session(id, sequence: sequence)
        case .key(let key): .key(key)
        }
    }
}
