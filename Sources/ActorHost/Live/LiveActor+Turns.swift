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
    /// The actor ends with it; `record` says what that takes.
    var destroys = false

    var isEmpty: Bool { operations.isEmpty && broadcasts.isEmpty && !destroys }
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
        for message in effects.messages {
            arriving[message.queue, default: 0] += 1
            guard
                mailbox.count(in: message.queue) + arriving[message.queue, default: 0]
                    <= message.limits.capacity
            else { throw ActorError.queueFull(message.queue, capacity: message.limits.capacity) }
            guard message.body.count <= message.limits.messageBytesMax else {
                throw ActorError.tooLarge("the message", limit: message.limits.messageBytesMax)
            }
        }
        guard effects.messages.reduce(0, { $0 + $1.body.count }) <= RecordedValue.bytesMax else {
            throw ActorError.tooLarge("what one turn sends", limit: RecordedValue.bytesMax)
        }
        if let state = effects.state { turn.operations.append(.set(.state, state)) }
        for message in effects.messages {
            if let queued = enqueue(message.body, to: message.queue, limits: message.limits, requester: nil) {
                turn.operations.append(
                    .put(.message, id: TurnOperation.itemID(queued.number), queued.encoded()))
            }
        }
        turn.broadcasts = effects.broadcasts
        turn.hasMessages = !effects.messages.isEmpty
        turn.destroys = effects.destroys
        return turn
    }

    /// Records a turn, and lets its events out with the commit (W3).
    /// - Parameter extra: what else belongs into the same record.
    func record(_ turn: RecordableTurn, also extra: [TurnOperation] = [], _ then: @escaping () -> Void) {
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

    /// Puts a message into the mailbox. Its number comes from the log's position, so that numbers never
    /// repeat in any life of the actor.
    func enqueue(
        _ body: [UInt8], to queue: String, limits: QueueLimits, requester: [UInt8]?
    ) -> QueuedMessage? {
        let position = shard.partitions[partition]?.position.rawValue ?? 0
        mailbox.reserve(through: (position + 1) << 10)
        return mailbox.enqueue(
            body, to: queue, capacity: limits.capacity, at: now.rawValue, requester: requester)
    }

    /// The record of the actor's end is on its way: whoever waits is told, and its key is free when the
    /// tables know.
    private func beDestroyed() {
        phase = .departing
        shard.parkedRuns.remove(timerKey)
        endActions(.destroyed(address))
        shard.whenCommitted(partition) { [self] in failWaiters(.destroyed(address)) }
        leave()
    }
}
