import Identifiers
import TimeAndChance
import WorkflowCore

/// The way to do durable things, given to an actor's `run`.
///
/// It is passed `inout` and cannot be copied, so that one scope has one operation under way: the compiler
/// refuses an outer workflow inside a loop's body or inside of an effect. A helper takes `inout
/// Workflow<Self>`, too.
public struct Workflow<Definition: DurableActor>: ~Copyable, Sendable {
    let instance: TypedInstance<Definition>
    let driver: any RunDriver
    let scope: WorkflowCore.Node
    let path: HistoryPath
    /// How many random numbers this scope's code has asked for.
    private var chances: UInt64 = 0

    init(
        instance: TypedInstance<Definition>, driver: any RunDriver, scope: WorkflowCore.Node,
        path: HistoryPath
    ) {
        self.instance = instance
        self.driver = driver
        self.scope = scope
        self.path = path
    }

    /// The key of the actor.
    public var key: ActorKey { driver.address.key }

    /// What was given at creation; nil if nothing was.
    /// - Throws: a `DecodingError` if the type has changed since in a way that JSON cannot bridge.
    public var input: Definition.Input? {
        get throws { try driver.input.map { try PayloadCoding.decode(Definition.Input.self, from: $0) } }
    }

    /// The actor's state as it is now; it changes only in a turn. On a replay it is the latest state, not the
    /// one of that time: let a `turn` return what a decision rests on, because what it returned is recorded.
    public var state: Definition.State { instance.state }

    /// The time of the last recorded operation that this run has passed, the same on each replay (W8).
    public var now: Timestamp { driver.historyTime }

    /// A random UUID (version 4), the same on each replay (W8).
    public mutating func uuid() -> String {
        var generator = nextGenerator()
        return SessionID.random(using: &generator).description
    }

    /// A random number, the same on each replay (W8).
    public mutating func random(in range: ClosedRange<Int>) -> Int {
        var generator = nextGenerator()
        return Int.random(in: range, using: &generator)
    }

    /// A random number from 0 up to 1, the same on each replay (W8).
    public mutating func random() -> Double {
        var generator = nextGenerator()
        return Double.random(in: 0..<1, using: &generator)
    }

    private mutating func nextGenerator() -> SplitMix64 {
        chances += 1
        return SplitMix64(seed: StableNames.seed(run: driver.runName, path: path, count: chances))
    }

    /// The workflow of one iteration of a loop.
    func iteration(_ number: UInt64, of loop: String, scope: WorkflowCore.Node) -> Workflow {
        Workflow(
            instance: instance, driver: driver, scope: scope,
            path: HistoryPath(path.components + [.name(loop), .iteration(number)]))
    }

    func decoded<Value: Decodable & Sendable>(_ result: OperationResult, as type: Value.Type) throws -> Value
    {
        switch result {
        case .fresh(let value):
            guard let typed = value as? Value else {
                // The effect and the caller share the type parameter, so only a bug of this module gets here.
                preconditionFailure("a step's value is the one that its effect returned, of type \(type)")
            }
            return typed
        case .recorded(let bytes): return try PayloadCoding.decode(type, from: bytes)
        }
    }
}
