import Identifiers

extension ByteWriter {
    /// The kind, then the parts of the key.
    public mutating func address(_ address: ActorAddress) {
        string(address.kind.name)
        varint(address.key.parts.count)
        for part in address.key.parts { string(part) }
    }
}

extension ByteReader {
    /// Reads what `ByteWriter.address` wrote; fails for an address outside of its rules.
    public mutating func address() throws(WireError) -> ActorAddress {
        let kind = try string()
        let count = try count("actor key", limit: ActorKey.partsMax)
        var parts: [String] = []
        for _ in 0..<count { parts.append(try string()) }
        do { return ActorAddress(kind: try ActorKind(kind), key: try ActorKey(parts)) } catch {
            throw .invalid("\(error)")
        }
    }
}
