import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import MailboxCore
import TimeAndChance
import WorkflowCore

/// What a turn did, ready to be recorded.
struct RecordableTurn {
    var operations: [TurnOperation] = []
    var broadcasts: [(event: String, payload: [UInt8])] = []
    var hasMessages = false
    /// Messages to other actors; they get their numbers when the turn is recorded.
    var posts: [OutgoingPost] = []
    /// The actor ends with it; `record` says what that takes.
    var destroys = false

    var isEmpty: Bool { operations.isEmpty && broadcasts.isEmpty && posts.isEmpty && !destroys }
}

extension LiveActor {
    /// Runs a turn of the instance. If anything of it cannot be done, nothing of it is (W20).
    func performTurn<Value>(
        _ body: () throws -> (Value, TurnEffects?)
    ) throws -> (value: Value, turn: RecordableTurn) {
        let before = instance.encodedState
        do {
            let (value, effects) = try body()
            guard let effects else { return (value, RecordableTurn()) }
            return (value, try recordable(effects))
        } catch {
            if instance.encodedState != before { try? instance.restore(state: before) }
            throw error
        }
    }

    private func recordable(_ effects: TurnEffects) throws -> RecordableTurn {
        var turn = RecordableTurn()
        var arriving: [String: Int] = [:]
        let messages = effects.messages.filter { !isKnown($0) }
        for message in messages {
            arriving[message.queue, default: 0] += 1
            guard
                mailbox.count(in: message.queue) + arriving[message.queue, default: 0]
                    <= message.rules.capacity
            else { throw ActorError.queueFull(message.queue, capacity: message.rules.capacity) }
            guard message.body.count <= message.rules.messageBytesMax else {
                throw ActorError.tooLarge("the message", limit: message.rules.messageBytesMax)
            }
        }
        guard freeNumbers >= messages.count else {
            throw ActorError(
                "too_many", "one turn sends at most \(Self.messagesPerRecordMax) messages", group: "message",
                metadata: ["limit": String(Self.messagesPerRecordMax)])
        }
        guard messages.reduce(0, { $0 + $1.body.count }) <= RecordedValue.bytesMax else {
            throw ActorError.tooLarge("what one turn sends", limit: RecordedValue.bytesMax)
        }
        turn.posts = try checked(effects.posts)
        if let state = effects.state { turn.operations.append(.set(.state, state)) }
        for message in messages { turn.operations += put(message) }
        turn.operations += retain(effects.broadcasts)
        turn.broadcasts = effects.broadcasts
        turn.hasMessages = !messages.isEmpty
        turn.destroys = effects.destroys
        return turn
    }

    /// Records a turn, and lets its events out with the commit (W3).
    /// - Parameter extra: what else belongs into the same record.
    func record(_ turn: RecordableTurn, also extra: [TurnOperation] = [], _ then: @escaping () -> Void) {
        let extra = extra + sending(turn.posts)
        record(turn.destroys ? ending(extra) : turn.operations + extra) { [self] in
            if !turn.broadcasts.isEmpty { shard.publish(turn.broadcasts, of: address) }
            then()
        }
        if turn.destroys {
            beDestroyed()
        } else if turn.hasMessages {
            offerMessages()
        }
    }

    /// As many numbers of messages lie between two positions of the log.
    static let messagesPerRecordMax = 1 << messageNumberBits
    private static let messageNumberBits = 10

    /// The last number of the messages before the record that comes next. Numbers come from the log's
    /// position, so that they never repeat in any life of the actor.
    private var reservedNumber: UInt64 {
        (log.position.rawValue + 1) << Self.messageNumberBits
    }

    /// How many messages the record that comes next can still take.
    private var freeNumbers: Int {
        let end = reservedNumber + UInt64(Self.messagesPerRecordMax)
        let last = max(mailbox.lastNumber, reservedNumber)
        return end > last ? Int(end - last) : 0
    }

    /// Keeps events for later subscribers, as their declarations say (A40).
    private func retain(_ events: [(event: String, payload: [UInt8])]) -> [TurnOperation] {
        guard !retention.isEmpty else { return [] }
        return events.flatMap { event -> [TurnOperation] in
            guard let count = retention[event.event] else { return [] }
            let kept = retainedEvents.add(event.event, event.payload, count: count)
            return [.put(.event, id: kept.id, kept.value)] + kept.deleted.map { .delete(.event, id: $0) }
        }
    }

    /// Whether a message with the same deduplication key came before.
    private func isKnown(_ message: OutgoingMessage) -> Bool {
        guard let key = message.options.deduplicationKey else { return false }
        return deduplication.check(.message(queue: message.queue, key: key, isAwaited: false)) != .new
    }

    private func put(_ message: OutgoingMessage) -> [TurnOperation] {
        // Of two with one key in the same turn, the first counts.
        guard !isKnown(message), let queued = enqueue(message, requester: nil) else { return [] }
        var operations = [
            TurnOperation.put(.message, id: TurnOperation.itemID(queued.number), queued.encoded())
        ]
        if let key = message.options.deduplicationKey {
            operations += remember(
                .message(queue: message.queue, key: key, isAwaited: false),
                .reply(ReplyRecord.encode(.accepted(queued.number))))
        }
        return operations
    }

    /// Puts a message into the mailbox; nil if the queue is full.
    func enqueue(_ message: OutgoingMessage, requester: [UInt8]?) -> QueuedMessage? {
        mailbox.reserve(through: reservedNumber)
        return mailbox.enqueue(
            message.body, to: message.queue, capacity: message.rules.capacity, at: now.rawValue,
            requester: requester, visibleAt: message.delay > .zero ? (now + message.delay).rawValue : 0,
            priority: message.options.priority)
    }

    /// The record of the actor's end is on its way: whoever waits is told, and its key is free when the
    /// tables know.
    private func beDestroyed() {
        phase = .departing
        shard.parkedRuns.remove(timerKey)
        endActions(.destroyed(address))
        whenCommitted { [self] in failWaiters(.destroyed(address)) }
        leave()
    }
}
