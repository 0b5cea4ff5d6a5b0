import Apus
import ByteCoding
import ClientProtocol
import Logging
import MailboxCore
import TimeAndChance
import WorkflowCore

extension LiveActor {
    @concurrent func failScope(_ scope: WorkflowCore.Node, _ error: any Error) async throws {
        try await operation { self.startFailing(scope, error, $0) }
    }

    private func startFailing(
        _ scope: WorkflowCore.Node, _ error: any Error, _ resume: @escaping (Result<Void, any Error>) -> Void
    ) {
        guard leave(scope, resume) else { return }
        let (operations, tell) = letGo(of: scope, error, mayRedeliver: true)
        guard !operations.isEmpty else { return resume(.success(())) }
        record(operations) {
            tell()
            resume(.success(()))
        }
    }

    /// What becomes of messages that a scope has taken and not completed (W34). On a replay it has been done.
    private func letGo(
        of scope: WorkflowCore.Node, _ error: any Error, mayRedeliver: Bool
    ) -> (operations: [TurnOperation], tell: () -> Void) {
        var operations: [TurnOperation] = []
        var lost: [TakenMessage] = []
        for (next, index, message) in core.takenMessages(in: scope) {
            let declaration = kind.queues[message.queue]
            let rules = declaration?.rules
            guard
                message.requester != nil || declaration?.isCompletable ?? false || rules?.attempts ?? 1 > 1
                    || rules?.deadLetter != nil
            else { continue }
            guard let place = completionPlace(next, index), place.recorded == nil else { continue }
            operations.append(entry(.completion(message: message.number), at: place.node))
            if mayRedeliver, let rules, message.delivery < UInt64(rules.attempts) {
                operations.append(putBack(message, after: rules.visibility))
            } else {
                lost.append(message)
            }
        }
        let (more, tell) = giveUp(lost, error)
        return (operations + more, tell)
    }

    /// The run ends with an error: what it has taken, or had put back, is taken by nobody any more.
    func letGoOfAll(_ error: any Error) -> (operations: [TurnOperation], tell: () -> Void) {
        let (operations, tell) = letGo(of: .root, error, mayRedeliver: false)
        let back = mailbox.removeRedelivered()
        let (more, tellMore) = giveUp(back.map(TakenMessage.init), error)
        let removed = back.map { TurnOperation.delete(.message, id: TurnOperation.itemID($0.number)) }
        return (
            operations + removed + more,
            {
                tell()
                tellMore()
            }
        )
    }

    private func giveUp(
        _ messages: [TakenMessage], _ error: any Error
    ) -> (operations: [TurnOperation], tell: () -> Void) {
        guard !messages.isEmpty else { return ([], {}) }
        let told = publicError(error, of: "the run")
        var operations: [TurnOperation] = []
        for message in messages {
            if let deadLetter = kind.queues[message.queue]?.rules.deadLetter {
                operations += bury(message, in: deadLetter)
            }
            operations += answer(message.requester, .failure(told))
        }
        return (
            operations,
            { [self] in for message in messages { tellWaiters(of: message.number, .failure(told)) } }
        )
    }

    /// Puts a message back into its queue, in its old place.
    private func putBack(_ message: TakenMessage, after visibility: Duration) -> TurnOperation {
        let queued = QueuedMessage(
            number: message.number, queue: message.queue, body: message.body, enqueuedAt: now.rawValue,
            requester: message.requester,
            visibleAt: visibility > .zero ? (now + visibility).rawValue : 0, priority: message.priority,
            delivery: message.delivery + 1)
        mailbox.restore(queued)
        return .put(.message, id: TurnOperation.itemID(queued.number), queued.encoded())
    }

    private func bury(_ message: TakenMessage, in queue: String) -> [TurnOperation] {
        guard let rules = kind.queues[queue]?.rules else { return [] }
        let letter = OutgoingMessage(
            queue: queue, body: message.body, rules: rules, delay: .zero, options: MessageOptions())
        guard let queued = enqueue(letter, requester: nil) else {
            shard.logger.error(
                "message \(message.number) of \(address) is dropped: the queue \"\(queue)\" is full")
            return []
        }
        return [.put(.message, id: TurnOperation.itemID(queued.number), queued.encoded())]
    }
}
