/// Turns JSON text into CBOR (RFC 8949, section 6.2): lengths are definite, whole numbers are integers where
/// they fit, other numbers the shortest float that keeps their value.
public struct CBORWriter {
    /// Appends what one JSON value stands for.
    /// - Throws: for bytes that are not one JSON value.
    public static func append(json bytes: borrowing Span<UInt8>, to cbor: inout [UInt8]) throws(JSONError) {
        let place = try JSONScanner.validate(bytes)
        try append(place, of: bytes, to: &cbor)
    }

    private static func append(
        _ place: Range<Int>, of bytes: borrowing Span<UInt8>, to cbor: inout [UInt8]
    ) throws(JSONError) {
        switch bytes[place.lowerBound] {
        case UInt8(ascii: "n"): cbor.append(0xF6)
        case UInt8(ascii: "t"): cbor.append(0xF5)
        case UInt8(ascii: "f"): cbor.append(0xF4)
        case UInt8(ascii: "\""): appendText(JSONSlice(place: place).string(in: bytes), to: &cbor)
        case UInt8(ascii: "["):
            let elements = try JSONScanner.elements(bytes, in: place)
            appendHead(major: 4, UInt64(elements.count), to: &cbor)
            for element in elements { try append(element, of: bytes, to: &cbor) }
        case UInt8(ascii: "{"):
            let inner = bytes.extracting(place)
            var members: [(name: Range<Int>, value: Range<Int>)] = []
            try JSONScanner.members(inner, wrap: { $0 }) { (name, value) throws(JSONError) in
                members.append((name, value))
            }
            appendHead(major: 5, UInt64(members.count), to: &cbor)
            for member in members {
                appendText(JSONSlice.text(of: member.name, in: inner), to: &cbor)
                try append(member.value, of: inner, to: &cbor)
            }
        default: appendNumber(place, of: bytes, to: &cbor)
        }
    }

    /// An escaped half of a surrogate pair is no text; the replacement character stands for it, as it does
    /// when a browser encodes it.
    private static func appendText(_ text: String?, to cbor: inout [UInt8]) {
        let utf8 = (text ?? "\u{FFFD}").utf8
        appendHead(major: 3, UInt64(utf8.count), to: &cbor)
        cbor.append(contentsOf: utf8)
    }

    private static func appendNumber(
        _ place: Range<Int>, of bytes: borrowing Span<UInt8>, to cbor: inout [UInt8]
    ) {
        let text = bytes.extracting(place).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
        if let whole = UInt64(text) { return appendHead(major: 0, whole, to: &cbor) }
        if let whole = Int64(text), whole < 0 { return appendHead(major: 1, UInt64(-1 - whole), to: &cbor) }
        // Numbers beyond every float become the largest: CBOR's infinity would be no JSON on the way back.
        let number = Double(text) ?? 0
        let double =
            number.isFinite
            ? number : number.sign == .minus ? -.greatestFiniteMagnitude : .greatestFiniteMagnitude
        if Double(Float(double)) == double {
            cbor.append(0xFA)
            appendBytes(UInt64(Float(double).bitPattern), count: 4, to: &cbor)
        } else {
            cbor.append(0xFB)
            appendBytes(double.bitPattern, count: 8, to: &cbor)
        }
    }

    private static func appendHead(major: UInt8, _ argument: UInt64, to cbor: inout [UInt8]) {
        let kind = major << 5
        switch argument {
        case 0..<24: cbor.append(kind | UInt8(argument))
        case 24...0xFF:
            cbor.append(kind | 24)
            appendBytes(argument, count: 1, to: &cbor)
        case 0x100...0xFFFF:
            cbor.append(kind | 25)
            appendBytes(argument, count: 2, to: &cbor)
        case 0x1_0000...0xFFFF_FFFF:
            cbor.append(kind | 26)
            appendBytes(argument, count: 4, to: &cbor)
        default:
            cbor.append(kind | 27)
            appendBytes(argument, count: 8, to: &cbor)
        }
    }

    private static func appendBytes(_ value: UInt64, count: Int, to cbor: inout [UInt8]) {
        for place in (0..<count).reversed() { cbor.append(UInt8(truncatingIfNeeded: value >> (8 * place))) }
    }
}
