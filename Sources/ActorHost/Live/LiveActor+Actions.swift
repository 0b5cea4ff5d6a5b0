import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import MailboxCore
import PartitionStore
import TimeAndChance
import WorkflowCore

/// An asynchronous action under way.
///
/// Sound to share: constants aside, everything is touched on the thread of its shard only; what the action's
/// task calls (`ActionDriver`) goes through `shard.executor.perform`.
final class ActionExecution: ActionDriver, @unchecked Sendable {
    let actor: LiveActor
    let name: String
    let ticket: UInt64
    /// nil: the request cannot be recognised when it is repeated.
    let identity: RequestIdentityID?
    let idempotencyKey: String
    /// The request, and repetitions of it that came meanwhile.
    var requests: [ShardRequest]
    /// Partition time.
    let deadline: UInt64
    var task: Task<Void, Never>?
    /// It is answered; what its code does yet goes nowhere.
    var isOver = false
    private var turnsBegun: UInt64 = 0
    private var namesUsed: Set<String> = []

    init(_ name: String, of actor: LiveActor, for request: ShardRequest, ticket: UInt64, deadline: UInt64) {
        self.name = name
        self.actor = actor
        self.ticket = ticket
        self.deadline = deadline
        identity = request.request.identity?.identityInActor
        requests = [request]
        let own = identity?.encoded ?? TurnOperation.itemID(ticket) + TurnOperation.itemID(deadline)
        let run = LiveActor.runName(actor.shard.store.identity, actor.address, actor.id)
        idempotencyKey = StableNames.idempotencyKey(run: run + own, path: HistoryPath([.name(name)]))
    }

    @concurrent func settle() async throws {
        try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
            actor.shard.executor.perform { [self] in
                let call = OpenOperation(continuation, of: actor, lost: CancellationError())
                guard actor.phase != .lost else { return call.lose() }
                actor.whenCommitted { call.resume(.success(())) }
            }
        }
    }

    @concurrent func turn(
        _ name: String?, _ body: @escaping @Sendable (Timestamp) throws -> (RecordedValue, TurnEffects)
    ) async throws -> OperationResult {
        try await withUnsafeThrowingContinuation { continuation in
            actor.shard.executor.perform { [self] in
                let call = OpenOperation(continuation, of: actor, lost: CancellationError())
                actor.runTurn(name, of: self, body) { call.resume($0) }
            }
        }
    }

    @concurrent func call(_ outgoing: OutgoingCall) async throws -> [UInt8] {
        let reply: ActorReply = try await withUnsafeThrowingContinuation { continuation in
            actor.shard.executor.perform { [self] in
                let call = OpenOperation(continuation, of: actor, lost: CancellationError())
                guard actor.phase != .lost, !isOver else { return call.lose() }
                let now = actor.now.rawValue
                let request = ActorRequest(
                    target: outgoing.target,
                    operation: .action(outgoing.action, input: Payload(outgoing.input)),
                    timeLeftMillis: deadline > now ? (deadline - now) / 1_000 : 0)
                let executor = actor.shard.executor
                actor.shard.ask(request) { result in
                    executor.perform { call.resume(result.mapError { $0 }) }
                }
            }
        }
        guard case .output(let output) = reply else { throw ActorError.internalError }
        return output.bytes
    }

    /// Names the next turn; nil if the action has used the name already.
    func nextTurn(_ name: String?) -> ActionTurn.Name? {
        guard let name else {
            turnsBegun += 1
            return .ordinal(turnsBegun)
        }
        return namesUsed.insert(name).inserted ? .given(name) : nil
    }
}

extension LiveActor {
    /// Begins an asynchronous action, or joins the one that the same request has begun (A13).
    func startAction(_ name: String, _ input: Payload, _ request: ShardRequest) {
        let identity = request.request.identity?.identityInActor
        if let identity, let running = actions.values.first(where: { $0.identity == identity }) {
            running.requests.append(request)
            return
        }
        guard actions.count < shard.settings.waitersMax else { return request.reply(.failure(.overloaded)) }
        do { if identity != nil { try loadActionTurns() } } catch {
            let told = publicError(error, of: "action \(name)")
            return request.reply(.failure(told))
        }
        let ticket = newTicket()
        let execution = ActionExecution(
            name, of: self, for: request, ticket: ticket, deadline: (now + options.actionTimeout).rawValue)
        actions[ticket] = execution
        touch()
        arm()
        let instance = instance
        // What it does leaves the node like a reply: behind the records of the actor's creation or wake.
        whenCommitted { [self] in
            guard !execution.isOver else { return }
            execution.task = Task(executorPreference: shard.executor) { [self] in
                let result: Result<[UInt8], any Error>
                do {
                    result = .success(try await instance.perform(name, input: input.bytes, execution))
                } catch { result = .failure(error) }
                shard.executor.perform { self.actionEnded(execution, result) }
            }
        }
    }

    private func actionEnded(_ execution: ActionExecution, _ result: Result<[UInt8], any Error>) {
        guard !execution.isOver else { return }
        switch result {
        case .success(let output) where output.count <= RecordedValue.bytesMax:
            let reply = ActorReply.output(Payload(output))
            close(execution)
            var operations: [TurnOperation] = []
            if let first = execution.requests.first {
                operations = remember(first.request.identity, .reply(ReplyRecord.encode(reply)))
            }
            operations += forgetTurns(of: execution)
            record(operations) { for request in execution.requests { request.reply(.success(reply)) } }
        case .success:
            end(execution, .tooLarge("the action's output", limit: RecordedValue.bytesMax))
        case .failure(let error):
            // Its turns stay remembered: repeated, it goes on behind them.
            let told = publicError(error, of: "action \(execution.name)")
            close(execution)
            for request in execution.requests {
                shard.answerRead(request, with: .failure(told))
            }
        }
    }

    /// Answers an action with an error, whatever its code still does.
    private func end(_ execution: ActionExecution, _ error: ActorError) {
        close(execution)
        execution.task?.cancel()
        whenCommitted { for request in execution.requests { request.reply(.failure(error)) } }
    }

    private func close(_ execution: ActionExecution) {
        execution.isOver = true
        actions[execution.ticket] = nil
        touch()
        arm()
    }

    /// Ends all actions under way.
    func endActions(_ error: ActorError) {
        for (_, execution) in actions.sorted(by: { $0.key < $1.key }) { end(execution, error) }
    }

    func expireActions(_ time: UInt64) {
        for (_, execution) in actions.sorted(by: { $0.key < $1.key }) where execution.deadline <= time {
            end(execution, .actionTimedOut(execution.name, after: "\(options.actionTimeout)"))
        }
    }

    // MARK: Turns

    func runTurn(
        _ name: String?, of execution: ActionExecution,
        _ body: (Timestamp) throws -> (RecordedValue, TurnEffects),
        _ resume: @escaping (Result<OperationResult, any Error>) -> Void
    ) {
        guard !execution.isOver else { return resume(.failure(CancellationError())) }
        guard let place = execution.nextTurn(name) else {
            return resume(.failure(TurnNameReused(name: name ?? "")))
        }
        let id = execution.identity.map { ActionTurn.id($0, place) }
        if let id, let value = actionTurns?[id] {
            return whenCommitted { resume(.success(.recorded(value))) }
        }
        do {
            let (value, turn) = try performTurn { try body(now) }
            var extra: [TurnOperation] = []
            if let id {
                actionTurns?[id] = value.bytes
                let record = ActionTurn(time: now.rawValue, value: value.bytes)
                extra = [.put(.actionTurn, id: id, record.encoded())]
            }
            touch()
            record(turn, also: extra) { resume(.success(.fresh(value.value))) }
        } catch {
            whenCommitted { resume(.failure(error)) }
        }
    }

    /// Reads what earlier lives have left of actions without a reply.
    private func loadActionTurns() throws {
        guard actionTurns == nil else { return }
        var turns: [[UInt8]: [UInt8]] = [:]
        let time = now.rawValue
        for item in try shard.store.items(of: id, in: partition, space: .actionTurn) {
            let turn = try ActionTurn.decode(item.body)
            if turn.time &+ DeduplicationCore.retentionMicros < time {
                pending.append(.delete(.actionTurn, id: item.id))
            } else {
                turns[item.id] = turn.value
            }
        }
        actionTurns = turns
    }

    private func forgetTurns(of execution: ActionExecution) -> [TurnOperation] {
        guard let identity = execution.identity else { return [] }
        let range = ActionTurn.range(of: identity)
        let own = (actionTurns ?? [:]).keys.filter { $0.starts(with: range.from) }
        guard !own.isEmpty else { return [] }
        for id in own { actionTurns?[id] = nil }
        return [.deleteRange(.actionTurn, from: range.from, through: range.through)]
    }
}

/// Two turns of one execution of an action have the same name.
private struct TurnNameReused: Error, CustomStringConvertible {
    var name: String
    var description: String { "the action has a turn \"\(name)\" already" }
}
