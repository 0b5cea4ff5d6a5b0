import TimeAndChance

/// One thing that is asked of the node.
package enum LoadOperation: Hashable, Sendable {
    /// An action that adds to a counter and answers with the total.
    case increment(counter: Int, by: Int)
    /// The same by a completable message.
    case request(counter: Int, by: Int)
    /// The one decision about an order.
    case decide(order: Int, isApproved: Bool)
}

/// What is put on a node, and for how long.
package struct LoadSettings: Sendable {
    package var seed: UInt64 = 1
    /// How many counters there are.
    package var actors = 100
    /// Shares of all operations, in percent; the rest are increments by action.
    package var requestsPercent = 20
    package var ordersPercent = 0
    package var inFlight = 64
    /// Whichever comes first ends the load; nil for no such end.
    package var operationsMax: Int?
    package var duration: Duration?
    /// How long a call is repeated before its outcome counts as unknown, and how long orders may take to end.
    package var patience: Duration = .seconds(60)

    package init() {}
}

/// The operations of a load, one after the other. The same settings give the same ones.
package struct LoadProgram: Sendable {
    private let settings: LoadSettings
    private var random: SplitMix64
    package private(set) var count = 0
    private var orders = 0

    package init(_ settings: LoadSettings) {
        self.settings = settings
        random = SplitMix64(seed: settings.seed)
    }

    /// The next operation; nil when all were given out.
    package mutating func next() -> LoadOperation? {
        if let limit = settings.operationsMax, count >= limit { return nil }
        count += 1
        let chance = Int.random(in: 0..<100, using: &random)
        let counter = Int.random(in: 0..<settings.actors, using: &random)
        let amount = Int.random(in: 1...9, using: &random)
        if chance < settings.ordersPercent {
            orders += 1
            return .decide(order: orders - 1, isApproved: amount > 3)
        }
        return chance < settings.ordersPercent + settings.requestsPercent
            ? .request(counter: counter, by: amount) : .increment(counter: counter, by: amount)
    }
}
