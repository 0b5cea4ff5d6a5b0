/// A place in JSON text that has been checked, with the conversions that envelopes need.
///
/// Nothing is decoded until asked for, and a payload is only ever copied, never taken apart.
public struct JSONSlice: Hashable, Sendable {
    /// The value's bytes in the text it was found in, without white space around it.
    public var place: Range<Int>

    /// The place must be that of one value which `JSONScanner` has passed.
    public init(place: Range<Int>) { self.place = place }

    /// Checks that the bytes are one JSON value.
    /// - Returns: a copy of it without the white space around it.
    public static func payload(checking bytes: borrowing Span<UInt8>) throws(JSONError) -> Payload {
        JSONSlice(place: try JSONScanner.validate(bytes)).payload(in: bytes)
    }

    /// A copy of the value as it was written.
    public func payload(in bytes: borrowing Span<UInt8>) -> Payload {
        Payload(bytes.extracting(place).withUnsafeBufferPointer { Array($0) })
    }

    /// The text of a string value; nil for any other value, or for an escaped lone surrogate, which is no
    /// text.
    public func string(in bytes: borrowing Span<UInt8>) -> String? {
        guard bytes[place.lowerBound] == UInt8(ascii: "\"") else { return nil }
        return Self.text(of: (place.lowerBound + 1)..<(place.upperBound - 1), in: bytes)
    }

    /// A whole number from 0 to 2^53 - 1, the range in which every JSON reader is exact (RFC 7493 section
    /// 2.2).
    public func integer(in bytes: borrowing Span<UInt8>) -> UInt64? {
        guard place.count <= 16 else { return nil }
        var value: UInt64 = 0
        for index in place {
            guard 0x30...0x39 ~= bytes[index] else { return nil }
            value = value * 10 + UInt64(bytes[index] - 0x30)
        }
        return value <= Self.integerMax ? value : nil
    }

    public static let integerMax: UInt64 = 1 << 53 - 1

    public func boolean(in bytes: borrowing Span<UInt8>) -> Bool? {
        switch bytes[place.lowerBound] {
        case UInt8(ascii: "t"): true
        case UInt8(ascii: "f"): false
        default: nil
        }
    }

    public func isNull(in bytes: borrowing Span<UInt8>) -> Bool {
        bytes[place.lowerBound] == UInt8(ascii: "n")
    }

    /// A string, or an array of strings as they are in keys; nil for anything else.
    public func strings(in bytes: borrowing Span<UInt8>) -> [String]? {
        if let single = string(in: bytes) { return [single] }
        guard bytes[place.lowerBound] == UInt8(ascii: "["),
            let elements = try? JSONScanner.elements(bytes, in: place)
        else { return nil }
        var texts: [String] = []
        for element in elements {
            guard let text = JSONSlice(place: element).string(in: bytes) else { return nil }
            texts.append(text)
        }
        return texts
    }

    /// The members of an object whose values are all strings; nil for anything else.
    public func stringMembers(in bytes: borrowing Span<UInt8>) -> [String: String]? {
        guard let members = try? Self.members(of: bytes.extracting(place)) else { return nil }
        var found: [String: String] = [:]
        let inner = bytes.extracting(place)
        for (name, slice) in members {
            guard let text = slice.string(in: inner) else { return nil }
            found[name] = text
        }
        return found
    }

    /// All members of the object that the bytes are, by name. A name that comes twice is an error.
    public static func members(of bytes: borrowing Span<UInt8>) throws(JSONError) -> [String: JSONSlice] {
        var found: [String: JSONSlice] = [:]
        try JSONScanner.members(bytes, wrap: { $0 }) { (name, value) throws(JSONError) in
            guard let text = Self.text(of: name, in: bytes) else {
                throw JSONError(reason: .syntax, offset: name.lowerBound)
            }
            guard found.updateValue(JSONSlice(place: value), forKey: text) == nil else {
                throw JSONError(reason: .duplicateMember, offset: name.lowerBound)
            }
        }
        return found
    }

    /// The text between the quotes of a checked string.
    static func text(of place: Range<Int>, in bytes: borrowing Span<UInt8>) -> String? {
        for index in place where bytes[index] == UInt8(ascii: "\\") { return unescaped(place, in: bytes) }
        return bytes.extracting(place).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    private static func unescaped(_ place: Range<Int>, in bytes: borrowing Span<UInt8>) -> String? {
        var text: [UInt8] = []
        text.reserveCapacity(place.count)
        var index = place.lowerBound
        while index < place.upperBound {
            guard bytes[index] == UInt8(ascii: "\\") else {
                text.append(bytes[index])
                index += 1
                continue
            }
            let kind = bytes[index + 1]
            index += 2
            switch kind {
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0C)
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "u"):
                guard let scalar = escapedScalar(&index, place.upperBound, bytes) else { return nil }
                text.append(contentsOf: String(Character(scalar)).utf8)
            default: text.append(kind)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Reads the four digits at `index`, and a second escape if they are the first half of a surrogate pair.
    private static func escapedScalar(
        _ index: inout Int, _ end: Int, _ bytes: borrowing Span<UInt8>
    ) -> Unicode.Scalar? {
        let first = fourDigits(at: index, bytes)
        index += 4
        guard 0xD800...0xDBFF ~= first else { return Unicode.Scalar(first) }
        guard index + 6 <= end, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u")
        else {
            return nil
        }
        let second = fourDigits(at: index + 2, bytes)
        guard 0xDC00...0xDFFF ~= second else { return nil }
        index += 6
        return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    }

    private static func fourDigits(at index: Int, _ bytes: borrowing Span<UInt8>) -> UInt32 {
        (index..<(index + 4)).reduce(0) { $0 << 4 | (JSONScanner.hexValue(bytes[$1]) ?? 0) }
    }
}
