import Apus

/// Makes a customer, welcomes it, counts it: three steps, each checkpointed.
public struct Onboarding: DurableActor {
    let outside: Outside

    public func run(_ workflow: inout Workflow<Self>) async throws {
        let customerID = try await workflow.step("create-customer") { [outside] in
            try await outside.post("/v1/customers").id
        }
        try await workflow.step("send-welcome-email") { [outside] in
            _ = try await outside.post("/v3/mail/send", ["to": "user@example.com", "customerId": customerID])
        }
        try await workflow.step("track-signup") { [outside] in
            _ = try await outside.post("/capture", ["event": "signup", "distinct_id": customerID])
        }
    }
}

/// Waits for a human's decision, for minutes or days, then goes on where it stopped.
public struct Order: DurableActor {
    public enum Status: String, Codable, Sendable { case pending, awaitingApproval, fulfilled, cancelled }
    public struct State: DurableState {
        public var status = Status.pending
        public init() {}
    }
    public struct Approval: Codable, Sendable {
        public var approved: Bool
        public init(approved: Bool) { self.approved = approved }
    }
    public struct Queues: Declarations {
        public let approval = Queue<Approval>()
        public init() {}
    }
    public struct Actions: Declarations {
        public let getState = Query<State> { $0.state }
        public init() {}
    }
    let outside: Outside

    public func run(_ workflow: inout Workflow<Self>) async throws {
        let id = workflow.key.description
        try await workflow.step("validate-order") { [outside] in
            _ = try await outside.post("/orders/\(id)/validate")
        } commit: { turn in
            turn.state.status = .awaitingApproval
        }
        let decision = try await workflow.next("wait-approval", from: \.approval)
        if decision.body.approved {
            try await workflow.step("fulfill-order") { [outside] in
                _ = try await outside.post("/orders/\(id)/fulfill")
            } commit: {
                $0.state.status = .fulfilled
            }
        } else {
            try await workflow.step("cancel-order") { [outside] in
                _ = try await outside.post("/orders/\(id)/cancel")
            } commit: {
                $0.state.status = .cancelled
            }
        }
    }
}

/// Answers callers through a queue, after the change is committed.
public struct Counter: DurableActor {
    public struct State: DurableState {
        public var count = 0
        public init() {}
    }
    public struct Change: Codable, Sendable {
        public var delta: Int
        public init(delta: Int) { self.delta = delta }
    }
    public struct Total: Codable, Sendable {
        public var count: Int
    }
    public struct Queues: Declarations {
        public let requests = CompletableQueue<Change, Total>()
        public init() {}
    }
    public struct Actions: Declarations {
        public let getState = Query<State> { $0.state }
        public let increment = Action<Int, Int> { turn, amount in
            turn.state.count += amount
            return turn.state.count
        }
        public init() {}
    }

    public func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.loop("request-loop") { loop in
            let change = try await loop.next("wait-request", from: \.requests)
            let count = try await loop.turn("apply-delta") { turn in
                turn.state.count += change.body.delta
                return turn.state.count
            }
            try await change.complete(Total(count: count))
        }
    }
}

/// Works off a queue of jobs, one after the other, for ever.
public struct Worker: DurableActor {
    public struct State: DurableState {
        public var processed = 0
        public init() {}
    }
    public struct Job: Codable, Sendable {
        public var url: String
        public init(url: String) { self.url = url }
    }
    public struct Queues: Declarations {
        public let tasks = Queue<Job>()
        public init() {}
    }
    public struct Actions: Declarations {
        public let getState = Query<State> { $0.state }
        public init() {}
    }
    let outside: Outside

    public func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.loop("task-loop") { loop in
            let job = try await loop.next("wait-task", from: \.tasks)
            try await loop.step("process-task", retry: .upTo(5)) { [outside] in
                _ = try await outside.post(job.body.url)
            } commit: { turn in
                turn.state.processed += 1
            }
        }
    }
}

/// Sends three mails with days in between, during which it uses nothing.
public struct EmailDrip: DurableActor {
    public struct State: DurableState {
        public var emailsSent = 0
        public init() {}
    }
    public struct Actions: Declarations {
        public let getState = Query<State> { $0.state }
        public init() {}
    }
    let outside: Outside
    /// How long a day is; shorter in demonstrations.
    let day: Duration

    public func run(_ workflow: inout Workflow<Self>) async throws {
        try await send("welcome", &workflow)
        try await workflow.sleep("wait-3-days", for: day * 3)
        try await send("tips", &workflow)
        try await workflow.sleep("wait-7-days", for: day * 7)
        try await send("offer", &workflow)
    }

    private func send(_ template: String, _ workflow: inout Workflow<Self>) async throws {
        try await workflow.step("send-\(template)") { [outside] in
            _ = try await outside.post("/v3/mail/send", ["to": "user@example.com", "template": template])
        } commit: {
            $0.state.emailsSent += 1
        }
    }
}

/// A chat whose history survives whatever happens to the machine.
public struct Agent: DurableActor {
    public struct ChatMessage: Codable, Sendable {
        public var role: String
        public var content: String
    }
    public struct State: DurableState {
        public var messages: [ChatMessage] = []
        public init() {}
    }
    public struct Prompt: Codable, Sendable {
        public var content: String
        public init(content: String) { self.content = content }
    }
    public struct Queues: Declarations {
        public let prompts = Queue<Prompt>()
        public init() {}
    }
    public struct Events: Declarations {
        public let replied = Event<String>()
        public init() {}
    }
    public struct Actions: Declarations {
        public let history = Query<[ChatMessage]> { $0.state.messages }
        public init() {}
    }
    let outside: Outside

    public func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.loop("chat-loop") { loop in
            let prompt = try await loop.next("wait-prompt", from: \.prompts)
            let history = try await loop.turn("save-user-message") { turn in
                turn.state.messages.append(ChatMessage(role: "user", content: prompt.body.content))
                return turn.state.messages
            }
            try await loop.step("generate", retry: .upTo(5)) { [outside] in
                let last = history.last?.content ?? ""
                return try await outside.post("/v1/chat/completions", ["prompt": last]).text ?? ""
            } commit: { turn, reply in
                turn.state.messages.append(ChatMessage(role: "assistant", content: reply))
                turn.broadcast(\.replied, reply)
            }
        }
    }
}

/// Tells browsers how an order proceeds, while it does.
public struct OrderProcessor: DurableActor {
    public enum Status: String, Codable, Sendable { case pending, validated, charged, fulfilled }
    public struct State: DurableState {
        public var status = Status.pending
        public init() {}
    }
    public struct Events: Declarations {
        public let statusUpdated = Event<Status>()
        public init() {}
    }
    public struct Actions: Declarations {
        public let getState = Query<State> { $0.state }
        public init() {}
    }
    let outside: Outside

    public func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.step("validate") { [outside] in
            _ = try await outside.post("/orders/validate")
        } commit: {
            $0.advance(to: .validated)
        }
        try await workflow.step("charge-payment") { [outside] in
            _ = try await outside.post("/v1/charges")
        } commit: {
            $0.advance(to: .charged)
        }
        try await workflow.step("fulfill") { [outside] in
            _ = try await outside.post("/orders/ship")
        } commit: {
            $0.advance(to: .fulfilled)
        }
    }
}

extension Turn<OrderProcessor> {
    mutating func advance(to status: OrderProcessor.Status) {
        state.status = status
        broadcast(\.statusUpdated, status)
    }
}
