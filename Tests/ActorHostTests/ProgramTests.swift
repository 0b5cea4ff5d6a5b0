import Apus
import Testing
import WorkflowTrials

private struct Signup: DurableActor {
    let log: EffectLog
    struct State: DurableState { var mails = 0 }
    func run(_ workflow: inout Workflow<Self>) async throws {
        let id = try await workflow.step("create-customer") { [log] in
            log.note("customer")
            return "c-1"
        }
        try await workflow.step("welcome") { [log] in
            log.note("mail to \(id)")
        } commit: {
            $0.state.mails += 1
        }
        try await workflow.sleep("a-week", for: .days(7))
        try await workflow.step("tips") { [log] in
            log.note("tips")
        } commit: {
            $0.state.mails += 1
        }
    }
}

private struct Bank: DurableActor {
    struct State: DurableState { var balance = 0 }
    struct Queues: Declarations {
        let deposits = CompletableQueue<Int, Int>()
    }
    struct Actions: Declarations {
        let add = Action<Int, Int> { turn, amount in
            turn.state.balance += amount
            return turn.state.balance
        }
        let balance = Query<Int> { $0.state.balance }
    }
    func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.loop("deposits") { loop in
            let deposit = try await loop.next("take", from: \.deposits)
            let balance = try await loop.turn("book") { turn in
                turn.state.balance += deposit.body
                return turn.state.balance
            }
            try await deposit.complete(balance)
        }
    }
}

private struct World: Registry {
    let signup: Signup
    let bank = Bank()
    init() { self.init(log: EffectLog()) }
    init(log: EffectLog) { signup = Signup(log: log) }
}

@Suite("Workflows live, hibernated and crashed")
struct ProgramTests {
    @Test("W1 W2 W3 W10 W18 W30 W35: steps and a sleep are done once each, whatever happens in between")
    func stepsAndSleep() async throws {
        let (end, effects) = try await Trial { World(log: $0) }.run { node in
            try await node.create("signup", "a")
            let end = try await node.settle("signup", "a")
            return [end.status, end.state] + node.effects.distinctNames
        }
        #expect(end == ["completed", #"{"mails":2}"#, "customer", "mail to c-1", "tips"])
        #expect(effects.count == 3)
    }

    @Test("W31 W33 W40 A13: messages are taken once and answered once")
    func completableQueue() async throws {
        let (end, _) = try await Trial { World(log: $0) }.run { node in
            var replies: [String?] = []
            for amount in 1...5 {
                replies.append(try await node.request("bank", "b", "deposits", "\(amount)"))
            }
            replies.append(try await node.call("bank", "b", "add", "10"))
            replies.append(try await node.call("bank", "b", "balance"))
            return replies
        }
        #expect(end == ["1", "3", "6", "10", "15", "25", "25"])
    }
}
