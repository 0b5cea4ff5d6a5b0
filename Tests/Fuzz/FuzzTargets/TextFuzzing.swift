import ClientProtocol
import Identifiers

extension FuzzTarget {
    /// What is accepted as CBOR is JSON, and stays the same JSON when it comes back from CBOR.
    public static let cbor = FuzzTarget(
        "CBOR",
        corpus: [[0xA2, 0x61, 0x61, 0x01, 0x61, 0x62, 0x82, 0xF9, 0x3C, 0x00, 0x7F, 0x61, 0x78, 0xFF]]
    ) { bytes in
        guard let json = try? CBORReader.json(from: bytes, jsonBytesMax: 1 << 20) else { return nil }
        var cbor: [UInt8] = []
        guard (try? CBORWriter.append(json: json.span, to: &cbor)) != nil else {
            return "CBOR became what is no JSON: \(String(decoding: json, as: UTF8.self))"
        }
        guard let again = try? CBORReader.json(from: cbor, jsonBytesMax: 1 << 21) else {
            return "CBOR of ours is not read: \(cbor)"
        }
        var second: [UInt8] = []
        guard (try? CBORWriter.append(json: again.span, to: &second)) != nil, second == cbor else {
            return "a value changed on its way: \(String(decoding: json, as: UTF8.self))"
        }
        return nil
    }

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
