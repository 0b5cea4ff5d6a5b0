import Identifiers
import TimeAndChance

/// One atomic turn of an actor: everything done to it commits together, exactly once, or not at all (W20).
///
/// A turn is synchronous, so nothing of the same actor can come in between. A turn that throws changes
/// nothing.
public struct Turn<Definition: DurableActor>: ~Copyable, Sendable {
    /// The actor's state. Changes become visible and durable with the turn.
    public var state: Definition.State
    /// The key under which the actor is found.
    public let key: ActorKey
    /// The time of the turn in the actor's partition, which never goes backwards.
    public let now: Timestamp
    var broadcasts: [(event: String, payload: [UInt8])] = []
    var messages: [(queue: String, body: [UInt8], limits: QueueLimits)] = []
    var destroys = false
    /// An event or a message that could not be encoded; fails the turn, because half of it must not happen.
    var encodingFailure: (any Error)?

    init(state: Definition.State, key: ActorKey, now: Timestamp) {
        self.state = state
        self.key = key
        self.now = now
    }

    /// Tells the subscribers of an event, after the turn has committed (A40, W3).
    public mutating func broadcast<Payload>(
        _ event: KeyPath<Definition.Events, Event<Payload>>, _ payload: Payload
    ) {
        do {
            let table = DeclarationTable<Definition.Events>.shared
            broadcasts.append((table.name(event), try PayloadCoding.encode(payload)))
        } catch { encodingFailure = error }
    }

    /// Puts a message into one of the actor's own queues, with the turn: 1024 at the most, or the turn fails.
    public mutating func send<Body, Reply>(
        _ body: Body, to queue: KeyPath<Definition.Queues, QueueOf<Body, Reply>>
    ) {
        do {
            let table = DeclarationTable<Definition.Queues>.shared
            messages.append(
                (table.name(queue), try PayloadCoding.encode(body), table.group[keyPath: queue].limits))
        } catch { encodingFailure = error }
    }

    /// Ends the actor with this turn: its data is deleted and its key is free again (A2).
    public mutating func destroy() { destroys = true }
}

/// What a query sees: the actor as it is, unchangeable.
public struct ActorView<Definition: DurableActor>: Sendable {
    public let state: Definition.State
    public let key: ActorKey
    public let now: Timestamp
}

/// What a turn did, for the host to record.
package struct TurnEffects: Sendable {
    /// The new state, if it changed.
    package var state: [UInt8]?
    package var broadcasts: [(event: String, payload: [UInt8])] = []
    package var messages: [(queue: String, body: [UInt8], limits: QueueLimits)] = []
    package var destroys = false
    package init() {}

    package var isEmpty: Bool { state == nil && broadcasts.isEmpty && messages.isEmpty && !destroys }
}
