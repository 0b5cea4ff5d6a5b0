import ByteCoding
import ClientProtocol

/// The recorded form of a reply, kept so that a repeated request gets the same answer (A13).
package enum ReplyRecord {
    static let version: UInt8 = 1
    /// Facts of an error that are kept.
    static let metadataMax = 1_000
    /// What is recorded of the request that created the actor.
    package static let creation: [UInt8] = [version, 4]

    package static func encode(_ result: Result<ActorReply, ActorError>) -> [UInt8] {
        switch result {
        case .success(let reply): return encode(reply)
        case .failure(let error):
            var writer = ByteWriter(capacity: 64)
            writer.byte(version)
            writer.byte(5)
            for text in [error.group, error.code, error.message] { writer.string(text) }
            let metadata = error.metadata.sorted { $0.key < $1.key }.prefix(metadataMax)
            writer.varint(metadata.count)
            for (name, text) in metadata {
                writer.string(name)
                writer.string(text)
            }
            return writer.bytes
        }
    }

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

    package static func decode(_ bytes: [UInt8]) throws(WireError) -> Result<ActorReply, ActorError> {
        var reader = ByteReader(bytes)
        let found = try reader.byte()
        guard found == version else {
            throw .version(what: "reply", found: UInt64(found), newest: UInt64(version))
        }
        let reply: Result<ActorReply, ActorError>
        switch try reader.byte() {
        case 0: reply = .success(.output(Payload(try reader.blob())))
        case 1: reply = .success(.accepted(try reader.varint()))
        case 2: reply = .success(.completed(Payload(try reader.blob())))
        case 3: reply = .success(.destroyed)
        case 4: reply = .success(.created(true, .null))
        case 5:
            let (group, code, message) = (try reader.string(), try reader.string(), try reader.string())
            var metadata: [String: String] = [:]
            for _ in 0..<(try reader.count("error metadata", limit: metadataMax)) {
                let name = try reader.string()
                metadata[name] = try reader.string()
            }
            reply = .failure(ActorError(code, message, group: group, metadata: metadata))
        case let tag: throw .unknown(what: "reply", value: UInt64(tag))
        }
        try reader.finish()
        return reply
    }
}
