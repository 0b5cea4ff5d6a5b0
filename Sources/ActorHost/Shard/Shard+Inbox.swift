import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import Logging
import MailboxCore
import PartitionStore
import TimeAndChance
import WorkflowCore

/// Messages from other partitions: each is performed in its order, once, because how far a stream was
/// performed is in the record of the effect (W60, `cluster.md` 2.11).
extension Shard {
    enum Reception {
        /// In a record, with its place in the stream.
        case performed
        /// Its queue is full; it stays with the sender.
        case held
        /// Its target is on the way out of memory; to be tried again when it is gone.
        case departing(LiveActor)
        /// The node cannot do it now.
        case failed
    }

    /// Performs a batch, and answers when that is committed.
    func receive(_ batch: MessageBatch, _ done: @escaping @Sendable (BatchResult) -> Void) {
        guard !isStopping, let log = partitions[batch.destination], log.isServing, !log.mail.isDamaged,
            store.backlogBytes <= settings.backlogBytesMax
        else { return done(.unavailable) }
        noteLoss(batch, log.mail)
        var isHeld = false
        if case .perform(let start) = log.mail.inbox.verdict(on: batch) {
            for index in start..<batch.messages.count where !isHeld {
                guard batch.flow == .answer || hasRoomForAnswer(to: batch.source, in: log) else {
                    isHeld = true
                    continue
                }
                let place = MessagePlace(
                    log: log, source: batch.source, flow: batch.flow, number: batch.first + UInt64(index))
                switch perform(batch.messages[index], place) {
                case .performed: counters.messagesReceived += 1
                case .held: isHeld = true
                case .failed: return done(.unavailable)
                case .departing(let actor):
                    return actor.whenGone { [self] in receive(batch, done) }
                }
            }
        }
        let performed = log.mail.inbox.performed(from: batch.source, batch.flow)
        let result = BatchResult.received(through: performed, isHeld: isHeld)
        whenCommitted(log, .told { isCommitted in done(isCommitted ? result : .unavailable) })
    }

    private func hasRoomForAnswer(to source: PartitionID, in log: PartitionLog) -> Bool {
        log.mail.outbox.hasRoom(for: 1, 0, to: source, flow: .answer)
    }

    private func noteLoss(_ batch: MessageBatch, _ mail: PartitionMail) {
        let lost = mail.inbox.lost(before: batch)
        guard lost > 0 else { return }
        logger.error(
            """
            partition \(batch.destination.rawValue) has acknowledged \(lost) messages of partition \
            \(batch.source.rawValue) that it does not know: its log has lost records
            """)
    }

    private func perform(_ message: ActorMessage, _ place: MessagePlace) -> Reception {
        do {
            return message.isAnswer ? try takeAnswer(message, place) : try request(message, place)
        } catch let error as ActorError {
            guard !message.isAnswer else { return keepAnswer(message, place) }
            refuse(message, place, error)
            return .performed
        } catch let error as StoreError {
            logger.error("a message to \(message.target) has to wait: \(error)")
            return .failed
        } catch {
            logger.error("a message to \(message.target) cannot be performed: \(error)")
            refuse(message, place, .internalError)
            return .performed
        }
    }

    /// Notes that a message was performed; belongs into the record of its effect.
    func note(_ place: MessagePlace) -> TurnOperation {
        place.log.mail.held[place.source] = nil
        return place.log.mail.inbox.note(place.number, from: place.source, place.flow)
    }

    // MARK: Requests

    private func request(_ message: ActorMessage, _ place: MessagePlace) throws -> Reception {
        let address = message.target
        let kind = try kind(address)
        switch message.content {
        case .send(let queue, _, _):
            guard kind.queues[queue] != nil else {
                throw ActorError.queueUnknown(queue, kind: address.kind, known: Array(kind.queues.keys))
            }
        case .call(let action, _):
            guard kind.actions.contains(action) else {
                throw ActorError.actionNotFound(action, kind: address.kind, known: kind.actions)
            }
            if kind.asyncActions.contains(action) {
                begin(message, place)
                return .performed
            }
        case .answer, .returned: break
        }
        let actor: LiveActor
        switch try find(address, in: place.log.id) {
        case .actor(let found): actor = found
        case .none(let tombstone):
            actor = try create(address, in: place.log.id, input: nil, replacing: tombstone)
        }
        guard actor.phase == .awake else { return .departing(actor) }
        switch message.content {
        case .send(let queue, let body, let delivery):
            return try actor.receive(body, to: queue, delivery, at: place) ? .performed : hold(message, place)
        case .call(let action, let input):
            actor.receive(action, input, message, at: place)
        case .answer, .returned: break
        }
        return .performed
    }

    /// A queue that is full holds its stream up, for a while.
    private func hold(_ message: ActorMessage, _ place: MessagePlace) throws(ActorError) -> Reception {
        let now = reading.monotonic
        guard let held = place.log.mail.held[place.source], held.number == place.number else {
            place.log.mail.held[place.source] = (place.number, now)
            return .held
        }
        guard now - held.since >= UInt64(clamping: settings.fullQueuePatience.wholeMicroseconds) else {
            return .held
        }
        guard case .send(let queue, _, _) = message.content else { return .failed }
        throw ActorError(
            "full", "the queue \"\(queue)\" was full for \(settings.fullQueuePatience)", group: "queue")
    }

    /// A message that can never be performed: who sent it is told, and what follows goes on.
    private func refuse(_ message: ActorMessage, _ place: MessagePlace, _ error: ActorError) {
        record([note(place), answer(message, at: place, .failure(error))], in: place.log)
    }

    /// Sends back what became of a message.
    /// - Returns: what belongs into the log's next record.
    func answer(
        _ message: ActorMessage, at place: MessagePlace, _ result: Result<ActorReply, ActorError>
    ) -> TurnOperation {
        let reply = ReplyRecord.encode(result)
        let content: ActorMessage.Content =
            if case .send(let queue, let body, _) = message.content {
                .returned(queue: queue, body: body, error: reply)
            } else {
                .answer(to: place.number, reply: reply)
            }
        let answer = ActorMessage(
            sender: message.target, target: message.sender, life: message.life, content: content)
        return post(answer, from: place.log).operation
    }

    // MARK: Answers

    /// Records an answer to an actor that the code of this node cannot wake: it must neither be lost nor hold
    /// up what follows.
    private func keepAnswer(_ message: ActorMessage, _ place: MessagePlace) -> Reception {
        let log = place.log
        do {
            guard let stored = try store.actor(at: message.target, in: log.id), stored.id == message.life
            else {
                return drop(message, place)
            }
            var operations: [TurnOperation] = []
            switch message.content {
            case .answer(let number, let reply):
                var core = WorkflowCore(startedAt: stored.createdAt)
                for item in try store.items(of: stored.id, in: log.id, space: .history) {
                    core.restore(try HistoryEntry.decode(item.body))
                }
                guard let call = core.waitingCall(partition: place.source.rawValue, number: number),
                    case .call(let sent, let deadline, _) = call.operation
                else { return drop(message, place) }
                let entry = core.record(
                    .call(sent, deadline: deadline, .answered(reply)), at: call.node,
                    time: log.now(reading).rawValue)
                operations = [
                    .put(.history, id: TurnOperation.itemID(entry.sequence), entry.encoded()),
                    .wake(at: LiveActor.wakeAtOnce),
                ]
            case .returned(let queue, let body, let error):
                var messages = UndeliveredMessages()
                for item in try store.items(of: stored.id, in: log.id, space: .undelivered) {
                    try messages.restore(id: item.id, value: item.body)
                }
                operations = messages.add(
                    UndeliveredMessage(
                        time: log.now(reading).rawValue, target: message.sender, queue: queue, body: body,
                        error: error))
            case .send, .call: break
            }
            var body = TurnBody(actor: stored.id)
            for operation in operations + [note(place)] { body.append(operation) }
            _ = append(body, to: log)
            return .performed
        } catch {
            logger.error("an answer to \(message.target) has to wait: \(error)")
            return .failed
        }
    }

    private func takeAnswer(_ message: ActorMessage, _ place: MessagePlace) throws -> Reception {
        if case .actor(let actor) = try find(message.target, in: place.log.id), actor.id == message.life {
            guard actor.phase == .awake else { return .departing(actor) }
            switch message.content {
            case .answer(let number, let reply):
                if actor.takeAnswer(to: number, from: place.source, reply, { note(place) }) {
                    return .performed
                }
            case .returned(let queue, let body, let error):
                actor.takeBack(
                    UndeliveredMessage(
                        time: actor.now.rawValue, target: message.sender, queue: queue, body: body,
                        error: error), note(place))
                return .performed
            case .send, .call: break
            }
        }
        return drop(message, place)
    }

    /// Nobody waits for an answer any more: the caller is gone, or its time was over.
    private func drop(_ message: ActorMessage, _ place: MessagePlace) -> Reception {
        counters.answersDropped += 1
        if case .returned(let queue, _, _) = message.content {
            counters.messagesUndelivered += 1
            logger.error(
                """
                a message of \(message.target) to the queue "\(queue)" of \(message.sender) was not \
                delivered, and its sender is gone
                """)
        }
        record([note(place)], in: place.log)
        return .performed
    }
}
