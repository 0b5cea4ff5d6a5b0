import Apus
import ByteCoding
import ClientProtocol
import TimeAndChance
import WorkflowCore

extension LiveActor {
    /// How often in a row a step without a limit of retries may take its process with it.
    static let crashWakesMax: UInt64 = 10

    func startStep(_ request: StepRequest, _ continuation: StepContinuation) {
        guard let (node, recorded) = visit(.name(request.name), .step, in: request.scope) else {
            return continuation.resume(throwing: RunClosed())
        }
        var attempts: UInt64 = 0
        var failures: [AttemptRecord] = []
        var startedAt: UInt64 = 0
        var retryAt: UInt64?
        var interruptions: UInt64 = 0
        if case .step(let state, let recordedAttempts, let recordedFailures, let recordedStart) = recorded {
            (attempts, failures, startedAt) = (recordedAttempts, recordedFailures, recordedStart)
            switch state {
            case .completed(let value) where shard.settings.rules.contains(.recordedSteps):
                return continuation.resume(returning: .recorded(value))
            case .failed(let failure, let timedOut):
                return continuation.resume(
                    throwing: stepFailure(node, failure, timedOut, attempts, failures))
            case .retrying(let at, let cutOff): (retryAt, interruptions) = (at, cutOff)
            case .started, .completed: break
            }
        }
        let step = StepExecution(
            request: request, of: self, node: node, ticket: newTicket(), attempts: attempts,
            interruptions: interruptions, failures: failures, startedAt: startedAt,
            continuation: continuation)
        if let retryAt, retryAt > now.rawValue { return waitForRetry(step, until: retryAt) }
        countCrashes(step)
    }

    /// Attempts that took the process with them are attempts, too (W13).
    private func countCrashes(_ step: StepExecution) {
        guard !log.holdsSteps else { return hold(step) }
        var lost: UInt64 = 1
        if step.request.retry.retries == 0 {
            // Such a step records its start, so it is known whether the attempt had begun.
            guard step.attempts > 0 else { return recordStart(step) }
        } else {
            guard run.crashWakes > 0 else { return startAttempt(step) }
            lost = run.crashWakes
            step.attempts += lost
        }
        // Nobody knows when they began, so each is noted for now; no more than the history keeps.
        step.attemptStartedAt = now.rawValue
        for later in (0..<min(lost, UInt64(HistoryEntry.failuresMax))).reversed() {
            note(Self.died(during: step.attempts - later), step)
        }
        let died = Self.died(during: step.attempts)
        if step.isExhausted { return fail(step, died, timedOut: false) }
        if run.crashWakes >= Self.crashWakesMax {
            steps[step.ticket] = nil
            step.resume(.failure(RunClosed()))
            return stall(
                "quarantined: step \"\(core.path(of: step.node))\" took the process with it "
                    + "\(run.crashWakes) times in a row", isQuarantined: true)
        }
        startAttempt(step)
    }

    /// The partition is about to have another owner, who is to begin the step. A crash before that must find
    /// it due, and has interrupted no attempt.
    private func hold(_ step: StepExecution) {
        startingSteps[step.ticket] = step
        guard storedWake != 0, storedWake != Self.wakeAtOnce else { return }
        storedWake = Self.wakeAtOnce
        record([.wake(at: Self.wakeAtOnce)], keepsWake: true) {}
    }

    /// The partition stays after all.
    func beginHeldSteps() {
        guard phase == .awake else { return }
        for (ticket, step) in startingSteps.sorted(by: { $0.key < $1.key }) where !step.isCommitting {
            startingSteps[ticket] = nil
            countCrashes(step)
        }
    }

    private static func died(during attempt: UInt64) -> FailureRecord {
        FailureRecord(
            type: "ProcessDied",
            message: "the process ended during attempt \(attempt); its outcome is unknown")
    }

    /// An effect that must not be tried twice begins only after it is durable that it does.
    private func recordStart(_ step: StepExecution) {
        let time = now.rawValue
        let started = entry(.step(.started, attempts: 1, failures: [], startedAt: time), at: step.node)
        step.startedAt = time
        launch(step) { record([started], $0) }
    }

    /// Begins the attempt when something is committed, if the run's code may go on then.
    private func launch(_ step: StepExecution, after commit: (@escaping () -> Void) -> Void) {
        startingSteps[step.ticket] = step
        step.isCommitting = true
        commit { [self] in
            // Otherwise the run was closed, and has heard of it.
            guard startingSteps.removeValue(forKey: step.ticket) != nil else { return }
            step.isCommitting = false
            launch(step)
        }
    }

    private func startAttempt(_ step: StepExecution) {
        guard storedWake == 0 else {
            // From here on a crash interrupts an effect, so a restart must know that this actor was awake
            // (W13).
            storedWake = 0
            return launch(step) { record([.wake(at: 0)], $0) }
        }
        guard log.committed < lastPosition else { return launch(step) }
        // An effect goes out of the node like a reply: behind the records of the actor's creation or wake
        // (A12, W13).
        launch(step) { whenCommitted($0) }
    }

    private func launch(_ step: StepExecution) {
        let time = now.rawValue
        step.attempts += 1
        step.attemptStartedAt = time
        if step.startedAt == 0 { step.startedAt = time }
        shard.counters.steps += 1
        steps[step.ticket] = step
        touch()
        let number = step.attempts
        let attempt = StepAttempt(run: runName, path: core.path(of: step.node), number: Int(clamping: number))
        let effect = step.request.effect
        let ticket = step.ticket
        // Runs at once, on this thread, until it has to wait for something: most effects of tests never do.
        let task = shard.watch.naming(address, step.request.name) {
            StepAttempt.run(attempt) {
                Task.immediate(executorPreference: shard.executor) { [self] in
                    let result: Result<RecordedValue, any Error>
                    do { result = .success(try await effect()) } catch { result = .failure(error) }
                    guard !shard.executor.isCurrent else { return attemptEnded(ticket, number, result) }
                    shard.executor.post { self.attemptEnded(ticket, number, result) }
                }
            }
        }
        guard steps[ticket] === step, step.attempts == number else { return }
        step.task = task
        step.deadline = step.request.timeout.map { (Timestamp(rawValue: time) + $0).rawValue }
        arm()
    }

    private func attemptEnded(_ ticket: UInt64, _ number: UInt64, _ result: Result<RecordedValue, any Error>)
    {
        // An attempt that was given up is late: nobody asks for its result any more.
        guard let step = steps[ticket], step.attempts == number, !isRunClosed else { return }
        steps[ticket] = nil
        step.task = nil
        step.deadline = nil
        touch()
        switch result {
        case .success(let value): succeed(step, value)
        case .failure(let error): attemptFailed(step, error)
        }
    }

    func attemptTimedOut(_ step: StepExecution) {
        steps[step.ticket] = nil
        step.task?.cancel()
        step.task = nil
        step.deadline = nil
        let limit = step.request.timeout.map { "\($0)" } ?? ""
        let failure = FailureRecord(type: "TimedOut", message: "the attempt took longer than \(limit)")
        note(failure, step)
        guard step.request.retry.retryOnTimeout, !step.isExhausted else {
            return fail(step, failure, timedOut: true)
        }
        retry(step, after: nil)
    }

    private func succeed(_ step: StepExecution, _ value: RecordedValue) {
        let completed = HistoryOperation.step(
            .completed(value: value.bytes), attempts: step.attempts, failures: step.failures,
            startedAt: step.startedAt)
        guard let commit = step.request.commit else {
            if step.request.ephemeral {
                pending.append(entry(completed, at: step.node))
                return step.resume(.success(.fresh(value.value)))
            }
            return record([], noting: noted(completed, at: step.node), .step(step, value: value.value))
        }
        do {
            let (_, turn) = try performTurn { ((), try commit(value, now)) }
            record(turn, also: [entry(completed, at: step.node)]) {
                step.resume(.success(.fresh(value.value)))
            }
        } catch {
            // The effect has happened; doing it again because its commit turn failed would double it.
            fail(step, FailureRecord(describing: error), timedOut: false)
        }
    }

    private func attemptFailed(_ step: StepExecution, _ error: any Error) {
        let failure = FailureRecord(describing: error)
        note(failure, step)
        if error is Unretryable || step.request.retryIf?(error) == false || step.isExhausted {
            return fail(step, failure, timedOut: false)
        }
        retry(step, after: (error as? RetryAfter)?.delay)
    }

    private func note(_ failure: FailureRecord, _ step: StepExecution) {
        step.failures.append(
            AttemptRecord(startedAt: step.attemptStartedAt, endedAt: now.rawValue, failure: failure))
        if step.failures.count > HistoryEntry.failuresMax {
            step.failures.removeFirst(step.failures.count - HistoryEntry.failuresMax)
        }
    }

    private func retry(_ step: StepExecution, after asked: Duration?) {
        let delay =
            asked
            ?? step.request.retry.delay(
                after: step.attempts, chance: Double.random(in: 0..<1, using: &shard.chance))
        let at = (now + delay).rawValue
        var operations = [retrying(step, at: at)]
        if steps.isEmpty {
            // A crash while it waits interrupts no attempt, so it must not count as one (W13).
            storedWake = waits.values.compactMap(\.deadline).reduce(at) { min($0, $1) }
            operations.append(.wake(at: storedWake))
        }
        record(operations, keepsWake: steps.isEmpty) {}
        waitForRetry(step, until: at)
    }

    private func retrying(_ step: StepExecution, at time: UInt64) -> TurnOperation {
        entry(
            .step(
                .retrying(at: time, interruptions: step.interruptions), attempts: step.attempts,
                failures: step.failures, startedAt: step.startedAt),
            at: step.node)
    }

    /// The process stops in good order, or hands the partition over: what runs is cut off, which is no fault
    /// of the step, but the outside world may have seen the attempt (W11). Who began durably stands in the
    /// history already.
    func interruptSteps() -> [TurnOperation] {
        steps.sorted { $0.key < $1.key }.map(\.value).filter { $0.request.retry.retries != 0 }.map { step in
            step.interruptions += 1
            note(
                FailureRecord(
                    type: "Interrupted",
                    message: "the node gave up attempt \(step.attempts); its outcome is unknown"),
                step)
            return retrying(step, at: now.rawValue)
        }
    }

    private func waitForRetry(_ step: StepExecution, until time: UInt64) {
        addWait(
            RunWait(
                goal: .retry(step: core.path(of: step.node).description), since: core.lastVisitedAt,
                deadline: time,
                due: { [self] in countCrashes(step) }, close: { step.resume(.failure(RunClosed())) }))
    }

    /// The step ends without success; a replay throws the same again.
    private func fail(_ step: StepExecution, _ failure: FailureRecord, timedOut: Bool) {
        let ended = entry(
            .step(
                .failed(failure, timedOut: timedOut), attempts: step.attempts, failures: step.failures,
                startedAt: step.startedAt), at: step.node)
        record([ended]) { [self] in
            step.resume(.failure(stepFailure(step.node, failure, timedOut, step.attempts, step.failures)))
        }
    }

    private func stepFailure(
        _ node: WorkflowCore.Node, _ failure: FailureRecord, _ timedOut: Bool, _ attempts: UInt64,
        _ failures: [AttemptRecord]
    ) -> StepFailure {
        StepFailure(
            step: core.path(of: node).description, type: failure.type, message: failure.message,
            attempts: Int(clamping: attempts), timedOut: timedOut,
            history: failures.map { "\($0.failure.type): \($0.failure.message)" })
    }
}
