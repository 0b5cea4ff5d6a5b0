import ClientProtocol
import Identifiers
import Synchronization
import TimeAndChance
import WorkflowCore

/// One actor in memory, as the host sees it: without its types.
package protocol ActorInstance: AnyObject, Sendable {
    /// The creating turn. Throws what `onCreate` throws.
    func create(input: [UInt8]?, now: Timestamp) throws -> TurnEffects
    /// Takes up the stored state.
    func restore(state: [UInt8]?) throws
    func wake(now: Timestamp) throws -> TurnEffects
    func sleep(now: Timestamp) throws -> TurnEffects
    /// The turn that ends the actor because somebody outside asks for it.
    func destroy(now: Timestamp) throws -> TurnEffects
    /// Performs an action, or a query, whose effects are nil.
    func perform(
        _ action: String, input: [UInt8], now: Timestamp
    ) throws -> (output: [UInt8], effects: TurnEffects?)
    /// Performs an asynchronous action.
    @concurrent func perform(
        _ action: String, input: [UInt8], _ driver: any ActionDriver
    ) async throws -> [UInt8]
    /// The encoded state as of the last turn.
    var encodedState: [UInt8] { get }
    /// Executes the workflow from its beginning.
    @concurrent func run(_ driver: any RunDriver) async throws
}

/// What the host knows of a kind: its names and how to make an actor of it.
package protocol ActorKindDefinition: Sendable {
    var name: String { get }
    var options: ActorOptions { get }
    var actions: [String] { get }
    /// The actions that await.
    var asyncActions: Set<String> { get }
    /// Those of the actions that only read.
    var queries: Set<String> { get }
    var queues: [String: any QueueDeclaration] { get }
    var events: Set<String> { get }
    /// How many events are kept for later subscribers, of those names of which any are.
    var retainedEvents: [String: Int] { get }
    /// Fails with `actor.validation_error` if the input does not decode.
    func validate(input: [UInt8]) throws(ActorError)
    func makeInstance(key: ActorKey) -> any ActorInstance
}

package protocol QueueDeclaration: Sendable {
    var rules: QueueRules { get }
    var isCompletable: Bool { get }
    var bodyType: Any.Type { get }
    /// Fails with `actor.validation_error` if the body does not decode.
    func validate(body: [UInt8]) throws(ActorError)
}

extension QueueOf: QueueDeclaration {
    package var isCompletable: Bool { Reply.self != Never.self }
    package var bodyType: Any.Type { Body.self }
    package func validate(body: [UInt8]) throws(ActorError) {
        _ = try PayloadCoding.decodeInput(Body.self, from: body)
    }
}

/// The kinds of a registry, by the names of its properties.
package enum RegistryReader {
    package static func kinds(of registry: some Registry) throws -> [any ActorKindDefinition] {
        var kinds: [any ActorKindDefinition] = []
        for child in Mirror(reflecting: registry).children {
            guard let definition = child.value as? any DurableActor, let label = child.label else { continue }
            _ = try ActorKind(label)
            let kind = kind(definition, named: label)
            try checkDeadLetters(of: kind)
            kinds.append(kind)
        }
        return kinds
    }

    private static func checkDeadLetters(of kind: any ActorKindDefinition) throws {
        for (name, queue) in kind.queues.sorted(by: { $0.key < $1.key }) {
            guard let deadLetter = queue.rules.deadLetter else { continue }
            guard deadLetter != name, let other = kind.queues[deadLetter], other.bodyType == queue.bodyType
            else { throw DeadLetterUnfit(kind: kind.name, queue: name, deadLetter: deadLetter) }
        }
    }

    private static func kind<Definition: DurableActor>(
        _ definition: Definition, named name: String
    ) -> any ActorKindDefinition {
        KindDefinition(name: name, definition: definition)
    }
}

/// A declaration names a dead letter queue that is not there or cannot take its messages.
package struct DeadLetterUnfit: Error, CustomStringConvertible {
    var kind: String
    var queue: String
    var deadLetter: String
    package var description: String {
        "\(kind): the queue \"\(queue)\" needs another queue \"\(deadLetter)\" with the same type of body"
    }
}

struct KindDefinition<Definition: DurableActor>: ActorKindDefinition {
    typealias Performer =
        @Sendable (TypedInstance<Definition>, [UInt8], Timestamp) throws -> ([UInt8], TurnEffects?)

    typealias AsyncPerformer =
        @Sendable (TypedInstance<Definition>, [UInt8], any ActionDriver) async throws -> [UInt8]

    let name: String
    let definition: Definition
    let options: ActorOptions
    let performers: [String: Performer]
    let asyncPerformers: [String: AsyncPerformer]
    let queries: Set<String>
    let queues: [String: any QueueDeclaration]
    let events: Set<String>
    let retainedEvents: [String: Int]

    init(name: String, definition: Definition) {
        self.name = name
        self.definition = definition
        options = definition.options
        var performers: [String: Performer] = [:]
        var asyncPerformers: [String: AsyncPerformer] = [:]
        var queries: Set<String> = []
        for member in DeclarationTable<Definition.Actions>.shared.members {
            if let action = member.declared as? any ErasedAction<Definition> {
                performers[member.name] = action.performer
                if action.isQuery { queries.insert(member.name) }
            } else if let action = member.declared as? any ErasedAsyncAction<Definition> {
                asyncPerformers[member.name] = action.performer
            }
        }
        self.performers = performers
        self.asyncPerformers = asyncPerformers
        self.queries = queries
        var queues: [String: any QueueDeclaration] = [:]
        for member in DeclarationTable<Definition.Queues>.shared.members {
            if let queue = member.declared as? any QueueDeclaration { queues[member.name] = queue }
        }
        self.queues = queues
        let events = DeclarationTable<Definition.Events>.shared.members
        self.events = Set(events.map(\.name))
        var retained: [String: Int] = [:]
        for member in events {
            if let event = member.declared as? any EventDeclaration, event.retained > 0 {
                retained[member.name] = event.retained
            }
        }
        retainedEvents = retained
    }

    var actions: [String] { (Array(performers.keys) + asyncPerformers.keys).sorted() }
    var asyncActions: Set<String> { Set(asyncPerformers.keys) }

    func validate(input: [UInt8]) throws(ActorError) {
        _ = try PayloadCoding.decodeInput(Definition.Input.self, from: input)
    }

    func makeInstance(key: ActorKey) -> any ActorInstance { TypedInstance(self, key: key) }
}

/// A member of `Actions` that can be performed by name.
protocol ErasedAction<Definition>: Sendable {
    associatedtype Definition: DurableActor
    var isQuery: Bool { get }
    var performer: KindDefinition<Definition>.Performer { get }
}

extension ActorAction: ErasedAction {
    var isQuery: Bool { false }
    var performer: KindDefinition<Definition>.Performer {
        { instance, bytes, now in
            let input = try PayloadCoding.decodeInput(Input.self, from: bytes)
            let (output, effects) = try instance.turn(now: now) { turn in try body(&turn, input) }
            return (try PayloadCoding.encode(output), effects)
        }
    }
}

extension ActorQuery: ErasedAction {
    var isQuery: Bool { true }
    var performer: KindDefinition<Definition>.Performer {
        { instance, _, now in
            let view = ActorView<Definition>(state: instance.state, key: instance.key, now: now)
            return (try PayloadCoding.encode(try body(view)), nil)
        }
    }
}

/// One actor in memory, with its types. Turns are called by the host, one at a time.
package final class TypedInstance<Definition: DurableActor>: ActorInstance {
    private struct Live: Sendable {
        var state: Definition.State
        var encoded: [UInt8]
    }

    private let kind: KindDefinition<Definition>
    let key: ActorKey
    /// Guarded because `workflow.state` may be read on whatever thread the user's code runs.
    private let live: Mutex<Live>

    init(_ kind: KindDefinition<Definition>, key: ActorKey) {
        self.kind = kind
        self.key = key
        live = Mutex(Live(state: Definition.State(), encoded: []))
    }

    /// The state's JSON, up to this many bytes (A20).
    static var stateBytesMax: Int { 1 << 20 }

    var definition: Definition { kind.definition }
    var state: Definition.State { live.withLock { $0.state } }
    package var encodedState: [UInt8] { live.withLock { $0.encoded } }

    package func create(input: [UInt8]?, now: Timestamp) throws -> TurnEffects {
        let input = try input.map { bytes throws(ActorError) in
            try PayloadCoding.decodeInput(Definition.Input.self, from: bytes)
        }
        return try turn(now: now) { turn in try kind.definition.onCreate(&turn, input: input) }.effects
    }

    package func restore(state: [UInt8]?) throws {
        guard let state else { return }
        let value = try PayloadCoding.decode(Definition.State.self, from: state)
        live.withLock { $0 = Live(state: value, encoded: state) }
    }

    package func wake(now: Timestamp) throws -> TurnEffects {
        try turn(now: now) { turn in try kind.definition.onWake(&turn) }.effects
    }

    package func sleep(now: Timestamp) throws -> TurnEffects {
        try turn(now: now) { turn in try kind.definition.onSleep(&turn) }.effects
    }

    package func destroy(now: Timestamp) throws -> TurnEffects {
        try turn(now: now) { turn in turn.destroy() }.effects
    }

    package func perform(
        _ action: String, input: [UInt8], now: Timestamp
    ) throws -> (output: [UInt8], effects: TurnEffects?) {
        guard let performer = kind.performers[action] else {
            throw ActorError.actionNotFound(action, kind: try ActorKind(kind.name), known: kind.actions)
        }
        return try performer(self, input, now)
    }

    @concurrent package func perform(
        _ action: String, input: [UInt8], _ driver: any ActionDriver
    ) async throws -> [UInt8] {
        guard let performer = kind.asyncPerformers[action] else {
            throw ActorError.actionNotFound(action, kind: try ActorKind(kind.name), known: kind.actions)
        }
        return try await performer(self, input, driver)
    }

    /// Runs a turn on a copy of the state and keeps the copy if it succeeds.
    func turn<Result>(
        now: Timestamp, _ body: (inout Turn<Definition>) throws -> Result
    ) throws -> (value: Result, effects: TurnEffects) {
        let before = live.withLock { $0 }
        var turn = Turn<Definition>(state: before.state, key: key, now: now)
        let result = try body(&turn)
        if turn.destroys { try kind.definition.onDestroy(&turn) }
        if let failure = turn.encodingFailure { throw failure }
        var effects = TurnEffects()
        effects.broadcasts = turn.broadcasts
        effects.messages = turn.messages
        effects.posts = turn.posts
        effects.destroys = turn.destroys
        let encoded = try PayloadCoding.encode(turn.state)
        if encoded != before.encoded {
            guard encoded.count <= Self.stateBytesMax else {
                throw ActorError.tooLarge("the actor's state", limit: Self.stateBytesMax)
            }
            effects.state = encoded
            let state = turn.state
            live.withLock { $0 = Live(state: state, encoded: encoded) }
        }
        return (result, effects)
    }

    @concurrent package func run(_ driver: any RunDriver) async throws {
        var workflow = Workflow<Definition>(
            instance: self, driver: driver, scope: .root, path: HistoryPath([]))
        try await kind.definition.run(&workflow)
    }
}
