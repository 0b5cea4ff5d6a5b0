import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import Logging
import MailboxCore
import PartitionStore
import TimeAndChance
import WorkflowCore

/// Messages between actors: what a run sends and calls, and what comes to an actor (W60).
extension LiveActor {
    // MARK: Sending

    /// The messages of a turn to other actors, checked against every limit.
    func checked(_ posts: [OutgoingPost]) throws -> [OutgoingPost] {
        guard posts.count <= Self.messagesPerRecordMax else {
            throw ActorError(
                "too_many", "one turn sends at most \(Self.messagesPerRecordMax) messages", group: "message",
                metadata: ["limit": String(Self.messagesPerRecordMax)])
        }
        for post in posts { try Self.checkSize(post.body, "the message") }
        guard posts.reduce(0, { $0 + $1.body.count }) <= RecordedValue.bytesMax else {
            throw ActorError.tooLarge("what one turn sends", limit: RecordedValue.bytesMax)
        }
        try shard.checkRoom(for: posts.map { ($0.target, message($0).byteCount) }, in: log)
        return posts
    }

    private static func checkSize(_ payload: [UInt8], _ what: String) throws(ActorError) {
        guard payload.count <= ActorMessage.payloadBytesMax else {
            throw .tooLarge(what, limit: ActorMessage.payloadBytesMax)
        }
    }

    /// What sends a turn's messages; belongs into the next record.
    func sending(_ posts: [OutgoingPost]) -> [TurnOperation] {
        posts.map { shard.post(message($0), from: log).operation }
    }

    private func message(_ post: OutgoingPost) -> ActorMessage {
        let delivery = MessageDelivery(
            delayMicros: UInt64(clamping: post.delay.wholeMicroseconds), priority: post.options.priority,
            deduplicationKey: post.options.deduplicationKey)
        return message(.send(queue: post.queue, body: post.body, delivery), to: post.target)
    }

    private func message(_ content: ActorMessage.Content, to target: ActorAddress) -> ActorMessage {
        // The record that creates an actor names its life.
        let life = id == .partition ? ActorID(rawValue: log.position.next.rawValue) : id
        return ActorMessage(sender: address, target: target, life: life, content: content)
    }

    // MARK: What the run sends and calls

    @concurrent func send(
        _ name: String, in scope: WorkflowCore.Node, _ post: OutgoingPost
    ) async throws {
        try Self.checkSize(post.body, "the message")
        try await operation { (resume: @escaping @Sendable (Result<Void, any Error>) -> Void) in
            guard let (node, recorded) = self.visit(.name(name), .send, in: scope) else {
                return resume(.failure(RunClosed()))
            }
            guard recorded == nil else { return resume(.success(())) }
            self.send(self.message(post), at: node, close: { resume(.failure(RunClosed())) }) { sent in
                self.record([sent.operation, self.entry(.send(sent.message), at: node)]) {
                    resume(.success(()))
                }
            }
        }
    }

    @concurrent func call(
        _ name: String, in scope: WorkflowCore.Node, _ call: OutgoingCall, within: Duration?
    ) async throws -> [UInt8]? {
        try Self.checkSize(call.input, "the input")
        let reply: [UInt8]? = try await operation { self.startCall(name, scope, call, within, $0) }
        guard let reply else { return nil }
        switch try ReplyRecord.decode(reply) {
        case .success(.output(let output)): return output.bytes
        case .success: throw ActorError.internalError
        case .failure(let error): throw error
        }
    }

    private func startCall(
        _ name: String, _ scope: WorkflowCore.Node, _ call: OutgoingCall, _ within: Duration?,
        _ resume: @escaping @Sendable (Result<[UInt8]?, any Error>) -> Void
    ) {
        guard let (node, recorded) = visit(.name(name), .call, in: scope) else {
            return resume(.failure(RunClosed()))
        }
        switch recorded {
        case .call(_, _, .answered(let reply)): return resume(.success(reply))
        case .call(_, _, .timedOut): return resume(.success(nil))
        case .call(let sent, let deadline, .waiting): return awaitAnswer(to: sent, deadline, at: node, resume)
        default: break
        }
        let content = ActorMessage.Content.call(action: call.action, input: call.input)
        let close: () -> Void = { resume(.failure(RunClosed())) }
        send(message(content, to: call.target), at: node, close: close) { [self] sent in
            let deadline = within.map { (now + $0).rawValue }
            let entry = entry(.call(sent.message, deadline: deadline, .waiting), at: node)
            record([sent.operation, entry]) {}
            awaitAnswer(to: sent.message, deadline, at: node, resume)
        }
    }

    /// Posts a message of the run, as soon as there is room for it.
    private func send(
        _ message: ActorMessage, at node: WorkflowCore.Node, close: @escaping () -> Void,
        _ then: @escaping ((message: SentMessage, operation: TurnOperation)) -> Void
    ) {
        do { try shard.checkRoom(for: [(message.target, message.byteCount)], in: log) } catch {
            return addWait(
                RunWait(
                    goal: .room(target: message.target), since: core.lastVisitedAt,
                    deadline: (now + Self.roomWait).rawValue,
                    due: { [self] in send(message, at: node, close: close, then) }, close: close))
        }
        let (destination, number, operation) = shard.post(message, from: log)
        let sent = SentMessage(
            target: message.target.description, partition: destination.rawValue, number: number)
        then((sent, operation))
    }

    /// How long a run waits before it looks again whether its message has room.
    private static let roomWait = Duration.milliseconds(250)

    private func awaitAnswer(
        to sent: SentMessage, _ deadline: UInt64?, at node: WorkflowCore.Node,
        _ resume: @escaping @Sendable (Result<[UInt8]?, any Error>) -> Void
    ) {
        let timeOut = { [self] in
            record([entry(.call(sent, deadline: deadline, .timedOut), at: node)]) { resume(.success(nil)) }
        }
        if let deadline, deadline <= now.rawValue { return timeOut() }
        addWait(
            RunWait(
                goal: .answer(node: node, target: sent.target), since: core.lastVisitedAt, deadline: deadline,
                due: timeOut, answered: { resume(.success($0)) }, close: { resume(.failure(RunClosed())) }))
    }

    /// The answer to a call has come. It becomes part of the history also where the run's code has not got
    /// to the call yet.
    /// - Parameter note: makes what belongs into the same record.
    /// - Returns: whether the run still waits for it; if not, nothing is recorded.
    func takeAnswer(
        to number: UInt64, from source: PartitionID, _ reply: [UInt8], _ note: () -> TurnOperation
    ) -> Bool {
        guard let call = core.waitingCall(partition: source.rawValue, number: number),
            case .call(let sent, let deadline, _) = call.operation
        else { return false }
        let waiting = waits.first { _, wait in
            if case .answer(call.node, _) = wait.goal { true } else { false }
        }
        if let waiting { waits[waiting.key] = nil }
        touch()
        record([entry(.call(sent, deadline: deadline, .answered(reply)), at: call.node), note()]) {
            waiting?.value.answered?(reply)
        }
        arm()
        return true
    }

    // MARK: Receiving

    /// Puts a message from another actor into a queue.
    /// - Returns: false if the queue is full.
    func receive(
        _ body: [UInt8], to queue: String, _ delivery: MessageDelivery, at place: MessagePlace
    ) throws(ActorError) -> Bool {
        guard let declaration = kind.queues[queue] else {
            throw .queueUnknown(queue, kind: address.kind, known: Array(kind.queues.keys))
        }
        guard body.count <= declaration.rules.messageBytesMax else {
            throw .tooLarge("the message", limit: declaration.rules.messageBytesMax)
        }
        try declaration.validate(body: body)
        let options = MessageOptions(
            priority: delivery.priority, deduplicationKey: delivery.deduplicationKey)
        try options.validate()
        touch()
        let identity = delivery.deduplicationKey.map {
            RequestIdentityID.message(queue: queue, key: $0, isAwaited: false)
        }
        if let identity, deduplication.check(identity) != .new {
            shard.record([shard.note(place)], in: log)
            return true
        }
        expireMessages(in: [queue])
        let outgoing = OutgoingMessage(
            queue: queue, body: body, rules: declaration.rules,
            delay: .microseconds(Int64(clamping: delivery.delayMicros)), options: options)
        guard let message = enqueue(outgoing, requester: nil) else {
            // Nobody will take anything from it any more.
            guard !run.status.hasEnded else {
                throw .queueFull(queue, capacity: declaration.rules.capacity)
            }
            return false
        }
        let memory = identity.map {
            remember($0, .reply(ReplyRecord.encode(.accepted(message.number))))
        }
        store(message, [shard.note(place)] + (memory ?? [])) {}
        return true
    }

    /// Performs an action that another actor calls, and answers.
    func receive(_ action: String, _ input: [UInt8], _ message: ActorMessage, at place: MessagePlace) {
        touch()
        do {
            var isQuery = false
            let (output, turn) = try performTurn {
                let (output, effects) = try instance.perform(action, input: input, now: now)
                try Self.checkSize(output, "the action's output")
                isQuery = effects == nil
                return (output, effects)
            }
            let operations = [
                shard.note(place), shard.answer(message, at: place, .success(.output(Payload(output)))),
            ]
            if isQuery {
                shard.record(operations, in: log)
            } else {
                record(turn, also: operations) {}
            }
        } catch {
            let told = publicError(error, of: "action \(action)")
            shard.record(
                [shard.note(place), shard.answer(message, at: place, .failure(told))], in: log)
        }
    }

    // MARK: Messages that come back

    /// A message of this actor could not be delivered.
    func takeBack(_ message: UndeliveredMessage, _ note: TurnOperation) {
        shard.counters.messagesUndelivered += 1
        let error = (try? ReplyRecord.decode(message.error)).flatMap { result in
            if case .failure(let error) = result { error } else { nil }
        }
        shard.logger.error(
            """
            a message of \(address) to the queue "\(message.queue)" of \(message.target) was not delivered: \
            \(error?.message ?? "unknown error")
            """)
        touch()
        var messages = undelivered()
        let operations = messages.add(message)
        undeliveredMessages = messages
        record(operations + [note]) {}
        arm()
    }

    /// The messages of this actor that could not be delivered.
    func undelivered() -> UndeliveredMessages {
        if let undeliveredMessages { return undeliveredMessages }
        var messages = UndeliveredMessages()
        do {
            for item in try shard.store.items(of: id, in: partition, space: .undelivered) {
                try messages.restore(id: item.id, value: item.body)
            }
        } catch { shard.logger.error("the undelivered messages of \(address) cannot be read: \(error)") }
        undeliveredMessages = messages
        return messages
    }
}
