import Apus
import Identifiers
import TimeAndChance
import WorkflowCore

/// A step whose effect runs, or waits for its next attempt.
///
/// Sound to share: touched on the thread of its actor's shard only.
final class StepExecution: OpenCall, @unchecked Sendable {
    let request: StepRequest
    let node: WorkflowCore.Node
    private let continuation: StepContinuation
    /// Every try so far, the running one included.
    var attempts: UInt64
    /// Those of them that a stop in good order cut off.
    var interruptions: UInt64
    var failures: [AttemptRecord]
    /// When the first attempt began, microseconds since 1970; 0 before.
    var startedAt: UInt64
    var attemptStartedAt: UInt64 = 0
    /// Ends the running attempt's time.
    var deadline: UInt64?
    var task: Task<Void, Never>?
    let ticket: UInt64
    /// Its next attempt begins with a commit that is on its way.
    var isCommitting = false

    init(
        request: StepRequest, of actor: LiveActor, node: WorkflowCore.Node, ticket: UInt64, attempts: UInt64,
        interruptions: UInt64, failures: [AttemptRecord], startedAt: UInt64, continuation: StepContinuation
    ) {
        self.request = request
        self.node = node
        self.ticket = ticket
        self.attempts = attempts
        self.interruptions = interruptions
        self.failures = failures
        self.startedAt = startedAt
        self.continuation = continuation
        super.init(of: actor)
    }

    /// Whether its tries use up the budget.
    var isExhausted: Bool { request.retry.isExhausted(after: attempts - min(attempts, interruptions)) }

    /// Lets the run go on, once.
    func resume(_ result: Result<OperationResult, any Error>) {
        if end() { continuation.resume(with: result) }
    }

    override func lose() { resume(.failure(RunClosed())) }
}

typealias StepContinuation = UnsafeContinuation<OperationResult, any Error>

/// A place where a run waits and uses nothing but memory.
struct RunWait {
    enum Goal {
        case sleep
        case retry(step: String)
        case message(queues: [String], limit: Int)
        /// The answer of another actor, to the call that is recorded there.
        case answer(node: WorkflowCore.Node, target: String)
        /// Room for a message to another actor.
        case room(target: ActorAddress)
    }

    var goal: Goal
    /// Microseconds since 1970.
    var since: UInt64
    /// Microseconds since 1970; nil for no limit.
    var deadline: UInt64?
    /// The deadline has come.
    var due: () -> Void
    /// Messages have come and were taken.
    var taken: (([TakenMessage]) -> Void)?
    /// The answer has come and is committed.
    var answered: (([UInt8]) -> Void)?
    /// The run's code is not to go on.
    var close: () -> Void
}
