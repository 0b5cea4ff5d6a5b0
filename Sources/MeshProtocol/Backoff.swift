/// Waits between attempts: doubled each time up to a bound, and spread at random so that nodes that lost the
/// same peer do not come back in step.
public struct Backoff: Hashable, Sendable {
    public struct Settings: Hashable, Sendable {
        public var first: Duration = .milliseconds(50)
        public var longest: Duration = .seconds(10)
        public init() {}
    }

    private let settings: Settings
    private var failures = 0

    public init(_ settings: Settings) { self.settings = settings }

    /// Begins anew with the shortest wait.
    public mutating func reset() { failures = 0 }

    /// The next wait: between half of the current step and all of it.
    public mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        let step = min(settings.longest, settings.first * (1 << min(failures, 30)))
        failures += 1
        return Self.spread(step, using: &random)
    }

    /// A wait as after very many failures, for what only a person can change.
    public func longest(using random: inout some RandomNumberGenerator) -> Duration {
        Self.spread(settings.longest, using: &random)
    }

    private static func spread(_ step: Duration, using random: inout some RandomNumberGenerator) -> Duration {
        step * Int(random.next(upperBound: UInt64(501)) + 500) / 1000
    }
}
