/// When a failed step is tried again.
///
/// The default: three retries after the first try, waiting 200, 400 and 800 ms (W12: the n-th retry waits
/// `min(cap, initial * factor^n)` for n = 1, 2, 3, …).
public struct RetryPolicy: Hashable, Sendable {
    /// Retries after the first try; nil for no end.
    public var retries: Int?
    public var initial: Duration
    public var factor: Double
    public var cap: Duration
    /// The share of a wait that is random, from 0 (none) to 1 (all of it).
    public var jitter: Double
    /// Whether an attempt that ran out of time is tried again (W15).
    public var retryOnTimeout: Bool

    public init(
        retries: Int? = 3, initial: Duration = .milliseconds(100), factor: Double = 2,
        cap: Duration = .seconds(30),
        jitter: Double = 0, retryOnTimeout: Bool = false
    ) {
        self.retries = retries
        self.initial = initial
        self.factor = factor
        self.cap = cap
        self.jitter = jitter
        self.retryOnTimeout = retryOnTimeout
    }

    public static let `default` = RetryPolicy()
    /// One try only.
    public static let never = RetryPolicy(retries: 0)
    /// Tried again until it succeeds.
    public static let forever = RetryPolicy(retries: nil)
    /// That many retries after the first try.
    public static func upTo(_ retries: Int) -> RetryPolicy { RetryPolicy(retries: max(0, retries)) }

    /// Whether `attempts` tries use up the budget.
    public func isExhausted(after attempts: UInt64) -> Bool {
        guard let retries else { return false }
        return attempts > UInt64(max(0, retries))
    }

    /// The wait before the retry that follows `attempts` tries.
    /// - Parameter chance: from 0 up to 1; how much of the jitter this wait gets.
    public func delay(after attempts: UInt64, chance: Double) -> Duration {
        var seconds = initial.inSeconds
        let limit = cap.inSeconds
        for _ in 0..<min(attempts, 10_000) where seconds < limit { seconds *= max(1, factor) }
        seconds = min(limit, seconds)
        let random = min(1, max(0, jitter))
        return .seconds(seconds * (1 - random) + seconds * random * chance)
    }
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
