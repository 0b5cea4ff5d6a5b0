import ByteCoding
import ClientProtocol
import Identifiers

/// What a node asks of the one that owns an actor, and no node passes on.
///
///     version u8 | id varint | kind u8 | what the kind has
package struct PeerCall: Sendable {
    package enum Body: Sendable {
        case request(ActorRequest)
        /// Nobody waits for the answer to the call of this id any more.
        case abandon
        /// A page of the actors that the node has.
        case list(kind: String?, after: ActorAddress?, limit: Int)
        case subscribe(event: String, of: ActorAddress)
        case unsubscribe
    }

    package static let version: UInt8 = 1
    static let listMax = 1_000

    /// Chosen by the asker, never twice in a process.
    package var id: UInt64
    package var body: Body

    package init(id: UInt64, body: Body) {
        self.id = id
        self.body = body
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 128)
        writer.byte(Self.version)
        writer.varint(id)
        switch body {
        case .request(let request):
            writer.byte(1)
            writer.request(request)
        case .abandon: writer.byte(2)
        case .list(let kind, let after, let limit):
            writer.byte(3)
            writer.optional(kind) { $0.string($1) }
            writer.optional(after) { $0.address($1) }
            writer.varint(limit)
        case .subscribe(let event, let actor):
            writer.byte(4)
            writer.string(event)
            writer.address(actor)
        case .unsubscribe: writer.byte(5)
        }
        return writer.bytes
    }

    package static func decode(_ bytes: [UInt8]) throws(WireError) -> PeerCall {
        var reader = ByteReader(bytes)
        let id = try reader.beginning("call between nodes", newest: version)
        let body: Body
        switch try reader.byte() {
        case 1: body = .request(try reader.request())
        case 2: body = .abandon
        case 3:
            let kind = try reader.optional { reader throws(WireError) in try reader.string() }
            let after = try reader.optional { reader throws(WireError) in try reader.address() }
            body = .list(kind: kind, after: after, limit: try reader.count("actors", limit: listMax))
        case 4:
            let event = try reader.string()
            body = .subscribe(event: event, of: try reader.address())
        case 5: body = .unsubscribe
        case let kind: throw .unknown(what: "call between nodes", value: UInt64(kind))
        }
        try reader.finish()
        return PeerCall(id: id, body: body)
    }
}

/// What the owner says to the asker.
///
///     version u8 | id varint | kind u8 | what the kind has
package struct PeerAnswer: Sendable {
    package enum Body: Sendable {
        case reply(ActorReply)
        case failure(ActorError)
        /// An event of a subscription.
        case event(Payload)
        /// The last of a subscription.
        case ending(ActorError)
    }

    package static let version: UInt8 = 1

    package var id: UInt64
    package var body: Body

    package init(id: UInt64, body: Body) {
        self.id = id
        self.body = body
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 128)
        writer.byte(Self.version)
        writer.varint(id)
        switch body {
        case .reply(let reply):
            writer.byte(1)
            writer.reply(reply)
        case .failure(let error):
            writer.byte(2)
            writer.error(error)
        case .event(let payload):
            writer.byte(3)
            writer.blob(payload.bytes)
        case .ending(let error):
            writer.byte(4)
            writer.error(error)
        }
        return writer.bytes
    }

    package static func decode(_ bytes: [UInt8]) throws(WireError) -> PeerAnswer {
        var reader = ByteReader(bytes)
        let id = try reader.beginning("answer between nodes", newest: version)
        let body: Body
        switch try reader.byte() {
        case 1: body = .reply(try reader.reply())
        case 2: body = .failure(try reader.error())
        case 3: body = .event(Payload(try reader.blob()))
        case 4: body = .ending(try reader.error())
        case let kind: throw .unknown(what: "answer between nodes", value: UInt64(kind))
        }
        try reader.finish()
        return PeerAnswer(id: id, body: body)
    }
}

extension ByteReader {
    /// The version, then the id.
    fileprivate mutating func beginning(_ what: String, newest: UInt8) throws(WireError) -> UInt64 {
        let found = try byte()
        guard found == newest else {
            throw .version(what: what, found: UInt64(found), newest: UInt64(newest))
        }
        return try varint()
    }
}
