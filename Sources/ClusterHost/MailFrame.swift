import ByteCoding

/// What `MeshCarrier` puts around a batch of messages or its result: version u8 | id varint | the bytes.
package struct MailFrame: Hashable, Sendable {
    package static let version: UInt8 = 1

    /// The batch's, chosen by whoever sends it and named in the answer.
    package var id: UInt64
    package var bytes: [UInt8]

    package init(id: UInt64, _ bytes: [UInt8]) {
        self.id = id
        self.bytes = bytes
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: bytes.count + 12)
        writer.byte(Self.version)
        writer.varint(id)
        writer.raw(bytes)
        return writer.bytes
    }

    package static func decode(_ payload: [UInt8]) throws(WireError) -> MailFrame {
        var reader = ByteReader(payload)
        let found = try reader.byte()
        guard found == version else {
            throw .version(what: "messages between nodes", found: UInt64(found), newest: UInt64(version))
        }
        let id = try reader.varint()
        return MailFrame(id: id, Array(payload[reader.offset...]))
    }
}
