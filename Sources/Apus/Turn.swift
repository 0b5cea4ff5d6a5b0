import ClientProtocol
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
    var messages: [OutgoingMessage] = []
    var posts: [OutgoingPost] = []
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
    /// - Parameters:
    ///   - delay: it is not taken earlier than that.
    ///   - priority: 0 to 9; a message of a higher priority is taken first.
    ///   - deduplicationKey: nothing is put into the queue if one with this key was in the last 24 hours.
    public mutating func send<Body, Reply>(
        _ body: Body, to queue: KeyPath<Definition.Queues, QueueOf<Body, Reply>>, delay: Duration = .zero,
        priority: UInt8 = 0, deduplicationKey: String? = nil
    ) {
        do {
            let table = DeclarationTable<Definition.Queues>.shared
            let options = MessageOptions(priority: priority, deduplicationKey: deduplicationKey)
            try options.validate()
            messages.append(
                OutgoingMessage(
                    queue: table.name(queue), body: try PayloadCoding.encode(body),
                    rules: table.group[keyPath: queue].rules, delay: delay, options: options))
        } catch { encodingFailure = error }
    }

    /// Sends a message into a queue of another actor, which is made if it is absent: exactly once, and only
    /// if the turn commits (W60).
    ///
    /// ```swift
    /// turn.send(Approval(approved: true), to: \.approval, of: \Shop.order, key: "order-123")
    /// ```
    ///
    /// The messages from one actor to another arrive in their order. One that cannot be delivered, say
    /// because the other kind has no such queue, is kept with this actor and shown in its description. The
    /// turn fails with `outbox.full` if too many wait for the other actor's partition already.
    /// - Parameters:
    ///   - delay: it is not taken earlier than that after its arrival.
    ///   - priority: 0 to 9; a message of a higher priority is taken first.
    ///   - deduplicationKey: nothing is put into the queue if one with this key was in the last 24 hours.
    public mutating func send<R: Registry, Other: DurableActor, Body, Reply>(
        _ body: Body, to queue: KeyPath<Other.Queues, QueueOf<Body, Reply>>, of kind: KeyPath<R, Other>,
        key: String..., delay: Duration = .zero, priority: UInt8 = 0, deduplicationKey: String? = nil
    ) {
        do {
            let options = MessageOptions(priority: priority, deduplicationKey: deduplicationKey)
            posts.append(
                try OutgoingPost(
                    body, to: queue, of: ActorAddress.of(kind, key), delay: delay, options: options))
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

/// A message that a turn puts into a queue.
package struct OutgoingMessage: Sendable {
    package var queue: String
    package var body: [UInt8]
    package var rules: QueueRules
    package var delay: Duration
    /// Apart from the delay, which is exact above.
    package var options: MessageOptions

    package init(queue: String, body: [UInt8], rules: QueueRules, delay: Duration, options: MessageOptions) {
        self.queue = queue
        self.body = body
        self.rules = rules
        self.delay = delay
        self.options = options
    }
}

/// What a turn did, for the host to record.
package struct TurnEffects: Sendable {
    /// The new state, if it changed.
    package var state: [UInt8]?
    package var broadcasts: [(event: String, payload: [UInt8])] = []
    package var messages: [OutgoingMessage] = []
    package var posts: [OutgoingPost] = []
    package var destroys = false
    package init() {}

    package var isEmpty: Bool {
        state == nil && broadcasts.isEmpty && messages.isEmpty && posts.isEmpty && !destroys
    }
}
