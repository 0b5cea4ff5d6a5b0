import ByteCoding
import ClientProtocol

/// The recorded form of a reply, kept so that a repeated request gets the same answer (A13).
enum ReplyRecord {
    static let version: UInt8 = 1
    /// What is recorded of the request that created the actor.
    static let creation: [UInt8] = [version, 4]

    static func encode(_ reply: ActorReply) -> [UInt8] {
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

    static func decode(_ bytes: [UInt8]) throws(WireError) -> ActorReply {
        var reader = ByteReader(bytes)
        let found = try reader.byte()
        guard found == version else {
            throw .version(what: "reply", found: UInt64(found), newest: UInt64(version))
        }
        switch try reader.byte() {
        case 0: return .output(Payload(try reader.blob()))
        case 1: return .accepted(try reader.varint())
        case 2: return .completed(Payload(try reader.blob()))
        case 3: return .destroyed
        case 4: return .created(true, .null)
        case let tag: throw .unknown(what: "reply", value: UInt64(tag))
        }
    }
}
