import TimeAndChance

/// Money that goes from one account to another.
package struct LoadTransfer: Hashable, Sendable {
    /// How it goes.
    package enum Way: Hashable, Sendable, CaseIterable {
        /// The account sends it by itself: a turn and a message.
        case byMessage
        /// A workflow calls both accounts.
        case byCalls
        /// A workflow calls the one account and sends to the other.
        case byCallAndMessage
    }

    package var number: Int
    package var from: Int
    package var to: Int
    package var amount: Int
    package var way: Way

    package init(number: Int, from: Int, to: Int, amount: Int, way: Way) {
        self.number = number
        self.from = from
        self.to = to
        self.amount = amount
        self.way = way
    }
}

/// One thing that is asked of the node.
package enum LoadOperation: Hashable, Sendable {
    /// An action that adds to a counter and answers with the total.
    case increment(counter: Int, by: Int)
    /// The same by a completable message.
    case request(counter: Int, by: Int)
    /// The same over plain HTTP, under an idempotency key that no other operation has.
    case keyed(counter: Int, by: Int, number: Int)
    /// The one decision about an order.
    case decide(order: Int, isApproved: Bool)
    case transfer(LoadTransfer)
    /// A workflow that sleeps for a time, and records when it woke.
    case alarm(number: Int, delayMillis: Int)

    /// Whether a turn answers it, and not the run of a workflow, whose steps take their time.
    var isAnsweredByTurn: Bool {
        switch self {
        case .increment, .keyed, .decide, .alarm: true
        case .request, .transfer: false
        }
    }
}

/// What is put on a node, and for how long.
package struct LoadSettings: Sendable {
    package var seed: UInt64 = 1
    /// How many counters there are.
    package var actors = 100
    /// How many accounts a bank has. When it has seen 50 transfers for each account, the next bank opens, so
    /// that no ledger grows without end.
    package var accounts = 50
    /// Shares of all operations, in percent; the rest are increments by action.
    package var requestsPercent = 20
    package var keyedPercent = 0
    package var ordersPercent = 0
    package var transfersPercent = 0
    /// Timers, set as soon as they can be.
    package var timers = 0
    /// When the first and the last timer are due, from the beginning of the load.
    package var timersDue: ClosedRange<Duration> = .zero ... .seconds(10)
    package var inFlight = 64
    /// Whichever comes first ends the load; nil for no such end.
    package var operationsMax: Int?
    package var duration: Duration?
    /// How long a call is repeated before its outcome counts as unknown, and how long what was begun may take
    /// to end.
    package var patience: Duration = .seconds(60)

    package init() {}

    package var transfersOfBank: Int { accounts * 50 }
}

/// The operations of a load, one after the other. The same settings give the same ones.
///
/// Each counter has a sequence of its own, which depends on the seed and its number only. The counters come
/// one after the other first, so that none is left out, and then by chance.
package struct LoadProgram: Sendable {
    /// What is remembered of each, and so how many there may be; after that, counters take their place.
    static let ordersMax = 1_000_000
    static let transfersMax = 1_000_000

    private let settings: LoadSettings
    private var random: SplitMix64
    private var alarmsRandom: SplitMix64
    /// How many operations each counter had.
    private var asked: [UInt32]
    private var count = 0
    private var changes = 0
    private var orders = 0
    private var transfers = 0
    private var alarms = 0

    /// How many operations were given out, timers among them.
    package var begun: Int { count + alarms }

    package init(_ settings: LoadSettings) {
        self.settings = settings
        random = SplitMix64(seed: settings.seed)
        alarmsRandom = SplitMix64(seed: settings.seed ^ 0x616c_6172_6d73)
        asked = Array(repeating: 0, count: settings.actors)
    }

    /// The next operation; nil when all were given out.
    package mutating func next() -> LoadOperation? {
        if let limit = settings.operationsMax, count >= limit { return nil }
        count += 1
        let chance = Int.random(in: 0..<100, using: &random)
        if chance < settings.ordersPercent, orders < Self.ordersMax {
            orders += 1
            return .decide(order: orders - 1, isApproved: Int.random(in: 1...9, using: &random) > 3)
        }
        let other = settings.ordersPercent + settings.transfersPercent
        if chance >= settings.ordersPercent, chance < other, transfers < Self.transfersMax {
            return nextTransfer()
        }
        return nextChange(among: max(1, 100 - other))
    }

    private mutating func nextChange(among share: Int) -> LoadOperation {
        let isFirst = changes < settings.actors
        let counter = isFirst ? changes : Int.random(in: 0..<settings.actors, using: &random)
        changes += 1
        let index = asked[counter]
        asked[counter] += 1
        let place = UInt64(counter) << 32 | UInt64(index)
        var own = SplitMix64(seed: settings.seed &* 0x9E37_79B9_7F4A_7C15 ^ place)
        let amount = Int.random(in: 1...9, using: &own)
        let way = Int.random(in: 0..<share, using: &own)
        if way < settings.requestsPercent { return .request(counter: counter, by: amount) }
        return way < settings.requestsPercent + settings.keyedPercent
            ? .keyed(counter: counter, by: amount, number: changes - 1)
            : .increment(counter: counter, by: amount)
    }

    private mutating func nextTransfer() -> LoadOperation {
        let first = transfers / settings.transfersOfBank * settings.accounts
        let from = Int.random(in: 0..<settings.accounts, using: &random)
        let further = Int.random(in: 1..<settings.accounts, using: &random)
        let amount = Int.random(in: 1...VerifiedAccount.opening, using: &random)
        let ways = LoadTransfer.Way.allCases
        let way = ways[Int.random(in: 0..<ways.count, using: &random)]
        transfers += 1
        return .transfer(
            LoadTransfer(
                number: transfers - 1, from: first + from, to: first + (from + further) % settings.accounts,
                amount: amount, way: way))
    }

    /// The next timer; nil when all were given out.
    /// - Parameter elapsed: since the beginning of the load.
    package mutating func nextAlarm(after elapsed: Duration) -> LoadOperation? {
        guard alarms < settings.timers else { return nil }
        alarms += 1
        let first = settings.timersDue.lowerBound.wholeMillis
        let last = settings.timersDue.upperBound.wholeMillis
        let due = Int.random(in: first...last, using: &alarmsRandom)
        return .alarm(number: alarms - 1, delayMillis: max(0, due - elapsed.wholeMillis))
    }
}

extension Duration {
    /// Without the rest.
    var wholeMillis: Int {
        Int(components.seconds) * 1_000 + Int(components.attoseconds / 1_000_000_000_000_000)
    }
}
