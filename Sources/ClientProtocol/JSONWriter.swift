/// Appends JSON text to bytes. The caller sees to the structure; the writer sees to strings and numbers.
public enum JSONWriter {
    /// Appends a string with its quotes, escaping what RFC 8259 section 7 demands.
    public static func append(string: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        var text = string
        text.withUTF8 { utf8 in
            // Runs without anything to escape are copied whole: nearly every string is one run.
            var runStart = 0
            for index in 0..<utf8.count {
                let byte = utf8[index]
                guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else {
                    continue
                }
                bytes.append(contentsOf: utf8[runStart..<index])
                appendEscape(of: byte, to: &bytes)
                runStart = index + 1
            }
            bytes.append(contentsOf: utf8[runStart..<utf8.count])
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Appends a whole number in decimal.
    public static func append(integer: UInt64, to bytes: inout [UInt8]) {
        guard integer >= 10 else { return bytes.append(UInt8(ascii: "0") + UInt8(integer)) }
        var value = integer
        let start = bytes.count
        while value > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(value % 10))
            value /= 10
        }
        bytes[start...].reverse()
    }

    /// Appends text that is JSON already.
    @inline(__always)
    public static func append(raw: String, to bytes: inout [UInt8]) { bytes.append(contentsOf: raw.utf8) }

    /// Appends `{"group":…,"code":…,"message":…,"metadata":{…}}`, the metadata in the order of its names.
    public static func append(error: ActorError, to bytes: inout [UInt8]) {
        append(raw: "{\"group\":", to: &bytes)
        append(string: error.group, to: &bytes)
        append(raw: ",\"code\":", to: &bytes)
        append(string: error.code, to: &bytes)
        append(raw: ",\"message\":", to: &bytes)
        append(string: error.message, to: &bytes)
        append(raw: ",\"metadata\":{", to: &bytes)
        for (index, (name, value)) in error.metadata.sorted(by: { $0.key < $1.key }).enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            append(string: name, to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            append(string: value, to: &bytes)
        }
        append(raw: "}}", to: &bytes)
    }

    private static func appendEscape(of byte: UInt8, to bytes: inout [UInt8]) {
        let digits: StaticString = "0123456789abcdef"
        switch byte {
        case UInt8(ascii: "\""): append(raw: "\\\"", to: &bytes)
        case UInt8(ascii: "\\"): append(raw: "\\\\", to: &bytes)
        case 0x0A: append(raw: "\\n", to: &bytes)
        case 0x0D: append(raw: "\\r", to: &bytes)
        case 0x09: append(raw: "\\t", to: &bytes)
        default:
            append(raw: byte < 0x10 ? "\\u000" : "\\u001", to: &bytes)
            // Within the sixteen digits: only the low four bits are used.
            digits.withUTF8Buffer { bytes.append($0[Int(byte & 15)]) }
        }
    }
}
