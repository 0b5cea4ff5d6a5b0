/// Why bytes were refused as JSON, and at which byte.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: Hashable, Sendable {
        case syntax, notUTF8, tooDeep, truncated, trailingBytes, duplicateMember
    }
    public var reason: Reason
    /// Counted in bytes from 0.
    public var offset: Int

    public var description: String {
        let what =
            switch reason {
            case .syntax: "not JSON"
            case .notUTF8: "not UTF-8"
            case .tooDeep: "nested deeper than \(JSONScanner.depthMax) levels"
            case .truncated: "cut off"
            case .trailingBytes: "followed by something else"
            case .duplicateMember: "holding a member twice"
            }
        return "\(what) at byte \(offset)"
    }
}

/// A strict reader of JSON text (RFC 8259) that checks and finds, but builds nothing.
///
/// Payloads pass through Apus as the bytes that the client wrote; the scanner says that they are one
/// well-formed value and where the members of an envelope lie. Every access is bounds checked by `Span`.
public enum JSONScanner {
    /// Arrays and objects inside each other. 64, so that the open ones fit the bits of one word.
    public static let depthMax = 64

    /// Checks that the bytes are exactly one JSON value with white space around it.
    /// - Returns: the value's place without the white space.
    public static func validate(_ bytes: borrowing Span<UInt8>) throws(JSONError) -> Range<Int> {
        var index = 0
        skipSpace(bytes, &index)
        let start = index
        try skipValue(bytes, &index)
        let end = index
        skipSpace(bytes, &index)
        guard index == bytes.count else { throw JSONError(reason: .trailingBytes, offset: index) }
        return start..<end
    }

    /// Visits the members of the object that the bytes are, in order. `visit` gets the place of the name
    /// between its quotes and of the value.
    static func members<Failure: Error>(
        _ bytes: borrowing Span<UInt8>, wrap: (JSONError) -> Failure,
        visit: (_ name: Range<Int>, _ value: Range<Int>) throws(Failure) -> Void
    ) throws(Failure) {
        var index = 0
        do throws(JSONError) {
            skipSpace(bytes, &index)
            try expect(UInt8(ascii: "{"), bytes, &index)
            skipSpace(bytes, &index)
        } catch { throw wrap(error) }
        var first = true
        while true {
            let name: Range<Int>, value: Range<Int>
            do throws(JSONError) {
                guard let byte = byte(bytes, index) else {
                    throw JSONError(reason: .truncated, offset: index)
                }
                if byte == UInt8(ascii: "}") {
                    index += 1
                    skipSpace(bytes, &index)
                    guard index == bytes.count else { throw JSONError(reason: .trailingBytes, offset: index) }
                    return
                }
                if !first {
                    try expect(UInt8(ascii: ","), bytes, &index)
                    skipSpace(bytes, &index)
                }
                let nameStart = index + 1
                try skipString(bytes, &index)
                name = nameStart..<(index - 1)
                skipSpace(bytes, &index)
                try expect(UInt8(ascii: ":"), bytes, &index)
                skipSpace(bytes, &index)
                let valueStart = index
                try skipValue(bytes, &index, depth: 1)
                value = valueStart..<index
                skipSpace(bytes, &index)
            } catch { throw wrap(error) }
            first = false
            try visit(name, value)
        }
    }

    /// Places of the elements of the array at `place`, which must have been checked already.
    package static func elements(
        _ bytes: borrowing Span<UInt8>, in place: Range<Int>
    ) throws(JSONError) -> [Range<Int>] {
        var index = place.lowerBound
        try expect(UInt8(ascii: "["), bytes, &index)
        var found: [Range<Int>] = []
        skipSpace(bytes, &index)
        while index < place.upperBound, bytes[index] != UInt8(ascii: "]") {
            let start = index
            try skipValue(bytes, &index)
            found.append(start..<index)
            skipSpace(bytes, &index)
            if byte(bytes, index) == UInt8(ascii: ",") { index += 1 }
            skipSpace(bytes, &index)
        }
        return found
    }

    @inline(__always)
    static func byte(_ bytes: borrowing Span<UInt8>, _ index: Int) -> UInt8? {
        index < bytes.count ? bytes[index] : nil
    }

    @inline(__always)
    static func skipSpace(_ bytes: borrowing Span<UInt8>, _ index: inout Int) {
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x0A, 0x0D, 0x09: index += 1
            default: return
            }
        }
    }

    static func expect(_ wanted: UInt8, _ bytes: borrowing Span<UInt8>, _ index: inout Int) throws(JSONError)
    {
        guard let byte = byte(bytes, index) else { throw JSONError(reason: .truncated, offset: index) }
        guard byte == wanted else { throw JSONError(reason: .syntax, offset: index) }
        index += 1
    }
}

extension JSONScanner {
    /// Passes over one value that starts at `index`. Without recursion: `open` has a bit for each array or
    /// object around the place, 1 for an object, so hostile nesting costs neither stack nor heap.
    static func skipValue(
        _ bytes: borrowing Span<UInt8>, _ index: inout Int, depth outer: Int = 0
    ) throws(JSONError) {
        var open: UInt64 = 0
        var depth = 0
        while true {
            // At the start of a value.
            guard let byte = byte(bytes, index) else { throw JSONError(reason: .truncated, offset: index) }
            if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                guard depth + outer < depthMax else { throw JSONError(reason: .tooDeep, offset: index) }
                let isObject = byte == UInt8(ascii: "{")
                index += 1
                skipSpace(bytes, &index)
                if self.byte(bytes, index) == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    index += 1
                } else {
                    open = open << 1 | (isObject ? 1 : 0)
                    depth += 1
                    if isObject { try skipName(bytes, &index) }
                    continue
                }
            } else {
                try skipScalar(byte, bytes, &index)
            }
            // After a value: on to the next one, or out of as many arrays and objects as end here.
            var inside = true
            while inside {
                guard depth > 0 else { return }
                skipSpace(bytes, &index)
                let isObject = open & 1 == 1
                guard let next = self.byte(bytes, index) else {
                    throw JSONError(reason: .truncated, offset: index)
                }
                if next == UInt8(ascii: ",") {
                    index += 1
                    skipSpace(bytes, &index)
                    if isObject { try skipName(bytes, &index) }
                    inside = false
                } else if next == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    index += 1
                    open >>= 1
                    depth -= 1
                } else {
                    throw JSONError(reason: .syntax, offset: index)
                }
            }
        }
    }

    private static func skipName(_ bytes: borrowing Span<UInt8>, _ index: inout Int) throws(JSONError) {
        try skipString(bytes, &index)
        skipSpace(bytes, &index)
        try expect(UInt8(ascii: ":"), bytes, &index)
        skipSpace(bytes, &index)
    }

    private static func skipScalar(
        _ first: UInt8, _ bytes: borrowing Span<UInt8>, _ index: inout Int
    ) throws(JSONError) {
        switch first {
        case UInt8(ascii: "\""): try skipString(bytes, &index)
        case UInt8(ascii: "t"): try skipWord("true", bytes, &index)
        case UInt8(ascii: "f"): try skipWord("false", bytes, &index)
        case UInt8(ascii: "n"): try skipWord("null", bytes, &index)
        case UInt8(ascii: "-"), 0x30...0x39: try skipNumber(bytes, &index)
        default: throw JSONError(reason: first < 0x80 ? .syntax : .notUTF8, offset: index)
        }
    }

    private static func skipWord(
        _ word: String, _ bytes: borrowing Span<UInt8>, _ index: inout Int
    ) throws(JSONError) {
        for wanted in word.utf8 { try expect(wanted, bytes, &index) }
    }

    private static func skipNumber(_ bytes: borrowing Span<UInt8>, _ index: inout Int) throws(JSONError) {
        if bytes[index] == UInt8(ascii: "-") { index += 1 }
        if byte(bytes, index) == UInt8(ascii: "0") {
            index += 1
        } else {
            try skipDigits(bytes, &index)
        }
        if byte(bytes, index) == UInt8(ascii: ".") {
            index += 1
            try skipDigits(bytes, &index)
        }
        if let byte = byte(bytes, index), byte | 0x20 == UInt8(ascii: "e") {
            index += 1
            if let sign = self.byte(bytes, index), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
                index += 1
            }
            try skipDigits(bytes, &index)
        }
    }

    private static func skipDigits(_ bytes: borrowing Span<UInt8>, _ index: inout Int) throws(JSONError) {
        let start = index
        while index < bytes.count, 0x30...0x39 ~= bytes[index] { index += 1 }
        guard index > start else {
            throw JSONError(reason: index < bytes.count ? .syntax : .truncated, offset: index)
        }
    }

    /// Passes over a string from its opening quote to behind its closing one. Lone surrogates written as
    /// escapes pass, as RFC 8259 section 8.2 allows; bytes that are not UTF-8 do not.
    static func skipString(_ bytes: borrowing Span<UInt8>, _ index: inout Int) throws(JSONError) {
        try expect(UInt8(ascii: "\""), bytes, &index)
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\""):
                index += 1
                return
            case UInt8(ascii: "\\"): try skipEscape(bytes, &index)
            case 0..<0x20: throw JSONError(reason: .syntax, offset: index)
            case 0x20..<0x80: index += 1
            default: try skipScalarValue(byte, bytes, &index)
            }
        }
        throw JSONError(reason: .truncated, offset: index)
    }

    private static func skipEscape(_ bytes: borrowing Span<UInt8>, _ index: inout Int) throws(JSONError) {
        guard let kind = byte(bytes, index + 1) else { throw JSONError(reason: .truncated, offset: index) }
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            index += 2
        case UInt8(ascii: "u"):
            guard index + 6 <= bytes.count else { throw JSONError(reason: .truncated, offset: index) }
            for place in (index + 2)..<(index + 6) where hexValue(bytes[place]) == nil {
                throw JSONError(reason: .syntax, offset: place)
            }
            index += 6
        default: throw JSONError(reason: .syntax, offset: index + 1)
        }
    }

    /// One character of two to four bytes, by the table of RFC 3629 section 4.
    private static func skipScalarValue(
        _ first: UInt8, _ bytes: borrowing Span<UInt8>, _ index: inout Int
    ) throws(JSONError) {
        let second: ClosedRange<UInt8>
        let count: Int
        switch first {
        case 0xC2...0xDF: (second, count) = (0x80...0xBF, 2)
        case 0xE0: (second, count) = (0xA0...0xBF, 3)
        case 0xED: (second, count) = (0x80...0x9F, 3)
        case 0xE1...0xEF: (second, count) = (0x80...0xBF, 3)
        case 0xF0: (second, count) = (0x90...0xBF, 4)
        case 0xF1...0xF3: (second, count) = (0x80...0xBF, 4)
        case 0xF4: (second, count) = (0x80...0x8F, 4)
        default: throw JSONError(reason: .notUTF8, offset: index)
        }
        guard index + count <= bytes.count else { throw JSONError(reason: .notUTF8, offset: index) }
        guard second ~= bytes[index + 1] else { throw JSONError(reason: .notUTF8, offset: index + 1) }
        for place in (index + 2)..<(index + count) where !(0x80...0xBF ~= bytes[place]) {
            throw JSONError(reason: .notUTF8, offset: place)
        }
        index += count
    }

    @inline(__always)
    static func hexValue(_ byte: UInt8) -> UInt32? {
        switch byte {
        case 0x30...0x39: UInt32(byte - 0x30)
        case 0x41...0x46: UInt32(byte - 0x41 + 10)
        case 0x61...0x66: UInt32(byte - 0x61 + 10)
        default: nil
        }
    }
}
