/// Reads what `ByteWriter` wrote. Every read is bounds-checked and fails with a `WireError`; none traps.
public struct ByteReader: Sendable {
    // Visible to inlined callers: reading numbers is hot, and a generic function that is not specialised in
    // the caller's module costs a hundred times more.
    @usableFromInline let bytes: [UInt8]
    @usableFromInline var index: Int
    @usableFromInline let end: Int

    /// Reads all of the bytes.
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
        index = 0
        end = bytes.count
    }

    /// Reads a copy of the slice; offsets count from its beginning.
    public init(_ slice: ArraySlice<UInt8>) {
        self.init(Array(slice))
    }

    /// Reads `range` of `bytes` without copying; the range must lie within the bytes.
    public init(_ bytes: [UInt8], in range: Range<Int>) throws(WireError) {
        guard range.lowerBound >= 0, range.upperBound <= bytes.count else { throw .truncated }
        self.bytes = bytes
        index = range.lowerBound
        end = range.upperBound
    }

    /// How many bytes are left.
    @inlinable public var remaining: Int { end - index }
    @inlinable public var isAtEnd: Bool { index == end }
    /// The position in the underlying bytes.
    public var offset: Int { index }

    /// Fails if anything is left, so that a damaged length cannot hide bytes.
    public func finish() throws(WireError) {
        if index != end { throw .trailing(count: end - index) }
    }

    /// A little-endian number of fixed width.
    @inlinable
    public mutating func fixed<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: Number.Type = Number.self
    ) throws(WireError) -> Number {
        let width = MemoryLayout<Number>.size
        guard remaining >= width else { throw .truncated }
        let value = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: index, as: Number.self) }
        index += width
        return Number(littleEndian: value)
    }

    /// An unsigned LEB128 number of at most 64 bits.
    @inlinable
    public mutating func varint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard index < end else { throw .truncated }
            let byte = bytes[index]
            index += 1
            if shift == 63, byte > 1 { throw .integerOverflow }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
            if shift > 63 { throw .integerOverflow }
        }
    }

    /// A length or count that must not exceed `limit`.
    public mutating func count(_ what: String, limit: Int) throws(WireError) -> Int {
        let value = try varint()
        guard value <= UInt64(limit) else { throw .tooLong(what: what, count: value, limit: UInt64(limit)) }
        return Int(value)
    }

    /// A zigzag-mapped number.
    public mutating func signed() throws(WireError) -> Int64 {
        let value = try varint()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// One byte, 0 or 1 and nothing else.
    @inlinable
    public mutating func bool() throws(WireError) -> Bool {
        switch try byte() {
        case 0: false
        case 1: true
        case let value: throw .unknown(what: "boolean", value: UInt64(value))
        }
    }

    @inlinable
    public mutating func byte() throws(WireError) -> UInt8 {
        guard index < end else { throw .truncated }
        defer { index += 1 }
        return bytes[index]
    }

    /// The byte that comes next, which stays unread; nil at the end.
    public func peek() -> UInt8? { index < end ? bytes[index] : nil }

    /// The range of a length-prefixed blob in the underlying bytes, which is skipped.
    public mutating func blobRange() throws(WireError) -> Range<Int> {
        let length = try varint()
        guard length <= UInt64(remaining) else { throw .truncated }
        let range = index..<index + Int(length)
        index = range.upperBound
        return range
    }

    /// Length-prefixed bytes. The length is checked against what is left before anything is allocated.
    public mutating func blob() throws(WireError) -> [UInt8] {
        Array(bytes[try blobRange()])
    }

    /// Length-prefixed text, which must be UTF-8.
    public mutating func string() throws(WireError) -> String {
        let range = try blobRange()
        guard let text = String(validating: bytes[range], as: UTF8.self) else { throw .notUTF8 }
        return text
    }

    /// A presence byte, then the value if there is one.
    @inlinable
    public mutating func optional<Value>(
        _ read: (inout ByteReader) throws(WireError) -> Value
    ) throws(WireError) -> Value? {
        try bool() ? try read(&self) : nil
    }

    /// A range of raw bytes without a length prefix.
    public mutating func skip(_ count: Int) throws(WireError) -> Range<Int> {
        guard count >= 0, count <= remaining else { throw .truncated }
        defer { index += count }
        return index..<index + count
    }
}
