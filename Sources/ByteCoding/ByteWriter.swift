/// Appends binary values: fixed-width integers in little-endian order, and LEB128 variable-length ones.
public struct ByteWriter: Sendable {
    // Visible to inlined callers, like the reader's; only this file changes it.
    @usableFromInline var storage: [UInt8] = []

    /// - Parameter capacity: bytes to make room for at once.
    public init(capacity: Int = 0) { storage.reserveCapacity(capacity) }

    /// What was written so far.
    @inlinable public var bytes: [UInt8] { storage }
    @inlinable public var count: Int { storage.count }

    /// Forgets what was written and keeps the memory.
    public mutating func removeAll() { storage.removeAll(keepingCapacity: true) }

    /// The number's bytes, little-endian.
    @inlinable
    public mutating func fixed<Number: FixedWidthInteger & BitwiseCopyable>(_ value: Number) {
        withUnsafeBytes(of: value.littleEndian) { storage.append(contentsOf: $0) }
    }

    /// Unsigned LEB128 (DWARF 5, section 7.6): seven bits a byte, least significant first.
    @inlinable
    public mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            storage.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        storage.append(UInt8(truncatingIfNeeded: rest))
    }

    /// A length or count as a variable-length integer; it is never negative.
    @inlinable public mutating func varint(_ value: Int) { varint(UInt64(value)) }

    /// A signed integer, zigzag-mapped so that small magnitudes are short.
    public mutating func signed(_ value: Int64) { varint(UInt64(bitPattern: value << 1 ^ value >> 63)) }

    /// One byte, 0 or 1.
    @inlinable public mutating func bool(_ value: Bool) { storage.append(value ? 1 : 0) }

    @inlinable public mutating func byte(_ value: UInt8) { storage.append(value) }

    /// The length, then the bytes.
    @inlinable
    public mutating func blob(_ value: some Collection<UInt8>) {
        varint(value.count)
        storage.append(contentsOf: value)
    }

    /// The length in bytes, then the text as UTF-8.
    public mutating func string(_ value: String) {
        varint(value.utf8.count)
        storage.append(contentsOf: value.utf8)
    }

    /// A presence byte, then the value if there is one.
    @inlinable
    public mutating func optional<Value>(_ value: Value?, _ write: (inout ByteWriter, Value) -> Void) {
        bool(value != nil)
        if let value { write(&self, value) }
    }

    /// The bytes without a length.
    @inlinable public mutating func raw(_ value: some Collection<UInt8>) { storage.append(contentsOf: value) }

    /// Overwrites what was written before, for headers, lengths and checksums known only at the end.
    @inlinable
    public mutating func patch<Number: FixedWidthInteger>(_ value: Number, at offset: Int) {
        for index in 0..<MemoryLayout<Number>.size {
            storage[offset + index] = UInt8(truncatingIfNeeded: value >> Number(index * 8))
        }
    }
}
