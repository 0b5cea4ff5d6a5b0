import Foundation
import NIOHTTP1
import Synchronization
import TimeAndChance

/// What clients do while the node dies and comes back, and what they are told.
final class Load: Sendable {
    struct UnexpectedAnswer: Error, CustomStringConvertible {
        var request: String
        var answer: Answer
        var description: String { "\(request) was answered \(answer.status) \(answer.text)" }
    }

    /// A run that was created.
    private struct Begun {
        var path: String
        var expectedSteps: [String]
        /// A member of the state and its value at the end, both as JSON.
        var expectedState: (member: String, value: String)?
    }

    private struct Book {
        var replies: [Evidence.CounterReply] = []
        var runs: [Begun] = []
        var jobs: [Evidence.Jobs] = []
    }

    /// Changes and looks that go to one counter before a fresh one is taken.
    static let changesPerCounter = 400
    static let jobsPerWorker = 20

    let fixture: any LoadTarget
    private let seed: UInt64
    private let book = Mutex(Book())
    /// Places in the order of everything that clients begin and see ended.
    private let places = Atomic<Int>(0)
    private let numbers = Atomic<Int>(0)
    private let isOver = Atomic<Bool>(false)

    init(_ fixture: any LoadTarget, seed: UInt64) {
        self.fixture = fixture
        self.seed = seed
    }

    /// Lets every client finish what it has begun, and begin nothing more.
    func finish() { isOver.store(true, ordering: .relaxed) }

    /// Runs all clients until `finish`, or until one of them meets what it must not.
    func run() async throws {
        let clients: [@Sendable (HTTPClient, inout SplitMix64) async throws -> Void] =
            Array(repeating: { try await self.increment($0, &$1) }, count: 2)
            + Array(repeating: { try await self.request($0, &$1) }, count: 2)
            + Array(repeating: { try await self.look($0, &$1) }, count: 1)
            + Array(repeating: { client, _ in try await self.onboarding(client) }, count: 2)
            + Array(repeating: { try await self.order($0, &$1) }, count: 3)
            + Array(repeating: { client, _ in try await self.orderProcessor(client) }, count: 1)
            + Array(repeating: { client, _ in try await self.emailDrip(client) }, count: 3)
            + Array(repeating: { client, _ in try await self.worker(client) }, count: 2)
            + [{ try await self.weather($0, &$1) }]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, client) in clients.enumerated() {
                group.addTask { [self] in
                    let connection = HTTPClient()
                    var random = SplitMix64(seed: seed &+ UInt64(index))
                    while !isOver.load(ordering: .relaxed) { try await client(connection, &random) }
                }
            }
            try await group.waitForAll()
        }
    }

    private func number() -> Int { numbers.add(1, ordering: .relaxed).oldValue }
    private func place() -> Int { places.add(1, ordering: .sequentiallyConsistent).oldValue }

    private func expect(_ answer: Answer, _ statuses: Int..., to request: String) throws {
        guard statuses.contains(answer.status) else {
            throw UnexpectedAnswer(request: request, answer: answer)
        }
    }

    // MARK: Counters

    private func counter() -> (number: Int, name: String) {
        let number = number()
        return (number, "counter/c\(number / Self.changesPerCounter)")
    }

    private func note(_ counter: String, _ delta: Int?, _ total: Int?, began: Int, _ answer: Answer) throws {
        guard let total else { throw UnexpectedAnswer(request: counter, answer: answer) }
        let reply = Evidence.CounterReply(
            counter: counter, delta: delta, total: total, began: began, ended: place())
        book.withLock { $0.replies.append(reply) }
    }

    private func increment(_ client: HTTPClient, _ random: inout SplitMix64) async throws {
        let (number, counter) = counter()
        let delta = Int.random(in: 1...9, using: &random)
        let path = "/actors/\(counter)/actions/increment"
        let began = place()
        let answer = try await fixture.settle(client, .POST, path, "\(delta)", key: "increment-\(number)")
        try expect(answer, 200, to: path)
        try note(counter, delta, answer.json["output"] as? Int, began: began, answer)
        try await Task.sleep(for: .milliseconds(5))
    }

    private func request(_ client: HTTPClient, _ random: inout SplitMix64) async throws {
        let (number, counter) = counter()
        let delta = Int.random(in: 1...9, using: &random)
        let path = "/actors/\(counter)/queues/requests"
        let began = place()
        let answer = try await fixture.settle(
            client, .POST, path, #"{"body": {"delta": \#(delta)}, "wait": true}"#, key: "request-\(number)")
        try expect(answer, 200, to: path)
        let response = answer.json["response"] as? [String: Any]
        try note(counter, delta, response?["count"] as? Int, began: began, answer)
        try await Task.sleep(for: .milliseconds(5))
    }

    /// Looks at a counter from outside, or through its query.
    private func look(_ client: HTTPClient, _ random: inout SplitMix64) async throws {
        let (number, counter) = counter()
        let began = place()
        if number % 2 == 0 {
            let answer = try await fixture.settle(client, .GET, "/actors/\(counter)")
            guard answer.status != 404 else { return }
            try expect(answer, 200, to: "GET \(counter)")
            try note(
                counter, nil, (answer.json["state"] as? [String: Any])?["count"] as? Int, began: began, answer
            )
        } else {
            let answer = try await fixture.settle(client, .POST, "/actors/\(counter)/actions/getState")
            try expect(answer, 200, to: "getState of \(counter)")
            try note(
                counter, nil, (answer.json["output"] as? [String: Any])?["count"] as? Int, began: began,
                answer)
        }
        try await Task.sleep(for: .milliseconds(5))
    }

    // MARK: Runs

    private func create(
        _ client: HTTPClient, _ kind: String, steps: [String], state: (member: String, value: String)? = nil
    ) async throws -> String {
        let path = "/actors/\(kind)/r\(number())"
        let answer = try await fixture.settle(client, .PUT, path)
        try expect(answer, 200, 201, to: "PUT \(path)")
        book.withLock { $0.runs.append(Begun(path: path, expectedSteps: steps, expectedState: state)) }
        return path
    }

    /// Watches a run to its end. Each step that is seen completed is noted in the outside world's record,
    /// behind which no call of it may stand.
    private func follow(_ client: HTTPClient, _ path: String) async throws {
        let notary = HTTPClient()
        var seen: Set<String> = []
        let deadline = ContinuousClock.now + .seconds(90)
        while true {
            let run = try await fixture.settle(client, .GET, path)
            try expect(run, 200, to: "GET \(path)")
            let status = (run.json["run"] as? [String: Any])?["status"] as? String ?? ""
            for step in try await steps(client, path) where step.status == "completed" {
                guard seen.insert(step.key).inserted else { continue }
                _ = try await fixture.outside(notary, .POST, "/seen/\(step.key)")
            }
            if status == "completed" || status == "failed" { return }
            guard ContinuousClock.now < deadline else {
                throw DeadlineExceeded(what: "the end of \(path): \(run.text)", limit: .seconds(90))
            }
            try await Task.sleep(for: .milliseconds(60))
        }
    }

    private func steps(_ client: HTTPClient, _ path: String) async throws -> [Evidence.Step] {
        let history = try await fixture.settle(client, .GET, path + "/history")
        try expect(history, 200, to: "GET \(path)/history")
        let entries = history.json["entries"] as? [[String: Any]] ?? []
        return entries.filter { $0["kind"] as? String == "step" }.map { entry in
            Evidence.Step(
                path: entry["path"] as? String ?? "", key: entry["idempotencyKey"] as? String ?? "",
                status: entry["status"] as? String ?? "", attempts: entry["attempts"] as? Int ?? 0)
        }
    }

    private func onboarding(_ client: HTTPClient) async throws {
        let path = try await create(
            client, "onboarding", steps: ["create-customer", "send-welcome-email", "track-signup"])
        try await follow(client, path)
    }

    private func order(_ client: HTTPClient, _ random: inout SplitMix64) async throws {
        let isApproved = Int.random(in: 0..<3, using: &random) > 0
        let path = try await create(
            client, "order", steps: ["validate-order", isApproved ? "fulfill-order" : "cancel-order"],
            state: ("status", isApproved ? "fulfilled" : "cancelled"))
        let answer = try await fixture.settle(
            client, .POST, path + "/queues/approval", #"{"body": {"approved": \#(isApproved)}}"#,
            key: "approval")
        try expect(answer, 200, to: "the approval of \(path)")
        try await follow(client, path)
    }

    private func orderProcessor(_ client: HTTPClient) async throws {
        let path = try await create(
            client, "orderProcessor", steps: ["validate", "charge-payment", "fulfill"],
            state: ("status", "fulfilled"))
        try await follow(client, path)
    }

    private func emailDrip(_ client: HTTPClient) async throws {
        let path = try await create(
            client, "emailDrip", steps: ["send-welcome", "send-tips", "send-offer"],
            state: ("emailsSent", "3"))
        try await follow(client, path)
    }

    private func worker(_ client: HTTPClient) async throws {
        let path = "/actors/worker/w\(number())"
        let jobs = (0..<Self.jobsPerWorker).map { "/jobs\(path)/\($0)" }
        for job in jobs {
            let answer = try await fixture.settle(
                client, .POST, path + "/queues/tasks", #"{"body": {"url": "\#(job)"}}"#, key: job)
            try expect(answer, 200, to: "a job of \(path)")
        }
        _ = try await fixture.poll(client, path, within: .seconds(90)) { answer in
            (answer.json["state"] as? [String: Any])?["processed"] as? Int ?? 0 >= jobs.count
                || (answer.json["run"] as? [String: Any])?["status"] as? String == "failed"
        }
        book.withLock { $0.jobs.append(Evidence.Jobs(worker: path, sent: jobs, processed: 0)) }
    }

    /// The outside world has its bad moments.
    private func weather(_ client: HTTPClient, _ random: inout SplitMix64) async throws {
        let paths = ["/v1/", "/v3/", "/orders/", "/capture", "/jobs"]
        let path = paths.randomElement(using: &random) ?? "/v1/"
        let delay = Int.random(in: 0...60, using: &random)
        let status = Int.random(in: 0..<4, using: &random) == 0 ? 500 : 200
        let fault = #"{"path": "\#(path)", "times": 1, "status": \#(status), "delayMs": \#(delay)}"#
        // One at a time: faults that gather while the node is down would use up a step's attempts in a row.
        try expect(try await fixture.outside(client, .DELETE, "/_fail"), 200, to: "DELETE /_fail")
        try expect(try await fixture.outside(client, .POST, "/_fail", fault), 200, to: fault)
        try await Task.sleep(for: .milliseconds(Int.random(in: 50...250, using: &random)))
    }

    // MARK: Evidence

    /// Everything as it is in the end. The node must be up.
    func evidence() async throws -> Evidence {
        let client = HTTPClient()
        let book = book.withLock { $0 }
        var evidence = Evidence(replies: book.replies)
        for counter in Set(book.replies.map(\.counter)) {
            let answer = try await fixture.settle(client, .GET, "/actors/\(counter)")
            evidence.finalCounts[counter] = (answer.json["state"] as? [String: Any])?["count"] as? Int
        }
        for run in book.runs {
            let (status, state, left) = try await end(client, run.path)
            var final = Evidence.Run(
                name: run.path, status: status, steps: [], expectedSteps: run.expectedSteps)
            if status != "absent" { final.steps = try await steps(client, run.path) }
            if let expected = run.expectedState {
                final.state = state[expected.member].map { "\($0)" } ?? ""
                final.expectedState = expected.value
            }
            final.leftMessages = left
            evidence.runs.append(final)
        }
        for var jobs in book.jobs {
            let (status, state, left) = try await end(client, jobs.worker)
            jobs.processed = state["processed"] as? Int ?? 0
            jobs.leftMessages = left
            if status == "failed" { jobs.failedStep = try await steps(client, jobs.worker).last }
            evidence.jobs.append(jobs)
        }
        evidence.lines = try await lines(client)
        return evidence
    }

    private func end(
        _ client: HTTPClient, _ path: String
    ) async throws -> (status: String, state: [String: Any], leftMessages: Int) {
        let answer = try await fixture.settle(client, .GET, path)
        guard answer.status == 200 else { return ("absent", [:], 0) }
        let json = answer.json
        let queues = json["queues"] as? [String: Int] ?? [:]
        return (
            (json["run"] as? [String: Any])?["status"] as? String ?? "",
            json["state"] as? [String: Any] ?? [:],
            queues.values.reduce(0, +)
        )
    }

    private func lines(_ client: HTTPClient) async throws -> [Evidence.Line] {
        struct Call: Decodable {
            var path: String
            var idempotencyKey: String?
            var status: Int
        }
        let answer = try await fixture.outside(client, .GET, "/_calls")
        return try JSONDecoder().decode([Call].self, from: Data(answer.body)).map { call in
            if call.path.hasPrefix("/seen/") {
                return .seen(key: String(call.path.dropFirst("/seen/".count)))
            }
            return .call(key: call.idempotencyKey ?? "", path: call.path, status: call.status)
        }
    }
}
