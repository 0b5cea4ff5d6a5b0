import ActorHost
import Apus
import ClientProtocol
import Identifiers
import Testing
import TimeAndChance
import WorkflowTrials

/// Accounts that send money to each other, and tellers whose runs call them.
struct Banking: Registry {
    let account = Account()
    let teller = Teller()
}

struct Account: DurableActor {
    struct State: DurableState { var balance = 0 }
    struct Queues: Declarations { let deposits = Queue<Int>(capacity: 3) }
    struct Transfer: Codable, Sendable {
        var to: String
        var amount: Int
    }
    struct Actions: Declarations {
        let open = Action<Int, NoOutput> { (turn, amount) -> Void in turn.state.balance = amount }
        let balance = Query<Int> { $0.state.balance }
        let withdraw = Action<Int, Int> { turn, amount in try turn.withdraw(amount) }
        let deposit = Action<Int, Int> { turn, amount in
            turn.state.balance += amount
            return turn.state.balance
        }
        let transfer = Action<Transfer, NoOutput> { (turn, transfer) -> Void in
            _ = try turn.withdraw(transfer.amount)
            turn.send(transfer.amount, to: \.deposits, of: \Banking.account, key: transfer.to)
        }
    }

    func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.loop("deposits") { loop in
            let deposit = try await loop.next("deposit", from: \.deposits)
            try await loop.turn("add") { $0.state.balance += deposit.body }
        }
    }
}

extension Turn<Account> {
    mutating func withdraw(_ amount: Int) throws -> Int {
        guard state.balance >= amount else { throw ActorError("overdrawn", "there is not so much") }
        state.balance -= amount
        return state.balance
    }
}

struct Teller: DurableActor {
    struct State: DurableState { var served = 0 }
    struct Order: Codable, Sendable {
        var from: String
        var to: String
        var amount: Int
        var isSent: Bool
    }
    struct Queues: Declarations { let orders = Queue<Order>() }
    struct Actions: Declarations { let served = Query<Int> { $0.state.served } }

    func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.loop("orders") { loop in
            let order = try await loop.next("order", from: \.orders).body
            var isPaid = true
            do {
                try await loop.call("withdraw", \Banking.account, order.from) { $0.withdraw(order.amount) }
            } catch let error as ActorError where error.code == "overdrawn" { isPaid = false }
            if isPaid, order.isSent {
                try await loop.send("send", order.amount, to: \.deposits, of: \Banking.account, order.to)
            } else if isPaid {
                try await loop.call("deposit", \Banking.account, order.to) { $0.deposit(order.amount) }
            }
            try await loop.turn("served") { $0.state.served += 1 }
        }
    }
}

@Suite("Money between actors is neither lost nor made")
struct BankTests {
    static let accounts = ["a", "b", "c", "d", "e", "f"]

    static func order(_ random: inout SplitMix64) -> (from: String, to: String, amount: Int) {
        let from = accounts[Int(random.next() % UInt64(accounts.count))]
        let to = accounts[Int(random.next() % UInt64(accounts.count))]
        return (from, to, Int(random.next() % 60))
    }

    @Test("I20, W60: over crashes after every record") func oneNode() async throws {
        // A few orders, because each record of them is a crash.
        try await Trial<Banking> { _ in Banking() }.run { node in
            for key in Self.accounts { _ = try await node.call("account", key, "open", "100") }
            var random = SplitMix64(seed: 5)
            for number in 0..<4 {
                let order = Self.order(&random)
                _ = try await node.call(
                    "account", order.from, "transfer", #"{"to":"\#(order.to)","amount":\#(order.amount)}"#)
                try await node.send(
                    "teller", "t\(number % 2)", "orders",
                    #"{"from":"\#(order.to)","to":"\#(order.from)","amount":7,"isSent":\#(number % 2 == 0)}"#)
            }
            try await node.until("all are served and all has come") {
                node.clock.advance(by: .milliseconds(50))
                var served = 0
                for teller in ["t0", "t1"] {
                    served += Int(try await node.call("teller", teller, "served")) ?? 0
                }
                var sum = 0
                for key in Self.accounts {
                    sum += Int(try await node.call("account", key, "balance")) ?? 0
                }
                return served == 4 && sum == 600
            }
            return 0
        }
    }

    @Test(
        "I20, I12, I13, W60: over moves of both sides, and a network that loses, repeats and reorders",
        arguments: 0..<12 as Range<UInt64>)
    func twoNodes(seed: UInt64) async throws {
        var random = SplitMix64(seed: seed &* 77 &+ 1)
        let idle: Duration = seed % 2 == 0 ? .zero : .seconds(1_000_000_000)
        let nodes = try TwoNodes(Banking(), idle: idle, seed: seed)
        for key in Self.accounts { _ = try await nodes.call("account", key, "open", "100") }
        let orders = 30
        var refused = 0
        for number in 0..<orders {
            let order = Self.order(&random)
            do {
                _ = try await nodes.call(
                    "account", order.from, "transfer", #"{"to":"\#(order.to)","amount":\#(order.amount)}"#)
            } catch let error as ActorError where error.code == "overdrawn" { refused += 1 }
            let other = Self.order(&random)
            _ = try await nodes.perform(
                "teller", "t\(number % 3)",
                .send(
                    queue: "orders",
                    body: Payload(
                        """
                        {"from":"\(other.from)","to":"\(other.to)","amount":\(other.amount),\
                        "isSent":\(number % 2 == 0)}
                        """)))
            if random.next() % 4 == 0 { nodes.move(PartitionID(Int(random.next() % 4))) }
        }
        #expect(refused < orders)
        func sum() async throws -> Int {
            var sum = 0
            for key in Self.accounts { sum += Int(try await nodes.call("account", key, "balance")) ?? 0 }
            return sum
        }
        try await nodes.until("all are served") {
            if random.next() % 20 == 0 { nodes.move(PartitionID(Int(random.next() % 4))) }
            var served = 0
            for teller in ["t0", "t1", "t2"] {
                served += Int(try await nodes.call("teller", teller, "served")) ?? 0
            }
            return served == orders
        }
        try await nodes.until("everything has come") { try await sum() == 600 }
        // Nothing comes twice, however late.
        for _ in 0..<50 { await nodes.breathe() }
        #expect(try await sum() == 600)
        #expect(nodes.carrier.carried > 0)
    }
}
