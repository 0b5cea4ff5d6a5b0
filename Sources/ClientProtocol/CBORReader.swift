/// Why bytes were refused as CBOR, and at which byte.
public struct CBORError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: Hashable, Sendable {
        case truncated, trailingBytes, tooDeep, notUTF8, tooLarge
        /// Well-formed, but JSON has nothing like it.
        case unsupported(String)
    }
    public var reason: Reason
    /// Counted in bytes from 0.
    public var offset: Int

    public var description: String {
        let what =
            switch reason {
            case .truncated: "cut off"
            case .trailingBytes: "followed by something else"
            case .tooDeep: "nested deeper than \(JSONScanner.depthMax) levels"
            case .notUTF8: "not UTF-8"
            case .tooLarge: "too large as JSON"
            case .unsupported(let what): what
            }
        return "CBOR \(what) at byte \(offset)"
    }
}

/// Turns CBOR (RFC 8949) into the JSON text that it stands for, as its section 6.1 advises.
///
/// Numbers, text, arrays, maps with text as names, true, false and null. Byte strings become base64url text
/// without padding, tags are passed over. What has no JSON (NaN, infinities, other names) is an error.
public struct CBORReader {
    private let bytes: [UInt8]
    private var index = 0
    private var json: [UInt8] = []
    private let jsonBytesMax: Int

    private init(_ bytes: [UInt8], jsonBytesMax: Int) {
        self.bytes = bytes
        self.jsonBytesMax = jsonBytesMax
        json.reserveCapacity(bytes.count + bytes.count / 4)
    }

    /// - Parameter jsonBytesMax: how long the JSON may become.
    public static func json(from bytes: [UInt8], jsonBytesMax: Int) throws(CBORError) -> [UInt8] {
        var reader = CBORReader(bytes, jsonBytesMax: jsonBytesMax)
        try reader.value(depth: 0)
        guard reader.index == bytes.count else { throw reader.error(.trailingBytes) }
        guard reader.json.count <= jsonBytesMax else { throw reader.error(.tooLarge) }
        return reader.json
    }

    private func error(_ reason: CBORError.Reason) -> CBORError { CBORError(reason: reason, offset: index) }

    private mutating func byte() throws(CBORError) -> UInt8 {
        guard index < bytes.count else { throw error(.truncated) }
        defer { index += 1 }
        return bytes[index]
    }

    /// The argument of a head (section 3); nil for an indefinite length.
    private mutating func argument(_ information: UInt8) throws(CBORError) -> UInt64? {
        switch information {
        case 0..<24: return UInt64(information)
        case 24...27:
            var value: UInt64 = 0
            for _ in 0..<(1 << (information - 24)) { value = value << 8 | UInt64(try byte()) }
            return value
        case 31: return nil
        default: throw error(.unsupported("with a reserved head"))
        }
    }

    private var isAtBreak: Bool { index < bytes.count && bytes[index] == 0xFF }

    private mutating func value(depth: Int) throws(CBORError) {
        guard json.count <= jsonBytesMax else { throw error(.tooLarge) }
        let head = try byte()
        let argument = try argument(head & 0x1F)
        switch head >> 5 {
        case 0: JSONWriter.append(integer: try definite(argument), to: &json)
        case 1:
            let rest = try definite(argument)
            guard rest < .max else { throw error(.unsupported("number below -2^64")) }
            json.append(UInt8(ascii: "-"))
            JSONWriter.append(integer: rest + 1, to: &json)
        case 2: appendBase64URL(try string(argument, major: 2))
        case 3: try appendText(argument)
        case 4: try elements(argument, depth: depth)
        case 5: try members(argument, depth: depth)
        case 6:
            // A tag says how to understand what follows, which may be another tag: no recursion for them.
            guard depth < JSONScanner.depthMax else { throw error(.tooDeep) }
            _ = try definite(argument)
            try value(depth: depth + 1)
        default: try simple(head & 0x1F, argument)
        }
    }

    private func definite(_ argument: UInt64?) throws(CBORError) -> UInt64 {
        guard let argument else { throw error(.unsupported("with a length that is not one")) }
        return argument
    }

    private mutating func simple(_ information: UInt8, _ argument: UInt64?) throws(CBORError) {
        switch (information, argument) {
        case (20, _): JSONWriter.append(raw: "false", to: &json)
        case (21, _): JSONWriter.append(raw: "true", to: &json)
        case (22, _), (23, _): JSONWriter.append(raw: "null", to: &json)
        case (25, let bits?): try append(Double(Float16(bitPattern: UInt16(truncatingIfNeeded: bits))))
        case (26, let bits?): try append(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits))))
        case (27, let bits?): try append(Double(bitPattern: bits))
        default: throw error(.unsupported("with a simple value that JSON has not"))
        }
    }

    /// Swift's shortest text that reads back as the same number is JSON, apart from what is not finite.
    private mutating func append(_ number: Double) throws(CBORError) {
        guard number.isFinite else { throw error(.unsupported("number that is not finite")) }
        JSONWriter.append(raw: "\(number)", to: &json)
    }

    /// The bytes of a string, its pieces joined if its length is indefinite.
    private mutating func string(_ argument: UInt64?, major: UInt8) throws(CBORError) -> [UInt8] {
        if let argument { return Array(try take(argument)) }
        var joined: [UInt8] = []
        while !isAtBreak {
            let head = try byte()
            guard head >> 5 == major else { throw error(.unsupported("piece of another kind")) }
            joined += try take(try definite(try self.argument(head & 0x1F)))
        }
        index += 1
        return joined
    }

    private mutating func take(_ count: UInt64) throws(CBORError) -> ArraySlice<UInt8> {
        guard count <= UInt64(bytes.count - index) else { throw error(.truncated) }
        defer { index += Int(count) }
        return bytes[index..<index + Int(count)]
    }

    private mutating func appendText(_ argument: UInt64?) throws(CBORError) {
        let utf8 = try string(argument, major: 3)
        guard let text = String(validating: utf8, as: UTF8.self) else { throw error(.notUTF8) }
        JSONWriter.append(string: text, to: &json)
        // Escapes make it up to six times as long.
        guard json.count <= jsonBytesMax else { throw error(.tooLarge) }
    }

    private mutating func elements(_ count: UInt64?, depth: Int) throws(CBORError) {
        guard depth < JSONScanner.depthMax else { throw error(.tooDeep) }
        json.append(UInt8(ascii: "["))
        var done: UInt64 = 0
        while try isMore(done, of: count) {
            if done > 0 { json.append(UInt8(ascii: ",")) }
            try value(depth: depth + 1)
            done += 1
        }
        json.append(UInt8(ascii: "]"))
    }

    private mutating func members(_ count: UInt64?, depth: Int) throws(CBORError) {
        guard depth < JSONScanner.depthMax else { throw error(.tooDeep) }
        json.append(UInt8(ascii: "{"))
        var done: UInt64 = 0
        while try isMore(done, of: count) {
            if done > 0 { json.append(UInt8(ascii: ",")) }
            let head = try byte()
            guard head >> 5 == 3 else { throw error(.unsupported("map with a name that is no text")) }
            try appendText(try argument(head & 0x1F))
            json.append(UInt8(ascii: ":"))
            try value(depth: depth + 1)
            done += 1
        }
        json.append(UInt8(ascii: "}"))
    }

    /// Whether another element comes; passes over the break of an indefinite length.
    private mutating func isMore(_ done: UInt64, of count: UInt64?) throws(CBORError) -> Bool {
        if let count { return done < count }
        guard index < bytes.count else { throw error(.truncated) }
        guard isAtBreak else { return true }
        index += 1
        return false
    }

    private mutating func appendBase64URL(_ data: [UInt8]) {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        json.append(UInt8(ascii: "\""))
        for start in stride(from: 0, to: data.count, by: 3) {
            let group = data[start..<min(start + 3, data.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for place in 0...group.count { json.append(digits[bits >> (18 - 6 * place) & 63]) }
        }
        json.append(UInt8(ascii: "\""))
    }
}
