import ByteCoding
import ClientProtocol

/// The recorded form of a reply, kept so that a repeated request gets the same answer (A13).
package enum ReplyRecord {
    static let version: UInt8 = 1
    /// What is recorded of the request that created the actor.
    package static let creation: [UInt8] = [version, 4]

    package static func encode(_ reply: ActorReply) -> [UInt8] {
        var writer = ByteWriter(capacity: 32)
        writer.byte(version)
        switch reply {
        case .output(let payload):
            writer.byte(0)
            writer.blob(payload.bytes)
        case .accepted(let number):
            writer.byte(1)
            writer.varint(number)
        case .completed(let payload):
            writer.byte(2)
            writer.blob(payload.bytes)
        case .destroyed:
            writer.byte(3)
        case .created, .document, .timedOut:
            // Not effects: asking again is harmless, so they are never recorded.
            preconditionFailure("\(reply) is no recorded reply")
        }
        return writer.bytes
    }

    package static func decode(_ bytes: [UInt8]) throws(WireError) -> ActorReply {
        var reader = ByteReader(bytes)
        let found = try reader.byte()
        guard found == version else {
            throw .version(what: "reply", found: UInt64(found), newest: UInt64(version))
        }
        let reply: ActorReply
        switch try reader.byte() {
        case 0: reply = .output(Payload(try reader.blob()))
        case 1: reply = .accepted(try reader.varint())
        case 2: reply = .completed(Payload(try reader.blob()))
        case 3: reply = .destroyed
        case 4: reply = .created(true, .null)
        case let tag: throw .unknown(what: "reply", value: UInt64(tag))
        }
        try reader.finish()
        return reply
    }
}
