import ClientProtocol
import Testing

@Suite("JSON") struct JSONTests {
    private func check(_ text: String) -> JSONError? { check(Array(text.utf8)) }

    private func check(_ bytes: [UInt8]) -> JSONError? {
        do throws(JSONError) {
            _ = try JSONScanner.validate(bytes.span)
            return nil
        } catch { return error }
    }

    @Test(
        "Well-formed values pass",
        arguments: [
            "0", "-0", "12.5e-3", "1E+2", "true", "false", "null", #""""#, #""a\"\\\/\b\f\n\r\tz""#,
            #""\u00e9\ud83d\udc26""#,
            "[]", "{}", " [ 1 , [ ] , { } ] ", #"{"a":{"b":[1,"x",null]},"c":-1.5}"#, "\"é🐦\u{7f}\"",
            "\t\r\n 1\n",
        ])
    func wellFormed(_ text: String) { #expect(check(text) == nil) }

    @Test(
        "Everything else does not",
        arguments: [
            "", " ", "+1", "01", "1.", ".5", "1e", "1e+", "-", "0x1", "nul", "True", "nulll", "\"", "\"\n\"",
            #""\x""#,
            #""\u12g4""#, "[", "[1", "[1,", "[1,]", "[,1]", "]", "{", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#,
            "{1:2}", "1 2",
            "[1}", #"{"a":1]"#, "'a'", "// 1\n1", "NaN", "\u{FEFF}1",
        ])
    func malformed(_ text: String) { #expect(check(text) != nil) }

    @Test(
        "Bytes that are not UTF-8 are refused as such",
        arguments: [
            [0xFF], [0xC0, 0x80], [0xC3], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE0, 0x80, 0x80],
            [0x80],
            [0xF0, 0x82, 0x82, 0xAC], [0xE2, 0x82],
        ] as [[UInt8]])
    func notUTF8(_ bytes: [UInt8]) { #expect(check([0x22] + bytes + [0x22])?.reason == .notUTF8) }

    @Test("64 levels pass, one more does not; a million cost nothing")
    func depth() {
        #expect(check(String(repeating: "[", count: 64) + String(repeating: "]", count: 64)) == nil)
        #expect(
            check(String(repeating: "[", count: 65) + String(repeating: "]", count: 65))?.reason == .tooDeep)
        #expect(check(String(repeating: "{\"a\":", count: 1_000_000))?.reason == .tooDeep)
    }

    @Test("Payloads come out as they were written, without the space around them")
    func payloads() throws {
        let bytes = Array(" {\"b\" : [ 1.50, \"\\u0041\" ]}\n".utf8)
        #expect(try JSONSlice.payload(checking: bytes.span).text == #"{"b" : [ 1.50, "\u0041" ]}"#)
    }

    @Test("Strings are written so that they read back, whatever is in them")
    func strings() throws {
        for text in [
            "", "a", "\"\\/", "\u{0}\u{1f}\u{7f}", "é🐦", "line\nend\r\t", String(repeating: "x\"", count: 99),
        ] {
            var bytes = Array("{\"t\":".utf8)
            JSONWriter.append(string: text, to: &bytes)
            bytes.append(UInt8(ascii: "}"))
            let members = try JSONSlice.members(of: bytes.span)
            #expect(members["t"]?.string(in: bytes.span) == text)
        }
        var numbers: [UInt8] = []
        for number in [0, 9, 10, 1_234_567_890, UInt64.max] {
            JSONWriter.append(integer: number, to: &numbers)
        }
        #expect(String(decoding: numbers, as: UTF8.self) == "0910123456789018446744073709551615")
    }
}
