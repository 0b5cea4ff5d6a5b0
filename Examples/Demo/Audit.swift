import HTTPCalls
import NIOHTTP1
import OperatorCommands

/// One call as the outside world recorded it.
struct OutsideCall: Decodable, Sendable {
    var path: String
    var body: String
    var idempotencyKey: String?
    var at: Int64
    var status: Int
}

/// What became of one program, counted after everything has ended.
struct Tally: Sendable {
    var program: String
    var runs = 0
    var work = 0
    /// Calls that succeeded, and how many of them came again under the key of an earlier one.
    var called = 0
    var repeated = 0
    /// Acknowledged or recorded results that are not to be found, each with a sentence.
    var lost: [String] = []
    /// Turns, or effects of completed steps, that happened twice.
    var doubled: [String] = []

    init(_ program: String) { self.program = program }

    mutating func expect(_ found: Int, _ wanted: Int, _ what: @autoclosure () -> String) {
        if found < wanted { lost.append("\(what()): \(found) of \(wanted)") }
        if found > wanted { doubled.append("\(what()): \(found), not \(wanted)") }
    }
}

/// Compares what the node says with what it acknowledged and with what the outside world saw.
struct Audit: Sendable {
    let caller: HTTPCaller
    let ledger: Ledger.Figures
    /// Keys of steps that were already recorded before the kill: their effect must not be seen afterwards.
    let completedBefore: Set<String>
    /// Milliseconds since 1970.
    let restartedAt: Int64
    /// How often the node was killed: an effect that was under way may come once more each time.
    static let kills = 1
    private let byPath: [String: [OutsideCall]]
    private let keysCalled: Set<String>

    init(
        caller: HTTPCaller, ledger: Ledger.Figures, calls: [OutsideCall], completedBefore: Set<String>,
        restartedAt: Int64
    ) {
        self.caller = caller
        self.ledger = ledger
        self.completedBefore = completedBefore
        self.restartedAt = restartedAt
        // A call that was answered with a failure, as asked, had no effect.
        let successes = calls.filter { $0.status == 200 }
        byPath = Dictionary(grouping: successes, by: \.path)
        keysCalled = Set(successes.compactMap(\.idempotencyKey))
    }

    @concurrent
    func tallies() async -> [Tally] {
        [
            await onboarding(), await order(), await counter(), await worker(), await emailDrip(),
            await agent(), await orderProcessor(),
        ]
    }

    // MARK: The programs

    private func onboarding() async -> Tally {
        var tally = Tally("onboarding")
        let looks = await runs(&tally, steps: 3)
        let emails = Dictionary(grouping: calls("/v3/mail/send")) { Self.member("customerId", $0) ?? "" }
        let signups = Dictionary(grouping: calls("/capture")) { Self.member("distinct_id", $0) ?? "" }
        effects(calls("/v1/customers"), expected: Plan.onboardings, "customers", &tally)
        for look in looks {
            let customer = look.history.entries.first { $0.path == "create-customer" }?.value?.string ?? "?"
            let run = ActorText.name(look.actor)
            effects(emails[customer] ?? [], expected: 1, "\(run) send-welcome-email", &tally)
            effects(signups[customer] ?? [], expected: 1, "\(run) track-signup", &tally)
        }
        return tally
    }

    private func order() async -> Tally {
        var tally = Tally("order")
        let looks = await runs(&tally, steps: 2)
        for look in looks {
            let run = ActorText.name(look.actor)
            let key = look.actor.key.first ?? ""
            let isApproved = Plan.isApproved(Int(key.dropFirst(2)) ?? 0)
            let path = "/orders/\(key)"
            effects(calls("\(path)/validate"), expected: 1, "\(run) validate-order", &tally)
            effects(calls("\(path)/fulfill"), expected: isApproved ? 1 : 0, "\(run) fulfill-order", &tally)
            effects(calls("\(path)/cancel"), expected: isApproved ? 0 : 1, "\(run) cancel-order", &tally)
            let status = look.actor.state?["status"]?.string
            if status != (isApproved ? "fulfilled" : "cancelled") {
                tally.lost.append("\(run) is \(status ?? "without a status")")
            }
        }
        return tally
    }

    /// Each change adds one, so the values that a counter answered must be 1, 2, 3, …, each once.
    private func counter() async -> Tally {
        var tally = Tally("counter")
        for key in Plan.keys("c", Plan.counters) {
            let all = 2 * Plan.changesOfCounter
            let count = await actor("counter", key)?.state?["count"]?.integer ?? 0
            let answered = Set(ledger.counts[key] ?? [])
            tally.runs += 1
            tally.work += count
            tally.expect(count, all, "counter/\(key) counted")
            for value in 1...all where !answered.contains(value) {
                tally.lost.append("counter/\(key) never answered \(value)")
            }
            tally.expect(ledger.counts[key]?.count ?? 0, all, "counter/\(key) answers")
        }
        return tally
    }

    private func worker() async -> Tally {
        var tally = Tally("worker")
        for worker in 1...Plan.workers {
            let done = await actor("worker", "w-\(worker)")?.state?["processed"]?.integer ?? 0
            tally.runs += 1
            tally.work += done
            tally.expect(done, Plan.jobsOfWorker, "worker/w-\(worker) jobs")
            for job in 1...Plan.jobsOfWorker {
                effects(calls(Plan.job(worker, job)), expected: 1, "job \(Plan.job(worker, job))", &tally)
            }
        }
        return tally
    }

    private func emailDrip() async -> Tally {
        var tally = Tally("emailDrip")
        for look in await runs(&tally, steps: 3) {
            let sent = look.actor.state?["emailsSent"]?.integer ?? 0
            tally.expect(sent, 3, "\(ActorText.name(look.actor)) emails")
        }
        let emails = Dictionary(grouping: calls("/v3/mail/send")) { Self.member("template", $0) ?? "" }
        for template in ["welcome", "tips", "offer"] {
            effects(emails[template] ?? [], expected: Plan.drips, "emails of template \(template)", &tally)
        }
        return tally
    }

    private func agent() async -> Tally {
        var tally = Tally("agent")
        let answers = Dictionary(grouping: calls("/v1/chat/completions")) { Self.member("prompt", $0) ?? "" }
        for agent in 1...Plan.agents {
            let messages = await actor("agent", "a-\(agent)")?.state?["messages"]?.array ?? []
            let roles = messages.map { $0["role"]?.string ?? "?" }
            tally.runs += 1
            tally.work += messages.count
            tally.expect(messages.count, 2 * Plan.promptsOfAgent, "agent/a-\(agent) messages")
            for (index, role) in roles.enumerated() where role != (index % 2 == 0 ? "user" : "assistant") {
                tally.lost.append("agent/a-\(agent) has message \(index) from \(role)")
            }
            for number in 1...Plan.promptsOfAgent {
                let prompt = Plan.prompt(agent, number)
                let said = messages.filter { $0["content"]?.string == prompt }.count
                tally.expect(said, 1, "agent/a-\(agent) \"\(prompt)\"")
                effects(answers[prompt] ?? [], expected: 1, "the answer to \"\(prompt)\"", &tally)
            }
        }
        return tally
    }

    private func orderProcessor() async -> Tally {
        var tally = Tally("orderProcessor")
        for look in await runs(&tally, steps: 3)
        where look.actor.state?["status"]?.string != "fulfilled" {
            tally.lost.append("\(ActorText.name(look.actor)) is not fulfilled")
        }
        for path in ["/orders/validate", "/v1/charges", "/orders/ship"] {
            effects(calls(path), expected: Plan.orderProcessors, path, &tally)
        }
        return tally
    }

    // MARK: What they have in common

    private func calls(_ path: String) -> [OutsideCall] { byPath[path] ?? [] }

    /// Counts the successful calls of some steps. Each step has one idempotency key for all its attempts in
    /// all its lives, so there are as many keys as steps; a key that comes again is the same effect again.
    private func effects(_ calls: [OutsideCall], expected: Int, _ what: String, _ tally: inout Tally) {
        let keys = Dictionary(grouping: calls) { $0.idempotencyKey ?? "" }
        tally.called += calls.count
        tally.repeated += calls.count - keys.count
        tally.expect(keys.count, expected, what)
        for (key, calls) in keys {
            if calls.count > 1 + Self.kills {
                tally.doubled.append("\(what) came \(calls.count) times under the key \(key)")
            }
            if completedBefore.contains(key), calls.contains(where: { $0.at >= restartedAt }) {
                tally.doubled.append("\(what) was recorded before the kill, and was performed again")
            }
        }
    }

    private func runs(_ tally: inout Tally, steps: Int) async -> [RunText] {
        var looks: [RunText] = []
        for key in Plan.finite.first(where: { $0.kind == tally.program })?.keys ?? [] {
            let path = "/actors/\(tally.program)/\(key)"
            if !ledger.created.contains(path) { tally.lost.append("\(path) was never acknowledged") }
            tally.runs += 1
            guard let actor = await actor(tally.program, key),
                let history: HistoryDocument = try? await caller.json("\(path)/history")
            else {
                tally.lost.append("\(path) is gone")
                continue
            }
            let look = RunText(actor: actor, history: history)
            let done = look.history.entries.filter { $0.kind == "step" && $0.status == "completed" }
            tally.work += done.count
            tally.expect(done.count, steps, "\(ActorText.name(look.actor)) steps")
            for step in done where !keysCalled.contains(step.idempotencyKey ?? "") {
                tally.lost.append("\(ActorText.name(look.actor)) \(step.path) was never called outside")
            }
            let status = look.actor.run?.status ?? "absent"
            if status != "completed" {
                tally.lost.append("the run of \(ActorText.name(look.actor)) is \(status)")
            }
            looks.append(look)
        }
        return looks
    }

    /// nil if the node does not know it.
    private func actor(_ kind: String, _ key: String) async -> ActorDocument? {
        try? await caller.json("/actors/\(kind)/\(key)")
    }

    private static func member(_ name: String, _ call: OutsideCall) -> String? {
        (try? JSONValue(Array(call.body.utf8)))?[name]?.string
    }
}
