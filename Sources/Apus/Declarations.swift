import Synchronization

/// Gives a declaration an identity. Key paths to stored properties of size zero all compare equal, so a
/// declaration without storage would silently stand for its neighbour.
package final class Identity: Sendable {
    package init() {}
}

package protocol Declared: Sendable {
    var identity: Identity { get }
    var explicitName: String? { get }
}

/// A queue of messages that the actor's `run` takes. See `Queue` and `CompletableQueue`.
public struct QueueOf<Body: Codable & Sendable, Reply: Codable & Sendable>: Sendable, Declared {
    package let identity = Identity()
    package let explicitName: String?
    package let rules: QueueRules

    /// - Parameters:
    ///   - name: the name on the wire and in the journal; by default the name of the property.
    ///   - capacity: messages that may wait; a further one is refused with `queue.full` (A30).
    ///   - messageBytesMax: the size of a message's JSON; a larger one is refused with `message.too_large`.
    ///   - attempts: how often a message is delivered, at the most. It is delivered again if the iteration of
    ///     the loop in which it was taken ends with an error and has not completed it (W34). When no attempt
    ///     is left, or the run ends, its waiting sender is told that error.
    ///   - visibility: how long it then stays in the queue before it may be taken again.
    ///   - deadLetter: the name of another queue of the actor, with the same type of body, that takes the
    ///     message when no attempt is left. Where that queue is full, the message is dropped, and logged.
    ///   - retention: how long a message may wait; an older one is dropped when the queue is next used, and
    ///     its waiting sender told `queue.message_expired`. By default for ever.
    public init(
        name: String? = nil, capacity: Int = 1_000, messageBytesMax: Int = 64 << 10,
        attempts: Int = 1, visibility: Duration = .zero, deadLetter: String? = nil,
        retention: Duration? = nil
    ) {
        explicitName = name
        rules = QueueRules(
            capacity: max(1, capacity), messageBytesMax: max(2, messageBytesMax), attempts: max(1, attempts),
            visibility: visibility, deadLetter: deadLetter, retention: retention)
    }
}

/// What a queue's declaration says besides its types (A30).
package struct QueueRules: Sendable {
    package var capacity: Int
    package var messageBytesMax: Int
    package var attempts: Int
    package var visibility: Duration
    package var deadLetter: String?
    package var retention: Duration?
}

/// A queue whose messages need no answer.
public typealias Queue<Body: Codable & Sendable> = QueueOf<Body, Never>
/// A queue whose messages are completed with a reply to a waiting sender (W33).
public typealias CompletableQueue<Body: Codable & Sendable, Reply: Codable & Sendable> = QueueOf<Body, Reply>

/// Something that the actor tells its subscribers (A40).
public struct Event<Payload: Codable & Sendable>: Sendable, Declared {
    package let identity = Identity()
    package let explicitName: String?
    package let retained: Int

    /// - Parameters:
    ///   - name: the name on the wire; by default the name of the property.
    ///   - retained: how many of the last events, up to 1,000, are kept with the actor and told to each new
    ///     subscriber before later ones.
    public init(name: String? = nil, retained: Int = 0) {
        explicitName = name
        self.retained = min(max(0, retained), 1_000)
    }
}

package protocol EventDeclaration: Declared {
    var retained: Int { get }
}

extension Event: EventDeclaration {}

/// See `DurableActor.Action`.
public struct ActorAction<Definition: DurableActor, Input: Codable & Sendable, Output: Codable & Sendable>:
    Sendable, Declared
{
    package let identity = Identity()
    package let explicitName: String?
    package let body: @Sendable (inout Turn<Definition>, Input) throws -> Output

    // Where a body without a result would do as well, that is what is meant.
    @_disfavoredOverload
    public init(
        name: String? = nil, _ body: @escaping @Sendable (inout Turn<Definition>, Input) throws -> Output
    ) {
        explicitName = name
        self.body = body
    }
}

extension ActorAction where Input == NoInput {
    public init(name: String? = nil, _ body: @escaping @Sendable (inout Turn<Definition>) throws -> Output) {
        explicitName = name
        self.body = { turn, _ in try body(&turn) }
    }
}

extension ActorAction where Output == NoOutput {
    public init(
        name: String? = nil, _ body: @escaping @Sendable (inout Turn<Definition>, Input) throws -> Void
    ) {
        explicitName = name
        self.body = { turn, input in
            try body(&turn, input)
            return NoOutput()
        }
    }
}

/// The output of an action that returns nothing.
public struct NoOutput: Codable, Sendable {
    public init() {}
    public init(from decoder: any Decoder) throws {}
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeNil()
    }
}

/// See `DurableActor.Query`.
public struct ActorQuery<Definition: DurableActor, Output: Codable & Sendable>: Sendable, Declared {
    package let identity = Identity()
    package let explicitName: String?
    package let body: @Sendable (ActorView<Definition>) throws -> Output

    public init(name: String? = nil, _ body: @escaping @Sendable (ActorView<Definition>) throws -> Output) {
        explicitName = name
        self.body = body
    }
}

/// One shared instance of a group of declarations, and the names of its members.
package struct DeclarationTable<Group: Declarations>: Sendable {
    package let group: Group
    private let names: [ObjectIdentifier: String]
    /// The members in the order of their declaration.
    package let members: [(name: String, declared: any Declared)]

    init() {
        let group = Group()
        members = Mirror(reflecting: group).children.compactMap { child in
            guard let declared = child.value as? any Declared, let label = child.label else { return nil }
            return (declared.explicitName ?? label, declared)
        }
        names = Dictionary(
            members.map { (ObjectIdentifier($0.declared.identity), $0.name) },
            uniquingKeysWith: { first, _ in first })
        self.group = group
    }

    package func name<Member: Declared>(_ path: KeyPath<Group, Member>) -> String {
        guard let name = names[ObjectIdentifier(group[keyPath: path].identity)] else {
            // A computed property makes a new declaration each time it is read; it has no name and never
            // will.
            preconditionFailure(
                "\(Group.self): declarations must be stored properties (`let`), \(path) is not")
        }
        return name
    }

    package static var shared: DeclarationTable { DeclarationTables.table(of: Group.self) }
}

private enum DeclarationTables {
    static let all = Mutex<[ObjectIdentifier: any Sendable]>([:])

    static func table<Group: Declarations>(of type: Group.Type) -> DeclarationTable<Group> {
        if let table = all.withLock({ $0[ObjectIdentifier(type)] }) as? DeclarationTable<Group> {
            return table
        }
        // Made outside of the lock: a group's initialiser is user code. Of two made at once, one stays.
        let made = DeclarationTable<Group>()
        return all.withLock { tables in
            if let table = tables[ObjectIdentifier(type)] as? DeclarationTable<Group> { return table }
            tables[ObjectIdentifier(type)] = made
            return made
        }
    }
}
