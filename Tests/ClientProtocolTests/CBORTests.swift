import ClientProtocol
import Testing

/// A61: the second encoding. The examples are those of RFC 8949, appendix A.
@Suite("A61: CBOR stands for JSON") struct CBORTests {
    static let both: [(json: String, cbor: [UInt8])] = [
        ("0", [0x00]), ("23", [0x17]), ("24", [0x18, 0x18]), ("1000", [0x19, 0x03, 0xE8]),
        ("1000000", [0x1A, 0x00, 0x0F, 0x42, 0x40]),
        ("1000000000000", [0x1B, 0, 0, 0, 0xE8, 0xD4, 0xA5, 0x10, 0]),
        ("18446744073709551615", [0x1B] + [UInt8](repeating: 0xFF, count: 8)),
        ("-1", [0x20]), ("-100", [0x38, 0x63]), ("-1000", [0x39, 0x03, 0xE7]),
        ("1.1", [0xFB, 0x3F, 0xF1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9A]),
        ("-4.1", [0xFB, 0xC0, 0x10, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66]),
        ("100000.5", [0xFA, 0x47, 0xC3, 0x50, 0x40]),
        ("false", [0xF4]), ("true", [0xF5]), ("null", [0xF6]), ("\"\"", [0x60]),
        ("\"IETF\"", [0x64, 0x49, 0x45, 0x54, 0x46]),
        ("\"\\\"\\\\\"", [0x62, 0x22, 0x5C]), ("\"ü\"", [0x62, 0xC3, 0xBC]),
        ("[]", [0x80]), ("[1,[2,3],[4,5]]", [0x83, 0x01, 0x82, 0x02, 0x03, 0x82, 0x04, 0x05]),
        ("{}", [0xA0]), (#"{"a":1,"b":[2,3]}"#, [0xA2, 0x61, 0x61, 0x01, 0x61, 0x62, 0x82, 0x02, 0x03]),
    ]

    /// Other ways to say something that JSON has.
    static let onlyRead: [(json: String, cbor: [UInt8])] = [
        ("1.0", [0xF9, 0x3C, 0x00]), ("65504.0", [0xF9, 0x7B, 0xFF]), ("null", [0xF7]),
        ("\"AQIDBA\"", [0x44, 1, 2, 3, 4]), ("\"AQ\"", [0x41, 1]), ("\"_-8\"", [0x42, 0xFF, 0xEF]),
        ("\"2013\"", [0xC0, 0x64, 0x32, 0x30, 0x31, 0x33]),
        ("\"streaming\"", [0x7F, 0x65] + Array("strea".utf8) + [0x64] + Array("ming".utf8) + [0xFF]),
        ("[1,[2,3]]", [0x9F, 0x01, 0x82, 0x02, 0x03, 0xFF]),
        (#"{"a":1}"#, [0xBF, 0x61, 0x61, 0x01, 0xFF]), ("[]", [0x9F, 0xFF]),
    ]

    static func json(_ cbor: [UInt8], limit: Int = 1_000) throws -> String {
        String(decoding: try CBORReader.json(from: cbor, jsonBytesMax: limit), as: UTF8.self)
    }

    static func cbor(_ json: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try CBORWriter.append(json: Array(json.utf8).span, to: &bytes)
        return bytes
    }

    @Test func examplesOfTheStandard() throws {
        for (json, cbor) in Self.both {
            #expect(try Self.cbor(json) == cbor, "\(json)")
            #expect(try Self.json(cbor) == json)
        }
        for (json, cbor) in Self.onlyRead { #expect(try Self.json(cbor) == json) }
    }

    @Test func everyTruncationIsAnError() {
        for (_, cbor) in Self.both + Self.onlyRead {
            for count in cbor.indices {
                #expect(throws: CBORError.self) { try Self.json(Array(cbor[..<count])) }
            }
        }
    }

    static let refused: [(cbor: [UInt8], reason: CBORError.Reason)] = [
        ([0x00, 0x00], .trailingBytes), ([0x61, 0xFF], .notUTF8),
        ([0x9B] + [UInt8](repeating: 0xFF, count: 8), .truncated),
        ([0x5B] + [UInt8](repeating: 0xFF, count: 8), .truncated),
        ([UInt8](repeating: 0x81, count: 100), .tooDeep), ([UInt8](repeating: 0xC1, count: 100), .tooDeep),
        ([0x3B] + [UInt8](repeating: 0xFF, count: 8), .unsupported("number below -2^64")),
        ([0xF9, 0x7E, 0x00], .unsupported("number that is not finite")),
        ([0xFA, 0x7F, 0x80, 0, 0], .unsupported("number that is not finite")),
        ([0xA1, 0x01, 0x02], .unsupported("map with a name that is no text")),
        ([0xF8, 0x20], .unsupported("with a simple value that JSON has not")),
        ([0xFF], .unsupported("with a simple value that JSON has not")),
        ([0x1C], .unsupported("with a reserved head")),
        ([0x1F], .unsupported("with a length that is not one")),
        ([0x7F, 0x41, 0x00, 0xFF], .unsupported("piece of another kind")),
    ]

    @Test func whatJSONHasNotIsRefused() {
        for (cbor, reason) in Self.refused {
            let found = #expect(throws: CBORError.self) { try Self.json(cbor) }
            #expect(found?.reason == reason, "\(cbor)")
        }
        // Short bytes must not become a long text.
        let found = #expect(throws: CBORError.self) {
            try Self.json([0x98, 200] + [UInt8](repeating: 0x61, count: 400), limit: 100)
        }
        #expect(found?.reason == .tooLarge)
    }
}
