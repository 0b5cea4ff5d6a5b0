import ClientProtocol
import Identifiers

/// The actions and queries of another actor; calling one says what to ask, and asks nothing yet.
@dynamicMemberLookup
public struct ActionsOf<Definition: DurableActor>: Sendable {
    init() {}

    public subscript<Input, Output>(
        dynamicMember path: KeyPath<Definition.Actions, ActorAction<Definition, Input, Output>>
    ) -> ActionOfOther<Input, Output> {
        ActionOfOther(name: DeclarationTable<Definition.Actions>.shared.name(path))
    }

    public subscript<Input, Output>(
        dynamicMember path: KeyPath<Definition.Actions, ActorAsyncAction<Definition, Input, Output>>
    ) -> ActionOfOther<Input, Output> {
        ActionOfOther(name: DeclarationTable<Definition.Actions>.shared.name(path))
    }

    public subscript<Output>(
        dynamicMember path: KeyPath<Definition.Actions, ActorQuery<Definition, Output>>
    ) -> ActionOfOther<NoInput, Output> {
        ActionOfOther(name: DeclarationTable<Definition.Actions>.shared.name(path))
    }
}

/// An action of another actor, without its input.
public struct ActionOfOther<Input: Codable & Sendable, Output: Codable & Sendable>: Sendable {
    let name: String

    public func callAsFunction(_ input: Input) -> ActionCall<Output> {
        ActionCall(name: name, input: Result { try PayloadCoding.encode(input) })
    }
}

extension ActionOfOther where Input == NoInput {
    public func callAsFunction() -> ActionCall<Output> { callAsFunction(NoInput()) }
}

/// An action of another actor with its input, ready to be asked for.
public struct ActionCall<Output: Codable & Sendable>: Sendable {
    let name: String
    /// As JSON; a failure if the value cannot be written so.
    let input: Result<[UInt8], any Error>
}

/// An action that the host is to perform at another actor.
package struct OutgoingCall: Sendable {
    package var target: ActorAddress
    package var action: String
    package var input: [UInt8]

    init<Output>(_ call: ActionCall<Output>, of target: ActorAddress) throws {
        self.target = target
        action = call.name
        input = try call.input.get()
    }
}

/// A message that goes into a queue of another actor.
package struct OutgoingPost: Sendable {
    package var target: ActorAddress
    package var queue: String
    package var body: [UInt8]
    package var delay: Duration
    /// Apart from the delay, which is exact above.
    package var options: MessageOptions

    init<Queues: Declarations, Body, Reply>(
        _ body: Body, to queue: KeyPath<Queues, QueueOf<Body, Reply>>, of target: ActorAddress,
        delay: Duration, options: MessageOptions
    ) throws {
        try options.validate()
        self.target = target
        self.queue = DeclarationTable<Queues>.shared.name(queue)
        self.body = try PayloadCoding.encode(body)
        self.delay = delay
        self.options = options
    }
}
