import Apus

// What `apus-load` asks for in order to prove a cluster: their state says all that happened to them, so that
// whoever reads it back sees what is missing and what is there twice.

/// An account whose ledger explains its balance. Money is made when it comes into being, and nowhere else.
public struct VerifyAccount: DurableActor {
    /// What an account has to begin with.
    public static let opening = 100

    /// One side of a transfer.
    public struct Entry: Codable, Sendable {
        public var transfer: Int
        /// Negative where it comes from.
        public var amount: Int
    }
    public struct State: DurableState {
        public var balance = VerifyAccount.opening
        /// In the order of the turns.
        public var entries: [Entry] = []
        public init() {}

        /// - Returns: whether there was enough.
        mutating func book(_ entry: Entry) -> Bool {
            guard balance + entry.amount >= 0 else { return false }
            balance += entry.amount
            entries.append(entry)
            return true
        }
    }
    public struct Transfer: Codable, Sendable {
        public var transfer: Int
        /// The number of the other account.
        public var to: Int
        public var amount: Int
    }
    public struct Queues: Declarations {
        public let deposits = Queue<Entry>()
        public init() {}
    }
    public struct Actions: Declarations {
        public let withdraw = Action<Entry, Bool> { $0.state.book($1) }
        public let deposit = Action<Entry, Bool> { $0.state.book($1) }
        /// Takes the money here, and sends it there, in one turn; false if there is not enough.
        public let transfer = Action<Transfer, Bool> { turn, order in
            guard turn.state.book(Entry(transfer: order.transfer, amount: -order.amount)) else {
                return false
            }
            turn.send(
                Entry(transfer: order.transfer, amount: order.amount), to: \.deposits,
                of: \AnnouncedRegistry.verifyAccount, key: turn.key.parts[0], String(order.to))
            return true
        }
        public init() {}
    }

    public func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.loop("deposits") { loop in
            let deposit = try await loop.next("deposit", from: \.deposits)
            try await loop.turn("add") { _ = $0.state.book(deposit.body) }
        }
    }
}

/// A workflow that moves money from one account to another by calls, and answers when it has.
public struct VerifyTeller: DurableActor {
    public struct Order: Codable, Sendable {
        public var transfer: Int
        public var from: Int
        public var to: Int
        public var amount: Int
        /// The deposit goes by a message, in place of a call.
        public var isSent: Bool
    }
    public struct Receipt: Codable, Sendable {
        public var isPaid: Bool
    }
    public struct Queues: Declarations {
        public let orders = CompletableQueue<Order, Receipt>()
        public init() {}
    }

    public func run(_ workflow: inout Workflow<Self>) async throws {
        let bank = workflow.key.parts[0]
        try await workflow.loop("orders") { loop in
            let message = try await loop.next("order", from: \.orders)
            let order = message.body
            let debit = VerifyAccount.Entry(transfer: order.transfer, amount: -order.amount)
            let credit = VerifyAccount.Entry(transfer: order.transfer, amount: order.amount)
            let isPaid = try await loop.call(
                "withdraw", \AnnouncedRegistry.verifyAccount, bank, String(order.from)
            ) { $0.withdraw(debit) }
            if isPaid, order.isSent {
                try await loop.send(
                    "send", credit, to: \.deposits, of: \AnnouncedRegistry.verifyAccount, bank,
                    String(order.to))
            } else if isPaid {
                try await loop.call(
                    "deposit", \AnnouncedRegistry.verifyAccount, bank, String(order.to)
                ) { $0.deposit(credit) }
            }
            try await message.complete(Receipt(isPaid: isPaid))
        }
    }
}

/// Sleeps once, and records when it woke: in its state by the time of its partition, and outside if it is to.
public struct VerifyAlarm: DurableActor {
    public struct Input: Codable, Sendable {
        public var delayMillis: Int
        /// Whether the outside world is told when it fires.
        public var rings: Bool
    }
    public struct State: DurableState {
        /// Microseconds since 1970, as the others.
        public var setAt: UInt64 = 0
        public var dueAt: UInt64 = 0
        /// One, if all is well.
        public var firedAt: [UInt64] = []
        public init() {}
    }
    let outside: Outside

    public func onCreate(_ turn: inout Turn<Self>, input: Input?) throws {
        turn.state.setAt = turn.now.rawValue
        turn.state.dueAt = turn.now.rawValue + UInt64(max(0, input?.delayMillis ?? 0)) * 1_000
    }

    public func run(_ workflow: inout Workflow<Self>) async throws {
        let delay = try workflow.input?.delayMillis ?? 0
        // By the state's own time: the run begins after the turn that has made the actor.
        let due = try await workflow.turn("due") { turn in turn.state.dueAt }
        if delay > 0 { try await workflow.sleep("sleep", until: Timestamp(rawValue: due)) }
        try await workflow.turn("fire") { turn in turn.state.firedAt.append(turn.now.rawValue) }
        guard try workflow.input?.rings == true else { return }
        let path = "/verify/alarms/\(workflow.key)"
        try await workflow.step("ring", retry: .upTo(10)) { [outside] in _ = try await outside.post(path) }
    }
}
