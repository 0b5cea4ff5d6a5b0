import WorkflowCore

/// A step that ended without success, after all its retries (W16). Thrown again by each replay.
public struct StepFailure: Error, Sendable, CustomStringConvertible {
    /// The step's path in its run.
    public var step: String
    /// The type of the last error.
    public var type: String
    /// What the last error said.
    public var message: String
    /// How often the effect was tried, also when the process ended under it.
    public var attempts: Int
    /// Whether the last attempt ran out of its time (W15).
    public var timedOut: Bool
    /// What the last failed attempts said, oldest first, at most 20 (W17).
    public var history: [String]

    package init(
        step: String, type: String, message: String, attempts: Int, timedOut: Bool, history: [String]
    ) {
        self.step = step
        self.type = type
        self.message = message
        self.attempts = attempts
        self.timedOut = timedOut
        self.history = history
    }

    public var description: String {
        "step \"\(step)\" failed after \(attempts) attempt\(attempts == 1 ? "" : "s"): \(message)"
    }
}

/// Thrown by an effect to say that trying again is useless: the step fails at once (W17).
public struct Unretryable: Error, Sendable, CustomStringConvertible {
    public var description: String
    public init(_ message: String) { description = message }
}

/// Thrown by an effect to say when the next attempt makes sense, in place of the policy's wait (W12).
public struct RetryAfter: Error, Sendable, CustomStringConvertible {
    public var delay: Duration
    public var description: String
    public init(_ delay: Duration, _ message: String = "asked to try again later") {
        self.delay = delay
        description = message
    }
}

/// Thrown by `Message.complete` for a message that is completed already (W33).
public struct MessageAlreadyCompleted: Error, Sendable, CustomStringConvertible {
    public var number: UInt64
    package init(number: UInt64) { self.number = number }
    public var description: String { "message \(number) was completed before" }
}

/// Ends the user's code of a run that must not go on in this life: the actor hibernates, its node stops, or
/// the run is parked. Every later operation throws it again, so that a `catch` in user code cannot go on.
package struct RunClosed: Error, Sendable {
    package init() {}
}

/// What an effect can learn about the attempt that it is (W11).
///
/// ```swift
/// try await workflow.step("charge") {
///     try await payments.charge(amount, idempotencyKey: StepAttempt.current?.idempotencyKey)
/// }
/// ```
public struct StepAttempt: Sendable {
    /// The same for all attempts of one step, in all lives of the run; 32 hexadecimal digits.
    public var idempotencyKey: String { StableNames.idempotencyKey(run: run, path: path) }
    /// 1 for the first try.
    public let number: Int
    /// The step's path in its run, for logs.
    public var step: String { path.description }
    private let run: [UInt8]
    private let path: HistoryPath

    package init(run: [UInt8], path: HistoryPath, number: Int) {
        self.run = run
        self.path = path
        self.number = number
    }

    /// The attempt around the running code; nil outside of a step's effect.
    @TaskLocal public static var current: StepAttempt?

    /// Runs `body` as this attempt.
    package static func run<Result>(_ attempt: StepAttempt, _ body: () throws -> Result) rethrows -> Result {
        try $current.withValue(attempt, operation: body)
    }
}
