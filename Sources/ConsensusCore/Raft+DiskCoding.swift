import ByteCoding

/// What the driver stores, one record each: version u8, the content, CRC32C u32 of all before it. SQLite has
/// no checksums of its own, so each record proves itself.
extension Raft.HardState {
    public static let version: UInt8 = 1

    public func encoded() -> [UInt8] {
        sealed(Self.version) { writer in
            writer.varint(term)
            writer.optional(vote) { $0.member($1) }
        }
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> Self {
        var reader = try unsealed(bytes, "raft hard state", newest: version)
        let state = Self(
            term: try reader.number("term"),
            vote: try reader.optional { reader throws(WireError) in try reader.member() })
        try reader.finish()
        return state
    }
}

extension Raft.Entry {
    public static let version: UInt8 = 1

    public func encoded() -> [UInt8] {
        sealed(Self.version) { $0.entry(self) }
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> Self {
        var reader = try unsealed(bytes, "raft entry", newest: version)
        let entry = try reader.entry()
        try reader.finish()
        return entry
    }
}

extension Raft.Snapshot {
    public static let version: UInt8 = 1

    public func encoded() -> [UInt8] {
        sealed(Self.version) { writer in
            writer.position(position)
            writer.configuration(configuration)
            writer.blob(state)
        }
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> Self {
        var reader = try unsealed(bytes, "raft snapshot", newest: version)
        let snapshot = Self(
            position: try reader.position(), configuration: try reader.configuration(),
            state: try reader.blob())
        try reader.finish()
        return snapshot
    }
}

private func sealed(_ version: UInt8, _ write: (inout ByteWriter) -> Void) -> [UInt8] {
    var writer = ByteWriter()
    writer.byte(version)
    write(&writer)
    writer.fixed(CRC32C.checksum(writer.bytes))
    return writer.bytes
}

private func unsealed(_ bytes: [UInt8], _ what: String, newest: UInt8) throws(WireError) -> ByteReader {
    guard bytes.count > 4 else { throw .truncated }
    let end = bytes.count - 4
    var tail = try ByteReader(bytes, in: end..<bytes.count)
    var reader = try ByteReader(bytes, in: 0..<end)
    try reader.version(what, newest: newest)
    guard try tail.fixed() == CRC32C.checksum(Array(bytes[..<end])) else { throw .checksum(what: what) }
    return reader
}
