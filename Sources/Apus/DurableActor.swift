import ClientProtocol

/// One kind of durable actor, written as a value.
///
/// Stored properties are injected dependencies (a language model, an HTTP client), so that tests can pass
/// others. All that an actor remembers is its `State`, which changes only in turns.
///
/// ```swift
/// struct Counter: DurableActor {
///     struct State: DurableState { var count = 0 }
///     struct Actions: Declarations {
///         let increment = Action<Int, Int> { turn, amount in
///             turn.state.count += amount
///             return turn.state.count
///         }
///     }
/// }
/// ```
public protocol DurableActor: Sendable {
    /// What the actor remembers; saved whole after each turn that changes it, up to 1 MiB encoded (A20).
    associatedtype State: DurableState = NoState
    /// What is given when an actor is created.
    associatedtype Input: Codable & Sendable = NoInput
    associatedtype Actions: Declarations = NoDeclarations
    associatedtype Queues: Declarations = NoDeclarations
    associatedtype Events: Declarations = NoDeclarations

    /// Limits and times of this kind.
    var options: ActorOptions { get }

    /// Called once, in the turn that creates the actor. If it throws, nothing is created (A4).
    func onCreate(_ turn: inout Turn<Self>, input: Input?) throws
    /// Called each time the actor comes into memory, before `run` and before any request.
    func onWake(_ turn: inout Turn<Self>) throws
    /// Called before the actor leaves memory. It must not count on being called: a node can die.
    func onSleep(_ turn: inout Turn<Self>) throws
    /// Called at the end of the turn that ends the actor, whoever asked for it, and commits with it. If it
    /// throws, that turn fails and the actor stays (A4, W20).
    func onDestroy(_ turn: inout Turn<Self>) throws

    /// The actor's durable workflow. Started when the actor is created; after a hibernation, a crash or a
    /// move it is executed again, and each recorded operation answers from its record (W2, W5).
    func run(_ workflow: inout Workflow<Self>) async throws
}

extension DurableActor {
    public var options: ActorOptions { ActorOptions() }
    public func onCreate(_ turn: inout Turn<Self>, input: Input?) throws {}
    public func onWake(_ turn: inout Turn<Self>) throws {}
    public func onSleep(_ turn: inout Turn<Self>) throws {}
    public func onDestroy(_ turn: inout Turn<Self>) throws {}
    public func run(_ workflow: inout Workflow<Self>) async throws {}

    /// A turn that clients call by name: typed input, typed output, committed before the reply leaves (A10,
    /// A12).
    public typealias Action<Input: Codable & Sendable, Output: Codable & Sendable> = ActorAction<
        Self, Input, Output
    >
    /// A request that may await: it runs turns of the actor, reads its state, and uses the network in
    /// between (A11). Several run interleaved, and the actor stays in memory meanwhile.
    ///
    /// After `ActorOptions.actionTimeout` its task is cancelled and the caller told
    /// `actor.action_timed_out`. Its reply is recorded like any other. A client that repeats the request
    /// while it runs waits for the same outcome; one that repeats it after a crash, an error or a timeout
    /// makes it run again, in which each turn that has committed answers from its record. What it does
    /// between its turns is then done again; `ActionContext.idempotencyKey` lets others recognise that. A
    /// restart alone continues nothing: what must end without its caller belongs into `run`.
    public typealias AsyncAction<Input: Codable & Sendable, Output: Codable & Sendable> = ActorAsyncAction<
        Self, Input, Output
    >
    /// A read that clients call by name. It cannot change anything and sees the latest state (A10).
    public typealias Query<Output: Codable & Sendable> = ActorQuery<Self, Output>
}

/// The state of an actor: plain data in which every property has a default.
public protocol DurableState: Codable, Sendable { init() }

/// A group of declarations, one `let` each; the names of the properties are the names on the wire.
public protocol Declarations: Sendable { init() }

/// The kinds that a node serves; the names of the properties are the names of the kinds.
public protocol Registry: Sendable { init() }

public struct NoState: DurableState { public init() {} }
public struct NoDeclarations: Declarations { public init() {} }
public struct NoInput: Codable, Sendable { public init() {} }

/// Limits and times of one kind of actor.
public struct ActorOptions: Sendable {
    /// How long an actor stays in memory with nothing to do (A5).
    public var idle: Duration
    /// How long an asynchronous action may take (A11).
    public var actionTimeout: Duration
    /// How many finished iterations of a loop stay in the history for people to read (W40).
    public var retainedIterations: Int
    /// The most operations that a run's history may retain. A run that goes on without end belongs in a
    /// `loop`.
    public var historyMax: Int

    public init(
        idle: Duration = .seconds(30), actionTimeout: Duration = .seconds(60), retainedIterations: Int = 20,
        historyMax: Int = 50_000
    ) {
        self.idle = idle
        self.actionTimeout = actionTimeout
        self.retainedIterations = retainedIterations
        self.historyMax = historyMax
    }
}

extension Duration {
    public static func minutes(_ count: Int) -> Duration { .seconds(60 * count) }
    public static func hours(_ count: Int) -> Duration { .seconds(3_600 * count) }
    public static func days(_ count: Int) -> Duration { .seconds(86_400 * count) }
}
