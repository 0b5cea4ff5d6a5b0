import ByteCoding
import Testing
import TimeAndChance

@Suite("Reading and writing bytes")
struct ByteReaderTests {
    private func written(_ write: (inout ByteWriter) -> Void) -> [UInt8] {
        var writer = ByteWriter()
        write(&writer)
        return writer.bytes
    }

    @Test func fixedNumbersAreLittleEndian() throws {
        let bytes = written {
            $0.fixed(0x0102 as UInt16)
            $0.fixed(0x0102_0304 as UInt32)
            $0.fixed(0x0102_0304_0506_0708 as UInt64)
            $0.fixed(-2 as Int32)
        }
        #expect(bytes == [2, 1, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1, 0xFE, 0xFF, 0xFF, 0xFF])
        var reader = ByteReader(bytes)
        #expect(try reader.fixed(UInt16.self) == 0x0102)
        #expect(try reader.fixed(UInt32.self) == 0x0102_0304)
        #expect(try reader.fixed(UInt64.self) == 0x0102_0304_0506_0708)
        #expect(try reader.fixed(Int32.self) == -2)
        #expect(throws: WireError.truncated) { try reader.fixed(UInt8.self) }
        try reader.finish()
    }

    @Test(
        arguments: [
            (0, [0]), (1, [1]), (127, [0x7F]), (128, [0x80, 1]), (16_383, [0xFF, 0x7F]),
            (16_384, [0x80, 0x80, 1]), (UInt64(UInt32.max), [0xFF, 0xFF, 0xFF, 0xFF, 0x0F]),
            (1 << 63, [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1]),
            (.max, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]),
        ] as [(UInt64, [UInt8])])
    func varints(value: UInt64, bytes: [UInt8]) throws {
        #expect(written { $0.varint(value) } == bytes)
        var reader = ByteReader(bytes)
        #expect(try reader.varint() == value)
        #expect(reader.isAtEnd)
        for count in 0..<bytes.count {
            var cut = ByteReader(Array(bytes[..<count]))
            #expect(throws: WireError.truncated) { try cut.varint() }
        }
    }

    @Test(arguments: [
        [UInt8](repeating: 0xFF, count: 9) + [2], [UInt8](repeating: 0x80, count: 9) + [0x81, 0],
        [UInt8](repeating: 0x80, count: 20), [UInt8](repeating: 0xFF, count: 10),
    ])
    func varintsAboveSixtyFourBitsAreRefused(bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        #expect(throws: WireError.integerOverflow) { try reader.varint() }
    }

    @Test(
        arguments: [
            (0, [0]), (-1, [1]), (1, [2]), (-2, [3]), (63, [126]), (-64, [127]), (64, [0x80, 1]),
            (.max, [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]),
            (.min, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]),
        ] as [(Int64, [UInt8])])
    func signedNumbersAreZigzag(value: Int64, bytes: [UInt8]) throws {
        #expect(written { $0.signed(value) } == bytes)
        var reader = ByteReader(bytes)
        #expect(try reader.signed() == value)
    }

    @Test func textAndOptionals() throws {
        let bytes = written {
            $0.string("é🛒")
            $0.string("")
            $0.optional(5 as UInt64?) { $0.varint($1) }
            $0.optional(nil as UInt64?) { $0.varint($1) }
            $0.bool(true)
            $0.blob([9, 8])
        }
        #expect(bytes == [6, 0xC3, 0xA9, 0xF0, 0x9F, 0x9B, 0x92, 0, 1, 5, 0, 1, 2, 9, 8])
        var reader = ByteReader(bytes)
        #expect(try reader.string() == "é🛒")
        #expect(try reader.string().isEmpty)
        let some = try reader.optional { reader throws(WireError) in try reader.varint() }
        #expect(some == 5)
        let none = try reader.optional { reader throws(WireError) in try reader.varint() }
        #expect(none == nil)
        #expect(try reader.bool())
        #expect(try reader.blob() == [9, 8])
        try reader.finish()
    }

    @Test func malformedValuesAreTypedErrors() {
        var reader = ByteReader([2, 0xC3, 0x28])
        #expect(throws: WireError.notUTF8) { try reader.string() }
        reader = ByteReader([2])
        #expect(throws: WireError.unknown(what: "boolean", value: 2)) { try reader.bool() }
        reader = ByteReader([5, 1])
        #expect(throws: WireError.truncated) { try reader.blob() }
        reader = ByteReader([UInt8](repeating: 0xFF, count: 9) + [1])
        #expect(throws: WireError.truncated) { try reader.blob() }
        reader = ByteReader([9])
        #expect(throws: WireError.tooLong(what: "parts", count: 9, limit: 8)) {
            try reader.count("parts", limit: 8)
        }
        reader = ByteReader([1, 2, 3])
        #expect(throws: WireError.trailing(count: 3)) { try reader.finish() }
        #expect(throws: WireError.truncated) { try reader.skip(4) }
        #expect(throws: WireError.truncated) { try reader.skip(-1) }
    }

    @Test func aReaderOfARangeStaysInside() throws {
        let bytes: [UInt8] = [1, 2, 3, 4, 5]
        var reader = try ByteReader(bytes, in: 1..<3)
        #expect(reader.remaining == 2)
        #expect(try reader.byte() == 2)
        #expect(reader.offset == 2)
        #expect(throws: WireError.truncated) { try reader.fixed(UInt16.self) }
        #expect(try reader.byte() == 3)
        #expect(throws: WireError.truncated) { try reader.byte() }
        #expect(throws: WireError.truncated) { try ByteReader(bytes, in: 1..<6) }
        var slice = ByteReader(bytes[2...])
        #expect(try slice.byte() == 3)
    }

    @Test func patchesAndForgets() {
        var writer = ByteWriter(capacity: 8)
        writer.fixed(0 as UInt64)
        writer.patch(0x0102_0304 as UInt32, at: 2)
        #expect(writer.bytes == [0, 0, 4, 3, 2, 1, 0, 0])
        writer.removeAll()
        #expect(writer.count == 0)
    }

    @Test func randomReadsOfRandomBytesNeverTrap() {
        var random = SplitMix64(seed: 42)
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...24, using: &random)
            var reader = ByteReader((0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
            for _ in 0..<4 {
                switch random.next() % 8 {
                case 0: _ = try? reader.fixed(UInt64.self)
                case 1: _ = try? reader.varint()
                case 2: _ = try? reader.signed()
                case 3: _ = try? reader.string()
                case 4: _ = try? reader.blob()
                case 5: _ = try? reader.bool()
                case 6: _ = try? reader.skip(Int(truncatingIfNeeded: random.next() % 30))
                default: _ = try? reader.count("things", limit: 10)
                }
                #expect(reader.remaining >= 0)
            }
        }
    }
}
