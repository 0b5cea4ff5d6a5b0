import Identifiers

extension FuzzTarget {
    /// The path form of a key: what is accepted has one written form, which reads back as the same key.
    public static let actorKeyPath = FuzzTarget(
        "ActorKeyPath",
        corpus: ["a", "", "/", "a%2Fb/%C3%BC/%F0%9F%9B%92", "1/2/3/4/5/6/7/8", "a//b", "%25"].map {
            Array($0.utf8)
        }
    ) { bytes in
        guard let key = ActorKey(path: String(decoding: bytes, as: UTF8.self)) else { return nil }
        let path = key.description
        guard let again = ActorKey(path: path) else { return "the written form of a key is refused: \(path)" }
        guard again == key, again.description == path else { return "a key changed on its way: \(path)" }
        return key.parts.count == path.utf8.count(where: { $0 == UInt8(ascii: "/") }) + 1
            ? nil : "a slash inside of a part was not escaped: \(path)"
    }

    /// The text form of an identifier: what is accepted is written the same, but for the case of its letters.
    public static let uuidText = FuzzTarget(
        "UUIDText",
        corpus: ["01234567-89ab-cdef-fedc-ba9876543210", "FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF"]
            .map { Array($0.utf8) }
    ) { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        guard let id = SessionID(text) else { return nil }
        return id.description == text.lowercased() ? nil : "\(text) was read as \(id)"
    }
}
