import HTTPCalls
import NIOHTTP1
import OperatorCommands
import Synchronization

/// How much is asked of the announced programs.
enum Plan {
    static let onboardings = 150
    static let orders = 100
    /// Every fifth order is refused.
    static func isApproved(_ order: Int) -> Bool { order % 5 != 0 }
    static let orderProcessors = 100
    static let drips = 100
    static let counters = 20
    /// By action and by completable message, each.
    static let changesOfCounter = 10
    static let workers = 10
    static let jobsOfWorker = 12
    static let agents = 10
    static let promptsOfAgent = 5

    /// The programs whose runs end, with their keys.
    static let finite: [(kind: String, keys: [String])] = [
        ("onboarding", keys("u", onboardings)), ("order", keys("o", orders)),
        ("orderProcessor", keys("p", orderProcessors)), ("emailDrip", keys("m", drips)),
    ]

    static func keys(_ letter: String, _ count: Int) -> [String] { (1...count).map { "\(letter)-\($0)" } }

    static func job(_ worker: Int, _ number: Int) -> String { "/jobs/w-\(worker)/\(number)" }
    static func prompt(_ agent: Int, _ number: Int) -> String { "question \(number) of a-\(agent)" }
}

/// One request to the node, under an identity that makes repeating it harmless.
struct Ask: Sendable {
    enum Purpose: Hashable, Sendable {
        case create
        case send
        /// Adds one to a counter; the answer is its new value.
        case count(String)
    }

    var purpose: Purpose
    var method: HTTPMethod
    var path: String
    var body: String
    /// When it is sent, from 0 (the beginning of the traffic) to 1 (its end).
    var moment: Double

    /// Everything that is asked, in the order of sending.
    static var all: [Ask] {
        var asks: [Ask] = []
        func spread(_ index: Int, of count: Int, from: Double, to: Double) -> Double {
            from + (to - from) * Double(index) / Double(count)
        }
        for (kind, keys) in Plan.finite {
            // The drips begin early, because they take the longest.
            let end = kind == "emailDrip" ? 0.3 : 0.7
            for (index, key) in keys.enumerated() {
                let moment = spread(index, of: keys.count, from: 0, to: end)
                asks.append(
                    Ask(
                        purpose: .create, method: .PUT, path: "/actors/\(kind)/\(key)", body: "",
                        moment: moment))
            }
        }
        for order in 1...Plan.orders {
            // Every second one is decided soon; the others wait through the crash.
            let moment = spread(order, of: Plan.orders, from: 0, to: 0.7) + 0.1
            asks.append(
                send(
                    "order/o-\(order)", "approval", #"{"approved":\#(Plan.isApproved(order))}"#,
                    at: order % 2 == 0 ? moment : max(moment, 0.75)))
        }
        for index in 0..<Plan.changesOfCounter * Plan.counters {
            let counter = "c-\(index % Plan.counters + 1)"
            let moment = spread(index, of: Plan.changesOfCounter * Plan.counters, from: 0, to: 1)
            asks.append(
                Ask(
                    purpose: .count(counter), method: .POST,
                    path: "/actors/counter/\(counter)/actions/increment",
                    body: "1", moment: moment))
            asks.append(
                Ask(
                    purpose: .count(counter), method: .POST,
                    path: "/actors/counter/\(counter)/queues/requests",
                    body: #"{"body":{"delta":1},"wait":true,"timeoutMs":30000}"#, moment: moment))
        }
        for worker in 1...Plan.workers {
            for job in 1...Plan.jobsOfWorker {
                let moment = spread(job, of: Plan.jobsOfWorker + 1, from: 0, to: 0.8)
                asks.append(
                    send("worker/w-\(worker)", "tasks", #"{"url":"\#(Plan.job(worker, job))"}"#, at: moment))
            }
        }
        for agent in 1...Plan.agents {
            for prompt in 1...Plan.promptsOfAgent {
                let moment = spread(prompt, of: Plan.promptsOfAgent + 1, from: 0, to: 0.9)
                asks.append(
                    send(
                        "agent/a-\(agent)", "prompts", #"{"content":"\#(Plan.prompt(agent, prompt))"}"#,
                        at: moment))
            }
        }
        return asks.sorted { $0.moment < $1.moment }
    }

    private static func send(_ actor: String, _ queue: String, _ message: String, at moment: Double) -> Ask {
        Ask(
            purpose: .send, method: .POST, path: "/actors/\(actor)/queues/\(queue)",
            body: #"{"body":\#(message)}"#,
            moment: moment)
    }
}

/// What the node has acknowledged, and what it still owes.
final class Ledger: Sendable {
    struct Figures: Sendable {
        var acknowledged = 0
        var unanswered = 0
        var repeated = 0
        /// The values that each counter answered.
        var counts: [String: [Int]] = [:]
        /// Paths of actors whose creation was acknowledged.
        var created: Set<String> = []
        var refusals: [String] = []
    }

    private let figures = Mutex(Figures())

    var now: Figures { figures.withLock { $0 } }
    func change(_ body: (inout Figures) -> Void) { figures.withLock { body(&$0) } }
}

/// Sends the traffic, and repeats what was not answered under the same identity until it is.
struct Traffic: Sendable {
    let caller: HTTPCaller
    let ledger: Ledger
    let duration: Duration

    @concurrent
    func run(_ asks: [Ask]) async {
        let begin = ContinuousClock.now
        await withDiscardingTaskGroup { group in
            for (number, ask) in asks.enumerated() {
                try? await Task.sleep(until: begin + duration * ask.moment)
                if Task.isCancelled { return }
                group.addTask { await perform(ask, identity: "demo-\(number)") }
            }
        }
    }

    private func perform(_ ask: Ask, identity: String) async {
        ledger.change { $0.unanswered += 1 }
        defer { ledger.change { $0.unanswered -= 1 } }
        var isFirst = true
        while !Task.isCancelled {
            if !isFirst { ledger.change { $0.repeated += 1 } }
            isFirst = false
            let reply = try? await caller.send(
                ask.method, ask.path, headers: [("Idempotency-Key", identity)], body: Array(ask.body.utf8),
                timeout: .seconds(40))
            if let reply, reply.isSuccess { return acknowledge(ask, reply) }
            // 429 and 503 ask for patience; the rest of the 4xx will not get better.
            if let reply, 400..<500 ~= reply.status, reply.status != 429 {
                let text = String(decoding: reply.body, as: UTF8.self)
                return ledger.change { $0.refusals.append("\(ask.path): \(text)") }
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    private func acknowledge(_ ask: Ask, _ reply: HTTPReply) {
        let json = try? JSONValue(reply.body)
        ledger.change { figures in
            figures.acknowledged += 1
            switch ask.purpose {
            case .create: figures.created.insert(ask.path)
            case .send: break
            case .count(let counter):
                let value = json?["output"]?.integer ?? json?["response"]?["count"]?.integer
                if let value {
                    figures.counts[counter, default: []].append(value)
                } else {
                    figures.refusals.append("\(ask.path): \(json.map(\.description) ?? "no JSON")")
                }
            }
        }
    }
}
