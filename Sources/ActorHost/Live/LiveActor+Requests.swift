import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import Logging
import MailboxCore
import TimeAndChance
import WorkflowCore

/// Somebody who waits for the completion of a message.
struct ReplyWaiter {
    var request: ShardRequest
    var message: UInt64
    /// Microseconds since 1970; nil for as long as the caller stays.
    var deadline: UInt64?
}

extension LiveActor {
    func perform(_ request: ShardRequest) {
        touch()
        if let identity = request.request.identityInActor {
            switch deduplication.check(identity) {
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
        case .send(let queue, let body, let options):
            send(body, to: queue, options, waits: false, nil, request)
        case .request(let queue, let body, let timeout, let options):
            send(body, to: queue, options, waits: true, timeout, request)
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
        return remember(identity.identityInActor, acknowledged: identity.acknowledged, outcome)
    }

    private func repeatReply(_ outcome: DeduplicationCore.Outcome, _ request: ShardRequest) {
        shard.counters.repliesRepeated += 1
        switch outcome {
        case .destroyed: request.reply(.failure(.destroyed(address)))
        case .message(let number):
            guard case .request(_, _, let timeout, _) = request.request.operation else {
                return request.reply(
                    .failure(.badRequest("this request's identity was used for another request")))
            }
            wait(for: number, timeout, request)
        case .reply(let bytes):
            do {
                let reply = try ReplyRecord.decode(bytes)
                whenCommitted { request.reply(reply) }
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
            if isQuery { return shard.answerRead(request, with: .success(reply)) }
            let memory = remember(request.request.identity, .reply(ReplyRecord.encode(reply)))
            record(turn, also: memory) { request.reply(.success(reply)) }
        } catch {
            refuse(request, publicError(error, of: what()))
        }
    }

    /// Answers with an error of a turn that changed nothing. What the actor's own code has refused stays
    /// refused: a copy of the request that comes later must not do what its sender knows as not done (A13).
    /// Everything else says how things stand, like a query, and may be asked again.
    private func refuse(_ request: ShardRequest, _ error: ActorError) {
        let memory = ReplyRecord.encode(.failure(error))
        guard error.isOfUserCode, let identity = request.request.identity, !isQuery(request),
            memory.count <= RecordedValue.bytesMax
        else { return shard.answerRead(request, with: .failure(error)) }
        record(remember(identity, .reply(memory))) { request.reply(.failure(error)) }
    }

    private func isQuery(_ request: ShardRequest) -> Bool {
        guard case .action(let name, _) = request.request.operation else { return false }
        return kind.queries.contains(name)
    }

    /// What a caller may know of an error of user code; the log has all of it (A14).
    func publicError(_ error: any Error, of what: String) -> ActorError {
        if let error = error as? ActorError { return error }
        shard.logger.error("\(what) of \(address) failed: \(error)")
        return .internalError
    }

    // MARK: Messages

    private func send(
        _ body: Payload, to queue: String, _ options: MessageOptions, waits: Bool, _ timeout: UInt64?,
        _ request: ShardRequest
    ) {
        guard let declaration = kind.queues[queue] else {
            return request.reply(
                .failure(.queueUnknown(queue, kind: address.kind, known: Array(kind.queues.keys))))
        }
        do throws(ActorError) {
            guard body.bytes.count <= declaration.rules.messageBytesMax else {
                throw .tooLarge("the message", limit: declaration.rules.messageBytesMax)
            }
            try declaration.validate(body: body.bytes)
            try options.validate()
            if waits, !declaration.isCompletable {
                throw .badRequest("the queue \"\(queue)\" has no replies to wait for; send without waiting")
            }
            if waits, waiters.count >= shard.settings.waitersMax { throw .overloaded }
        } catch { return request.reply(.failure(error)) }
        if waits, run.status.hasEnded { return refuseEnded(request) }
        expireMessages(in: [queue])
        let outgoing = OutgoingMessage(
            queue: queue, body: body.bytes, rules: declaration.rules,
            delay: .milliseconds(Int64(clamping: options.delayMillis)), options: options)
        let identity = request.request.identityInActor
        guard let message = enqueue(outgoing, requester: waits ? identity?.encoded : nil) else {
            return refuseFull(.queueFull(queue, capacity: declaration.rules.capacity), request)
        }
        let accepted = ActorReply.accepted(message.number)
        let memory =
            identity.map { identity in
                remember(
                    identity, acknowledged: request.request.identity?.acknowledged ?? 0,
                    waits ? .message(message.number) : .reply(ReplyRecord.encode(accepted)))
            } ?? []
        store(message, memory) { if !waits { request.reply(.success(accepted)) } }
        if waits { wait(for: message.number, timeout, request) }
    }

    /// A session repeats a request under its sequence only until it has an answer, so what it was told stays
    /// true for copies that come later (A13). Whoever repeats a key asks whether there is room by now.
    private func refuseFull(_ error: ActorError, _ request: ShardRequest) {
        guard let identity = request.request.identity, case .session = request.request.identityInActor else {
            return request.reply(.failure(error))
        }
        record(remember(identity, .reply(ReplyRecord.encode(.failure(error))))) {
            request.reply(.failure(error))
        }
    }

    /// Nobody will complete a message any more; told when it is durable that it is so (A12).
    private func refuseEnded(_ request: ShardRequest) {
        whenCommitted { request.reply(.failure(Self.runEndedError)) }
    }

    /// Stores a message; if the run waits for it, storing and taking it is one record.
    func store(_ message: QueuedMessage, _ memory: [TurnOperation], _ then: @escaping () -> Void) {
        let waiting = waits.sorted { $0.key < $1.key }.first { _, wait in
            if case .message(let queues, _) = wait.goal { return queues.contains(message.queue) }
            return false
        }
        guard let (ticket, wait) = waiting, mailbox.count(in: message.queue) == 1, message.visibleAt == 0
        else {
            let put = TurnOperation.put(.message, id: TurnOperation.itemID(message.number), message.encoded())
            record([put] + memory, then)
            offerMessages()
            return arm()
        }
        _ = mailbox.take(from: [message.queue], upTo: 1, at: now.rawValue)
        waits[ticket] = nil
        pending += memory
        wait.taken?([TakenMessage(message)])
        whenCommitted(then)
    }

    /// Drops what has waited longer than its queue's declaration allows, and tells waiting senders.
    func expireMessages(in queues: [String]) {
        for queue in queues {
            guard let retention = kind.queues[queue]?.rules.retention else { continue }
            let time = now.rawValue
            let span = UInt64(clamping: retention.wholeMicroseconds)
            let expired = time > span ? mailbox.expire(queue, before: time - span) : []
            guard !expired.isEmpty else { continue }
            let error = ActorError(
                "message_expired", "the message has waited in \"\(queue)\" longer than \(retention)",
                group: "queue")
            var operations = expired.map {
                TurnOperation.delete(.message, id: TurnOperation.itemID($0.number))
            }
            for message in expired { operations += answer(message.requester, .failure(error)) }
            record(operations) { [self] in
                for message in expired { tellWaiters(of: message.number, .failure(error)) }
            }
        }
    }

    /// Remembers the answer to a message for its sender.
    func answer(_ requester: [UInt8]?, _ result: Result<ActorReply, ActorError>) -> [TurnOperation] {
        guard let requester, let identity = try? RequestIdentityID.decode(requester) else { return [] }
        return remember(identity, .reply(ReplyRecord.encode(result)))
    }

    // MARK: Waiting for completions

    private func wait(for message: UInt64, _ timeoutMillis: UInt64?, _ request: ShardRequest) {
        guard !run.status.hasEnded else { return refuseEnded(request) }
        let deadline = timeoutMillis.map { (now + .milliseconds(Int64(clamping: $0))).rawValue }
        waiters.append(ReplyWaiter(request: request, message: message, deadline: deadline))
        if timeoutMillis == 0 {
            // Accepted is accepted only when it is durable; then there is one look, and no waiting.
            whenCommitted { [self] in expireWaiters(now.rawValue) }
        }
        arm()
    }

    func tellWaiters(of message: UInt64, _ result: Result<ActorReply, ActorError>) {
        for waiter in waiters where waiter.message == message { waiter.request.reply(result) }
        waiters.removeAll { $0.message == message }
        touch()
    }

    func failWaiters(_ error: ActorError) {
        for waiter in waiters { waiter.request.reply(.failure(error)) }
        waiters.removeAll()
    }

    func expireWaiters(_ time: UInt64) {
        let expired = waiters.filter { ($0.deadline ?? .max) <= time }
        guard !expired.isEmpty else { return }
        waiters.removeAll { ($0.deadline ?? .max) <= time }
        whenCommitted { for waiter in expired { waiter.request.reply(.success(.timedOut)) } }
    }

    func abandon(_ token: RequestToken) {
        forgetParked(token)
        for waiter in waiters where waiter.request.token == token { waiter.request.abandon() }
        waiters.removeAll { $0.request.token == token }
    }
}

extension ActorError {
    /// Whether the actor's own code has thrown it.
    fileprivate var isOfUserCode: Bool {
        group == "user" || group == ActorError.internalError.group && code == ActorError.internalError.code
    }
}

extension ActorRequest {
    /// What the actor recognises the request by. A message's deduplication key stands above whoever sends it.
    package var identityInActor: RequestIdentityID? {
        switch operation {
        case .send(let queue, _, let options):
            if let key = options.deduplicationKey {
                return .message(queue: queue, key: key, isAwaited: false)
            }
        case .request(let queue, _, _, let options):
            if let key = options.deduplicationKey {
                return .message(queue: queue, key: key, isAwaited: true)
            }
        default: break
        }
        return identity?.identityInActor
    }
}

extension RequestIdentity {
    /// The session has the replies of all requests up to this one.
    var acknowledged: UInt64 {
        if case .session(_, _, let acknowledged) = self { acknowledged } else { 0 }
    }

    package var identityInActor: RequestIdentityID {
        switch self {
        case .session(let id, let sequence, _): .session(id, sequence: sequence)
        case .key(let key): .key(key)
        }
    }
}
