import Apus
import ClientProtocol
import Logging
import WorkflowTrials

/// A registry with one kind whose run is whatever the test says.
struct Lab: Registry {
    let lab: LabActor
    init() { lab = LabActor(log: EffectLog()) { _, _ in } }
    init(_ log: EffectLog, options: ActorOptions = ActorOptions(), _ script: @escaping LabActor.Script) {
        lab = LabActor(log: log, options: options, script)
    }
}

struct LabActor: DurableActor {
    typealias Script = @Sendable (inout Workflow<LabActor>, EffectLog) async throws -> Void

    struct State: DurableState {
        var count = 0
        var notes: [String] = []
    }
    struct Input: Codable, Sendable {
        var start: Int
    }
    struct Queues: Declarations {
        let jobs = Queue<String>(capacity: 5, messageBytesMax: 64)
        let asks = CompletableQueue<String, String>()
        let numbers = Queue<Int>()
        let many = Queue<Int>(capacity: 10_000)
        let tasks = CompletableQueue<String, String>(
            attempts: 3, visibility: .seconds(10), deadLetter: "failures")
        let chores = Queue<String>(attempts: 2)
        let failures = Queue<String>(capacity: 2)
        let brief = CompletableQueue<String, String>(retention: .seconds(60))
    }
    struct Posting: Codable, Sendable {
        var body: String
        var delay = 0
        var priority: UInt8 = 0
        var key: String?
    }
    struct Events: Declarations {
        let changed = Event<Int>()
        let other = Event<String>()
        let kept = Event<Int>(retained: 3)
    }
    struct Actions: Declarations {
        let add = Action<Int, Int> { turn, amount in
            turn.state.count += amount
            turn.broadcast(\.changed, turn.state.count)
            turn.broadcast(\.kept, turn.state.count)
            return turn.state.count
        }
        let count = Query<Int> { $0.state.count }
        let notes = Query<[String]> { $0.state.notes }
        let refuse = Action<Int, NoOutput> { (turn, amount) -> NoOutput in
            turn.state.count += amount
            turn.broadcast(\.changed, -1)
            turn.send("never", to: \.jobs)
            throw ActorError("too_late", "the door is closed", metadata: ["hour": "23"])
        }
        let spend = Action<Int, Int> { turn, amount in
            guard amount <= turn.state.count else { throw ActorError("overdrawn", "there is too little") }
            turn.state.count -= amount
            return turn.state.count
        }
        let breakDown = Action<Int, NoOutput> { (turn, amount) -> NoOutput in
            turn.state.count += amount
            throw Oops("secret")
        }
        let post = Action<String, NoOutput> { (turn, body) -> Void in turn.send(body, to: \.jobs) }
        let postWith = Action<Posting, NoOutput> { (turn, posting) -> Void in
            turn.send(
                posting.body, to: \.jobs, delay: .seconds(posting.delay), priority: posting.priority,
                deduplicationKey: posting.key)
        }
        let flood = Action<Int, NoOutput> { (turn, amount) -> Void in
            turn.state.count += amount
            for number in 0..<amount { turn.send("\(number)", to: \.jobs) }
        }
        let pour = Action<Int, NoOutput> { (turn, amount) -> Void in
            turn.state.count += amount
            for number in 0..<amount { turn.send(number, to: \.many) }
        }
        let spread = Action<Int, NoOutput> { (turn, amount) -> Void in
            turn.state.count += amount
            for number in 0..<amount { turn.send(number, to: \.many, of: \Lab.lab, key: "e") }
        }
        let tell = Action<Int, NoOutput> { (turn, number) -> Void in
            turn.send(number, to: \.numbers, of: \Lab.lab, key: "e")
            if number == 13 { throw ActorError("unlucky", "not 13") }
        }
        let farewell = Action<Int, NoOutput> { (turn, number) -> Void in
            turn.send(number, to: \.numbers, of: \Lab.lab, key: "e")
            turn.destroy()
        }
        /// Two turns, with another actor's answer between them.
        let slow = AsyncAction<Int, Int> { context, amount in
            let first = try await context.turn("first") { turn in
                turn.state.count += amount
                return turn.state.count
            }
            let other = try await context.call(\Lab.lab, "d") { $0.count() }
            return try await context.turn("second") { turn in
                if amount == 13 { throw ActorError("unlucky", "not 13") }
                turn.state.count += 100
                return first + other
            }
        }
        /// The sum of what others count.
        let gather = AsyncAction<[String], Int> { context, keys in
            var sum = 0
            for key in keys {
                if key == "bad" {
                    try await context.call(\Lab.lab, key) { $0.tell(13) }
                } else {
                    sum += try await context.call(\Lab.lab, key) { $0.count() }
                }
            }
            return sum
        }
        let end = Action<NoInput, NoOutput> { (turn, _) -> Void in turn.destroy() }
    }

    let log: EffectLog
    var options = ActorOptions()
    let script: Script

    init(log: EffectLog, options: ActorOptions = ActorOptions(), _ script: @escaping Script) {
        self.log = log
        self.options = options
        self.script = script
    }

    func onCreate(_ turn: inout Turn<Self>, input: Input?) throws {
        if input?.start == 13 { throw ActorError("unlucky", "not 13") }
        if input?.start == 14 { throw Oops("broken") }
        turn.state.count = input?.start ?? 0
    }

    func run(_ workflow: inout Workflow<Self>) async throws { try await script(&workflow, log) }
}

struct Oops: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Runs a script live, hibernated and crashed after each record.
@discardableResult
func inAllWays<Observation: Equatable & Sendable>(
    options: ActorOptions = ActorOptions(), _ script: @escaping LabActor.Script,
    _ body: @Sendable (TrialNode<Lab>) async throws -> Observation
) async throws -> (observation: Observation, effects: [EffectLog.Entry]) {
    try await Trial { Lab($0, options: options, script) }.run(body)
}

/// Runs a script live and hibernated.
@discardableResult
func withoutCrashes<Observation: Equatable & Sendable>(
    options: ActorOptions = ActorOptions(), _ script: @escaping LabActor.Script,
    _ body: @Sendable (TrialNode<Lab>) async throws -> Observation
) async throws -> Observation {
    try await Trial { Lab($0, options: options, script) }.runWithoutCrashes(body)
}

/// Runs a script in the live way only.
@discardableResult
func live<Observation: Equatable & Sendable>(
    options: ActorOptions = ActorOptions(), _ script: @escaping LabActor.Script,
    _ body: @Sendable (TrialNode<Lab>) async throws -> Observation
) async throws -> Observation {
    try await Trial { Lab($0, options: options, script) }.run(.live, body).observation
}

extension TrialNode where R == Lab {
    /// What the run noted in the actor's state.
    func notes(_ key: String = "a") async throws -> String { try await call("lab", key, "notes") }
    /// Lets the run go on until it ends or waits for good.
    func end(_ key: String = "a") async throws -> String { try await settle("lab", key).status }
    func create(_ key: String = "a") async throws { try await create("lab", key) }
}

func quietLogger() -> Logger {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
}
