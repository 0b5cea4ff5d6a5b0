import ByteCoding
import Identifiers

/// A message of one actor to another, or the answer to one (W60).
public struct ActorMessage: Hashable, Sendable {
    public static let version: UInt8 = 1
    /// The most bytes of a body, an input or an output.
    public static let payloadBytesMax = 1 << 20

    public enum Content: Hashable, Sendable {
        /// Goes into a queue of the target.
        case send(queue: String, body: [UInt8], MessageDelivery)
        /// Performs an action of the target, which answers.
        case call(action: String, input: [UInt8])
        /// What became of the call with that number: a reply as the host records it.
        case answer(to: UInt64, reply: [UInt8])
        /// A message that was sent cannot be delivered; the error as the host records it.
        case returned(queue: String, body: [UInt8], error: [UInt8])
    }

    public var sender: ActorAddress
    public var target: ActorAddress
    /// Which life of the actor that sent, or called: of the sender, or, if this answers, of the target.
    public var life: ActorID
    public var content: Content

    public init(sender: ActorAddress, target: ActorAddress, life: ActorID, content: Content) {
        self.sender = sender
        self.target = target
        self.life = life
        self.content = content
    }

    /// Whether it goes back to who has sent or called.
    public var isAnswer: Bool {
        switch content {
        case .send, .call: false
        case .answer, .returned: true
        }
    }

    /// About as many bytes as it takes in storage.
    public var byteCount: Int {
        switch content {
        case .send(let queue, let body, _): 512 + queue.utf8.count + body.count
        case .call(let action, let input): 512 + action.utf8.count + input.count
        case .answer(_, let reply): 512 + reply.count
        case .returned(let queue, let body, let error): 512 + queue.utf8.count + body.count + error.count
        }
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: byteCount)
        writer.byte(Self.version)
        writer.address(sender)
        writer.address(target)
        writer.varint(life.rawValue)
        switch content {
        case .send(let queue, let body, let delivery):
            writer.byte(1)
            writer.string(queue)
            writer.blob(body)
            writer.varint(delivery.delayMicros)
            writer.byte(delivery.priority)
            writer.optional(delivery.deduplicationKey) { $0.string($1) }
        case .call(let action, let input):
            writer.byte(2)
            writer.string(action)
            writer.blob(input)
        case .answer(let number, let reply):
            writer.byte(3)
            writer.varint(number)
            writer.blob(reply)
        case .returned(let queue, let body, let error):
            writer.byte(4)
            writer.string(queue)
            writer.blob(body)
            writer.blob(error)
        }
        return writer.bytes
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> ActorMessage {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "message of an actor", found: UInt64(version), newest: UInt64(Self.version))
        }
        let sender = try reader.address()
        let target = try reader.address()
        let life = ActorID(rawValue: try reader.varint())
        let content: Content
        switch try reader.byte() {
        case 1:
            let queue = try reader.string()
            let body = try reader.blob()
            let delay = try reader.varint()
            let priority = try reader.byte()
            let key = try reader.optional { reader throws(WireError) in try reader.string() }
            content = .send(
                queue: queue, body: body,
                MessageDelivery(delayMicros: delay, priority: priority, deduplicationKey: key))
        case 2:
            let action = try reader.string()
            content = .call(action: action, input: try reader.blob())
        case 3:
            let number = try reader.varint()
            content = .answer(to: number, reply: try reader.blob())
        case 4:
            let queue = try reader.string()
            let body = try reader.blob()
            content = .returned(queue: queue, body: body, error: try reader.blob())
        case let tag: throw .unknown(what: "content of a message", value: UInt64(tag))
        }
        try reader.finish()
        return ActorMessage(sender: sender, target: target, life: life, content: content)
    }
}

/// How a message goes into its queue.
public struct MessageDelivery: Hashable, Sendable {
    /// It is not taken earlier than that after its arrival.
    public var delayMicros: UInt64
    /// 0 to 9; higher ones are taken first.
    public var priority: UInt8
    public var deduplicationKey: String?

    public init(delayMicros: UInt64 = 0, priority: UInt8 = 0, deduplicationKey: String? = nil) {
        self.delayMicros = delayMicros
        self.priority = priority
        self.deduplicationKey = deduplicationKey
    }
}
