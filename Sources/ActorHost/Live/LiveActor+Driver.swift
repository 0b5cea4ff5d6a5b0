import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import MailboxCore
import Synchronization
import TimeAndChance
import WorkflowCore

extension LiveActor: RunDriver {
    var historyTime: Timestamp { Timestamp(rawValue: passedAt.load(ordering: .relaxed)) }

    /// Starts an operation on the shard's thread and waits until it calls back.
    @concurrent func operation<Value: Sendable>(
        _ start: @escaping @Sendable (@escaping @Sendable (Result<Value, any Error>) -> Void) -> Void
    ) async throws -> Value {
        try await withUnsafeThrowingContinuation { continuation in
            shard.executor.perform {
                let call = OpenOperation(continuation, of: self)
                start { call.resume($0) }
            }
        }
    }

    /// The same as `operation`, with fewer closures: steps are what a node does most.
    @concurrent func step(_ request: StepRequest) async throws -> OperationResult {
        try await withUnsafeThrowingContinuation { continuation in
            guard !shard.executor.isCurrent else { return startStep(request, continuation) }
            shard.executor.post { self.startStep(request, continuation) }
        }
    }

    @concurrent func turn(_ request: TurnRequest) async throws -> OperationResult {
        try await operation { self.startTurn(request, $0) }
    }

    private func startTurn(
        _ request: TurnRequest, _ resume: @escaping (Result<OperationResult, any Error>) -> Void
    ) {
        guard let (node, recorded) = visit(.name(request.name), .turn, in: request.scope) else {
            return resume(.failure(RunClosed()))
        }
        switch recorded {
        case .turn(.completed(let value)):
            if let answering = request.answering { _ = completionPlace(answering.node, answering.index) }
            return resume(.success(.recorded(value)))
        case .turn(.failed(let failure)): return resume(.failure(turnFailure(failure, node)))
        default: break
        }
        do {
            if let answering = request.answering,
                core.isVisited(.iteration(UInt64(answering.index)), in: answering.node)
            {
                throw MessageAlreadyCompleted(number: answering.message.number)
            }
            let (value, turn) = try performTurn { try request.body(now) }
            var extra = [entry(.turn(.completed(value: value.bytes)), at: node)]
            var answer: (() -> Void)?
            if let answering = request.answering {
                guard
                    let completion = completion(
                        of: answering.message, at: answering.node, answering.index, value.bytes)
                else { return resume(.failure(MessageAlreadyCompleted(number: answering.message.number))) }
                extra += completion.operations
                answer = completion.tell
            }
            record(turn, also: extra) {
                answer?()
                resume(.success(.fresh(value.value)))
            }
        } catch {
            let failure = FailureRecord(describing: error)
            record([entry(.turn(.failed(failure)), at: node)]) { [self] in
                resume(.failure(turnFailure(failure, node)))
            }
        }
    }

    private func turnFailure(_ failure: FailureRecord, _ node: WorkflowCore.Node) -> StepFailure {
        StepFailure(
            step: core.path(of: node).description, type: failure.type, message: failure.message, attempts: 1,
            timedOut: false, history: [])
    }

    // MARK: Sleep

    @concurrent func sleep(_ name: String, in scope: WorkflowCore.Node, until goal: SleepGoal) async throws {
        try await operation { self.startSleep(name, scope, goal, $0) }
    }

    private func startSleep(
        _ name: String, _ scope: WorkflowCore.Node, _ goal: SleepGoal,
        _ resume: @escaping (Result<Void, any Error>) -> Void
    ) {
        guard let (node, recorded) = visit(.name(name), .sleep, in: scope) else {
            return resume(.failure(RunClosed()))
        }
        let until: UInt64
        if case .sleep(let recordedUntil, let done) = recorded {
            if done { return resume(.success(())) }
            until = recordedUntil
        } else {
            switch goal {
            case .after(let duration): until = (now + duration).rawValue
            case .at(let time): until = time.rawValue
            }
        }
        let wake = { [self] in
            record([entry(.sleep(until: until, done: true), at: node)]) { resume(.success(())) }
        }
        if until <= now.rawValue { return wake() }
        if recorded == nil { record([entry(.sleep(until: until, done: false), at: node)]) {} }
        addWait(
            RunWait(
                goal: .sleep, since: core.lastVisitedAt, deadline: until, due: wake,
                close: { resume(.failure(RunClosed())) }))
    }

    // MARK: Messages

    @concurrent func next(
        _ request: NextRequest
    ) async throws -> (node: WorkflowCore.Node, taken: [TakenMessage]) {
        try await operation { self.startNext(request, $0) }
    }

    private func startNext(
        _ request: NextRequest,
        _ resume: @escaping (Result<(node: WorkflowCore.Node, taken: [TakenMessage]), any Error>) -> Void
    ) {
        guard let (node, recorded) = visit(.name(request.name), .next, in: request.scope) else {
            return resume(.failure(RunClosed()))
        }
        var deadline: UInt64?
        if case .next(let recordedDeadline, let taken) = recorded {
            if let taken { return resume(.success((node, taken))) }
            deadline = recordedDeadline
        } else if let within = request.within {
            deadline = (now + within).rawValue
        }
        // Taking messages and recording that is one commit (W31).
        let took = { [self] (messages: [TakenMessage]) in
            let gone = shard.settings.rules.contains(.takenWithRecord) ? messages : []
            record(
                [entry(.next(deadline: deadline, taken: messages), at: node)]
                    + gone.map { .delete(.message, id: TurnOperation.itemID($0.number)) }
            ) {
                resume(.success((node, messages)))
            }
        }
        expireMessages(in: request.queues)
        let messages = mailbox.take(from: request.queues, upTo: request.limit, at: now.rawValue)
        if !messages.isEmpty {
            return took(messages.map(TakenMessage.init))
        }
        let timeOut = { [self] in
            record([entry(.next(deadline: deadline, taken: []), at: node)]) { resume(.success((node, []))) }
        }
        if let deadline, deadline <= now.rawValue { return timeOut() }
        if recorded == nil, deadline != nil {
            record([entry(.next(deadline: deadline, taken: nil), at: node)]) {}
        }
        addWait(
            RunWait(
                goal: .message(queues: request.queues, limit: request.limit), since: core.lastVisitedAt,
                deadline: deadline, due: timeOut, taken: took,
                close: { resume(.failure(RunClosed())) }))
    }

    /// Gives waiting messages to the run, if it waits for such.
    func offerMessages() {
        for (ticket, wait) in waits.sorted(by: { $0.key < $1.key }) {
            guard case .message(let queues, let limit) = wait.goal else { continue }
            expireMessages(in: queues)
            let messages = mailbox.take(from: queues, upTo: limit, at: now.rawValue)
            guard !messages.isEmpty else { continue }
            waits[ticket] = nil
            wait.taken?(messages.map(TakenMessage.init))
        }
    }

    @concurrent func complete(
        _ message: TakenMessage, node: WorkflowCore.Node, index: Int, reply: [UInt8]
    ) async throws {
        try await operation { (resume: @escaping @Sendable (Result<Void, any Error>) -> Void) in
            guard !self.isRunClosed else { return resume(.failure(RunClosed())) }
            guard let completion = self.completion(of: message, at: node, index, reply) else {
                return resume(.failure(MessageAlreadyCompleted(number: message.number)))
            }
            if completion.operations.isEmpty { return resume(.success(())) }
            self.record(completion.operations) {
                completion.tell()
                resume(.success(()))
            }
        }
    }

    /// What completing a message takes: nothing on a replay; nil if the code completes it a second time.
    private func completion(
        of message: TakenMessage, at node: WorkflowCore.Node, _ index: Int, _ reply: [UInt8]
    ) -> (operations: [TurnOperation], tell: () -> Void)? {
        guard let place = completionPlace(node, index) else { return nil }
        if place.recorded != nil { return ([], {}) }
        var operations = [entry(.completion(message: message.number), at: place.node)]
        let answer = ActorReply.completed(Payload(reply))
        operations += self.answer(message.requester, .success(answer))
        return (operations, { [self] in tellWaiters(of: message.number, .success(answer)) })
    }

    /// Where the completion of a message is recorded; nil the second time that this life asks.
    func completionPlace(
        _ node: WorkflowCore.Node, _ index: Int
    ) -> (node: WorkflowCore.Node, recorded: HistoryOperation?)? {
        try? core.visit(.iteration(UInt64(index)), kind: .completion, in: node)
    }

    // MARK: Loops

    @concurrent func enterLoop(
        _ name: String, in scope: WorkflowCore.Node, state: [UInt8]
    ) async throws -> LoopEntrance {
        try await operation { resume in
            guard let (loop, recorded) = self.visit(.name(name), .loop, in: scope) else {
                return resume(.failure(RunClosed()))
            }
            guard case .loop(let iteration, let recordedState, let result) = recorded else {
                let first = self.core.enter(iteration: 0, of: loop)
                return resume(
                    .success(
                        LoopEntrance(loop: loop, scope: first, iteration: 0, state: state, result: nil)))
            }
            self.core.skipIterations(of: loop, before: result == nil ? iteration : .max)
            let current = result == nil ? self.core.enter(iteration: iteration, of: loop) : loop
            resume(
                .success(
                    LoopEntrance(
                        loop: loop, scope: current, iteration: iteration, state: recordedState, result: result
                    )))
        }
    }

    @concurrent func nextIteration(
        of loop: WorkflowCore.Node, after iteration: UInt64, scope: WorkflowCore.Node, state: [UInt8]
    ) async throws -> WorkflowCore.Node {
        try await operation { resume in
            guard self.leave(scope, resume) else { return }
            self.ride(self.entry(.loop(iteration: iteration + 1, state: state, result: nil), at: loop))
            self.prune(loop, current: iteration + 1)
            let next = self.core.enter(iteration: iteration + 1, of: loop)
            // Progress rides with the next record; a loop without operations must not grow or spin unseen.
            if self.pending.count < 64 { return resume(.success(next)) }
            self.record([]) { resume(.success(next)) }
        }
    }

    @concurrent func endLoop(
        _ loop: WorkflowCore.Node, iteration: UInt64, scope: WorkflowCore.Node, result: [UInt8]
    ) async throws {
        try await operation { (resume: @escaping @Sendable (Result<Void, any Error>) -> Void) in
            guard self.leave(scope, resume) else { return }
            let done = self.entry(.loop(iteration: iteration, state: [], result: result), at: loop)
            self.prune(loop, current: iteration + 1)
            self.record([done]) { resume(.success(())) }
        }
    }

    /// Ends a scope, or parks the run because the history has more in it.
    func leave<Value>(
        _ scope: WorkflowCore.Node, _ resume: (Result<Value, any Error>) -> Void
    ) -> Bool {
        do {
            guard !isRunClosed else {
                resume(.failure(RunClosed()))
                return false
            }
            try core.leave(scope)
            return true
        } catch {
            stall("\(error)")
            resume(.failure(RunClosed()))
            return false
        }
    }

    /// Leaves an operation to the next record, in place of an earlier one of the same item.
    private func ride(_ operation: TurnOperation) {
        if case .put(let space, let id, _) = operation {
            pending.removeAll {
                if case .put(space, id, _) = $0 { return true }
                return false
            }
        }
        pending.append(operation)
    }

    private func prune(_ loop: WorkflowCore.Node, current: UInt64) {
        let retained = UInt64(max(0, options.retainedIterations))
        guard current > retained else { return }
        for sequence in core.prune(loop, before: current - retained) {
            pending.append(.delete(.history, id: TurnOperation.itemID(sequence)))
        }
    }
}

extension TakenMessage {
    init(_ message: QueuedMessage) {
        self.init(
            number: message.number, queue: message.queue, body: message.body, requester: message.requester,
            priority: message.priority, delivery: message.delivery)
    }
}
