import Apus
import Identifiers
import Synchronization

/// What runs on the simulated nodes: accounts that send money to each other, tellers whose runs call them,
/// and errands that need the outside world.
struct Bank: Registry {
    let account: Account
    let teller = Teller()
    let errand: Errand
    let scratch = Scratch()

    init() { self.init(port: WorldPort(machine: 0, process: 0)) }

    init(port: WorldPort) {
        account = Account()
        errand = Errand(port: port)
    }
}

/// An account. Money is made when it comes into being, and nowhere else.
struct Account: DurableActor {
    static let opening = 100

    struct State: DurableState {
        var balance = 0
        var bumps = 0
        var sent = 0
    }
    struct Queues: Declarations { let deposits = Queue<Int>(capacity: 3) }
    struct Transfer: Codable, Sendable {
        var to: String
        var amount: Int
    }
    struct Actions: Declarations {
        let bump = Action<NoInput, Int> { turn in
            turn.state.bumps += 1
            return turn.state.bumps
        }
        let look = Query<Int> { $0.state.bumps }
        let withdraw = Action<Int, Int> { turn, amount in
            guard turn.state.balance >= amount else { throw ActorError("overdrawn", "not so much is there") }
            turn.state.balance -= amount
            return turn.state.balance
        }
        let deposit = Action<Int, Int> { turn, amount in
            turn.state.balance += amount
            return turn.state.balance
        }
        let slowDeposit = AsyncAction<Int, Int> { context, amount in
            try await context.turn("add") { turn in
                turn.state.balance += amount
                return turn.state.balance
            }
        }
        /// Whether there was enough.
        let transfer = Action<Transfer, Bool> { turn, transfer in
            guard turn.state.balance >= transfer.amount else { return false }
            turn.state.balance -= transfer.amount
            turn.state.sent += 1
            turn.send(transfer.amount, to: \.deposits, of: \Bank.account, key: transfer.to)
            return true
        }
    }

    func onCreate(_ turn: inout Turn<Self>, input: NoInput?) throws { turn.state.balance = Self.opening }

    func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.loop("deposits") { loop in
            let deposit = try await loop.next("deposit", from: \.deposits)
            try await loop.turn("add") { $0.state.balance += deposit.body }
        }
    }
}

/// Moves money from one account to another, by calls.
struct Teller: DurableActor {
    struct State: DurableState { var served = 0 }
    struct Order: Codable, Sendable {
        enum Way: Int, Codable, Sendable { case send, call, slowCall }
        var from: String
        var to: String
        var amount: Int
        var way: Way
    }
    struct Queues: Declarations { let orders = Queue<Order>() }

    func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.loop("orders") { loop in
            let order = try await loop.next("order", from: \.orders).body
            var isPaid = true
            do {
                try await loop.call("withdraw", \Bank.account, order.from) { $0.withdraw(order.amount) }
            } catch let error as ActorError where error.code == "overdrawn" { isPaid = false }
            if isPaid {
                switch order.way {
                case .send:
                    try await loop.send("send", order.amount, to: \.deposits, of: \Bank.account, order.to)
                case .call:
                    try await loop.call("deposit", \Bank.account, order.to) { $0.deposit(order.amount) }
                case .slowCall:
                    try await loop.call("slow", \Bank.account, order.to) { $0.slowDeposit(order.amount) }
                }
            }
            try await loop.turn("served") { $0.state.served += 1 }
        }
    }
}

/// Does jobs that need the outside world, with sleeps, retries and limits of time.
struct Errand: DurableActor {
    let port: WorldPort

    struct State: DurableState {
        var done: [Int] = []
        var idleRounds = 0
        /// How often each job was tried.
        var tries: [Int: Int] = [:]
    }
    struct Job: Codable, Sendable {
        var id: Int
        var restMillis: Int
        /// Whether its second effect may be tried once only.
        var isOnce: Bool
        /// How often it ends with an error, and is delivered again.
        var flops: Int
    }
    struct Queues: Declarations {
        let jobs = CompletableQueue<Job, Int>(capacity: 20, attempts: 3, visibility: .milliseconds(100))
    }
    private struct Flop: Error {}

    var options: ActorOptions { ActorOptions(retainedIterations: 2) }

    func run(_ workflow: inout Workflow<Self>) async throws {
        // A job that ends with an error ends the loop, too.
        var flops = 0
        while true {
            do { try await work("jobs \(flops)", &workflow) } catch is Flop { flops += 1 }
        }
    }

    private func work(_ name: String, _ workflow: inout Workflow<Self>) async throws {
        let (port, key) = (port, workflow.key)
        let retry = RetryPolicy(
            retries: nil, initial: .milliseconds(20), cap: .milliseconds(400), jitter: 0.5,
            retryOnTimeout: true)
        try await workflow.loop(name) { loop in
            guard let message = try await loop.next("job", from: \.jobs, within: .seconds(3)) else {
                return try await loop.turn("idle") { $0.state.idleRounds += 1 }
            }
            let job = message.body
            let tries = try await loop.turn("try") { turn in
                turn.state.tries[job.id, default: 0] += 1
                return turn.state.tries[job.id, default: 0]
            }
            guard tries > job.flops else { throw Flop() }
            let receipt = try await loop.step("pay", retry: retry, timeout: .milliseconds(400)) {
                try await port.call(for: key)
            }
            port.sees(receipt, as: "pay", of: job.id)
            if job.restMillis > 0 { try await loop.sleep("rest", for: .milliseconds(job.restMillis)) }
            var second = 0
            do {
                second = try await loop.step(
                    "tell", retry: job.isOnce ? .never : retry, timeout: .milliseconds(400)
                ) { try await port.call(for: key) }
            } catch is StepFailure {}
            port.sees(second, as: "tell", of: job.id)
            let result = receipt
            try await loop.turn("done", answering: message) { turn in
                turn.state.done.append(job.id)
                return result
            }
        }
    }
}

/// A counter that its client destroys now and then, and begins anew.
struct Scratch: DurableActor {
    struct State: DurableState { var count = 0 }
    struct Actions: Declarations {
        let bump = Action<NoInput, Int> { turn in
            turn.state.count += 1
            return turn.state.count
        }
    }
}
