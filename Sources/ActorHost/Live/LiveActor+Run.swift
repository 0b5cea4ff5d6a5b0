import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import Logging
import Synchronization
import TimeAndChance
import WorkflowCore

extension LiveActor {
    /// Executes the run's code from its beginning; what is recorded answers from the record (W2, W5).
    func startRun() {
        guard !isRunClosed else { return }
        run.status = .running
        nameRun()
        passedAt.store(core.lastVisitedAt, ordering: .relaxed)
        let instance = instance
        runTask = Task(executorPreference: shard.executor) { [self] in
            let result: Result<Void, any Error>
            do {
                try await instance.run(self)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            shard.executor.perform { self.runEnded(result) }
        }
        arm()
    }

    private func runEnded(_ result: Result<Void, any Error>) {
        guard !isRunClosed else { return }
        switch result {
        case .success:
            do {
                try core.leaveRun()
                end(.completed, failure: nil)
            } catch {
                stall("\(error)")
            }
        case .failure(let failure):
            if failure is RunClosed { return }
            do { try core.leaveRun() } catch { return stall("the run threw \(type(of: failure)); \(error)") }
            let (operations, tell) = letGoOfAll(failure)
            end(.failed, failure: FailureRecord(describing: failure), operations, tell)
        }
    }

    /// The run ends for good (W6).
    /// - Parameters:
    ///   - operations: what else belongs to its end.
    ///   - tell: called when that is committed.
    private func end(
        _ status: RunStatus, failure: FailureRecord?, _ operations: [TurnOperation] = [],
        _ tell: @escaping () -> Void = {}
    ) {
        run = RunRecord(
            status: status, since: now.rawValue, failure: failure, startedAt: run.startedAt)
        isRunClosed = true
        isRunRecordDirty = true
        storedWake = nil
        record(operations + [.wake(at: nil)]) { [self] in
            tell()
            shard.counters.runsEnded += 1
            failWaiters(Self.runEndedError)
        }
        if let failure {
            shard.logger.warning("the run of \(address) failed: \(failure.type): \(failure.message)")
        }
        touch()
        arm()
    }

    static let runEndedError = ActorError(
        "run_ended", "the run that takes the queue's messages has ended", group: "actor")

    /// The run is parked: the code does not fit its history (W7). Fixed code continues it at the next start.
    /// - Parameter isQuarantined: it ends processes (W13), so no start and no change of owner wakes it; what
    ///   is asked of its actor in a later process does.
    func stall(_ reason: String, isQuarantined: Bool = false) {
        let isNew = run.detail != reason
        run = RunRecord(
            status: .stalled, since: isNew ? now.rawValue : run.since, detail: reason,
            startedAt: run.startedAt)
        shard.logger.error("the run of \(address) is stalled: \(reason)")
        isRunRecordDirty = true
        wakeOfStalled = isQuarantined ? nil : Self.wakeOnStart
        storedWake = wakeOfStalled
        shard.parkedRuns.insert(timerKey)
        record([.wake(at: wakeOfStalled)]) {}
        closeRun()
        touch()
        arm()
    }

    /// Asks the history for an operation. On a divergence the run is parked, and nil returned.
    func visit(
        _ component: PathComponent, _ kind: OperationKind, in scope: WorkflowCore.Node
    ) -> (node: WorkflowCore.Node, recorded: HistoryOperation?)? {
        guard !isRunClosed else { return nil }
        if core.entryCount >= options.historyMax, core.unvisitedEntries == 0 {
            stall(
                "the history holds \(core.entryCount) operations, the kind's limit (historyMax); use a loop"
            )
            return nil
        }
        do {
            let place = try core.visit(component, kind: kind, in: scope)
            passedAt.store(core.lastVisitedAt, ordering: .relaxed)
            return place
        } catch {
            stall(error.description)
            return nil
        }
    }

    /// Notes what an operation did; the returned operation goes into the next record.
    func entry(_ operation: HistoryOperation, at node: WorkflowCore.Node) -> TurnOperation {
        let entry = noted(operation, at: node)
        return .put(.history, id: TurnOperation.itemID(entry.sequence), entry.encoded())
    }

    func noted(_ operation: HistoryOperation, at node: WorkflowCore.Node) -> HistoryEntry {
        if run.crashWakes > 0 {
            // The run got further, so what happens from now on is not the same crash again.
            run.crashWakes = 0
            isRunRecordDirty = true
        }
        let entry = core.record(operation, at: node, time: now.rawValue)
        passedAt.store(core.lastVisitedAt, ordering: .relaxed)
        return entry
    }

    func newTicket() -> UInt64 {
        defer { nextTicket += 1 }
        return nextTicket
    }

    func addWait(_ wait: RunWait) {
        waits[newTicket()] = wait
        touch()
        arm()
        settleAfterCrash()
    }

    /// A run that was woken after a crash and only waits has survived: that is recorded, so that it neither
    /// counts as crashed nor is woken again by the next restart.
    private func settleAfterCrash() {
        guard run.crashWakes > 0, steps.isEmpty, phase == .awake else { return }
        settle()
    }

    // MARK: What the run is doing (W80)

    /// Brings `run.status`, `detail` and `since` up to date.
    func describeRun() {
        guard !isRunEnded else { return }
        let (status, detail, since) = activity
        run.status = status
        run.detail = detail
        run.since = since
    }

    private var activity: (status: RunStatus, detail: String, since: UInt64) {
        if let step = steps.min(by: { $0.key < $1.key })?.value, step.deadline != nil || step.task != nil {
            let detail = "step \"\(core.path(of: step.node))\", attempt \(step.attempts)"
            return (.running, detail, step.attemptStartedAt)
        }
        guard let wait = waits.min(by: { $0.key < $1.key })?.value else {
            return (.running, "", core.lastVisitedAt)
        }
        switch wait.goal {
        case .sleep: return (.sleeping, "its time", wait.since)
        case .retry(let step): return (.retrying, "the next attempt of step \"\(step)\"", wait.since)
        case .message(let queues, _):
            return (
                .waiting, "a message in " + queues.map { "\"\($0)\"" }.joined(separator: " or "), wait.since
            )
        case .answer(_, let target): return (.waiting, "the answer of \(target)", wait.since)
        case .room(let target):
            return (.waiting, "room for a message to \(target)", wait.since)
        }
    }
}

extension FailureRecord {
    /// What may be kept of an error: its type and what it says, cut to a sensible length.
    init(describing error: any Error) {
        switch error {
        case let failure as StepFailure: self.init(type: "StepFailure", message: failure.description)
        case let error as ActorError:
            self.init(type: "ActorError", message: "\(error.code): \(error.message)")
        default: self.init(type: "\(Swift.type(of: error))", message: String("\(error)".prefix(4_096)))
        }
    }
}
