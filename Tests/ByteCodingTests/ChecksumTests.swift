import Testing
import TimeAndChance

@testable import ByteCoding

@Suite("Checksums")
struct ChecksumTests {
    /// RFC 3720, appendix B.4, and the check value of the CRC catalogue.
    @Test func crc32cYieldsTheVectorsOfRFC3720() {
        #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(CRC32C.checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(CRC32C.checksum((0..<32).map { UInt8($0) }) == 0x46DD_794E)
        #expect(CRC32C.checksum((0..<32).reversed().map { UInt8($0) }) == 0x113F_DB5C)
        let iscsiRead: [UInt8] =
            [0x01, 0xC0] + [UInt8](repeating: 0, count: 14)
            + [0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0]
            + [0x02, 0, 0, 0, 0, 0, 0, 0]
        #expect(iscsiRead.count == 48)
        #expect(CRC32C.checksum(iscsiRead) == 0xD996_3A56)
        #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xE306_9283)
        #expect(CRC32C.checksum([]) == 0)
    }

    @Test func crc32cContinuesFromAnyPlaceAndAnyAlignment() {
        var random = SplitMix64(seed: 1)
        let bytes = (0..<100).map { _ in UInt8.random(in: 0...255, using: &random) }
        let whole = bitwiseCRC32C(bytes)
        #expect(CRC32C.checksum(bytes) == whole)
        for cut in 0...bytes.count {
            bytes.withUnsafeBytes { all in
                let first = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: all[..<cut]))
                let rest = UnsafeRawBufferPointer(rebasing: all[cut...])
                #expect(CRC32C.checksum(rest, continuing: first) == whole)
                // Processors with and without the instruction read each other's records.
                #expect(CRC32C.portable(rest, continuing: first) == whole)
            }
            #expect(CRC32C.checksum(Array(bytes[..<cut])) == bitwiseCRC32C(Array(bytes[..<cut])))
        }
    }

    @Test(arguments: [3_071, 3_072, 3_073, 4_095, 6_144, 10_003])
    func crc32cOfLongInputsIsTheSame(count: Int) {
        var random = SplitMix64(seed: UInt64(count))
        let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        #expect(CRC32C.checksum(bytes) == bitwiseCRC32C(bytes))
        bytes.withUnsafeBytes { all in
            let first = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: all[..<5]))
            let rest = UnsafeRawBufferPointer(rebasing: all[5...])
            #expect(CRC32C.checksum(rest, continuing: first) == bitwiseCRC32C(bytes))
        }
    }

    /// The definition, one bit at a time.
    private func bitwiseCRC32C(_ bytes: [UInt8]) -> UInt32 {
        var crc: UInt32 = .max
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 0 ? 0 : 0x82F6_3B78) }
        }
        return ~crc
    }

    /// The sanity checks of the reference implementation (github.com/Cyan4973/xxHash, tests/sanity_test.c): a
    /// buffer filled by a 64-bit generator from PRIME32, hashed at several lengths without and with a seed.
    @Test(
        arguments: [
            (0, 0, 0xEF46_DB37_51D8_E999), (0, 0x9E37_79B1, 0xAC75_FDA2_929B_17EF),
            (1, 0, 0xE934_A84A_DB05_2768), (1, 0x9E37_79B1, 0x5014_6076_43A9_B4C3),
            (4, 0, 0x9136_A0DC_A574_57EE), (14, 0, 0x8282_DCC4_994E_35C8),
            (14, 0x9E37_79B1, 0xC3BD_6BF6_3DEB_6DF0),
            (222, 0, 0xB641_AE8C_B691_C174), (222, 0x9E37_79B1, 0x20CB_8AB7_AE10_C14A),
        ] as [(Int, UInt64, UInt64)])
    func xxh64YieldsTheReferenceVectors(count: Int, seed: UInt64, hash: UInt64) {
        var generator: UInt64 = 0x9E37_79B1
        let buffer = (0..<count).map { _ -> UInt8 in
            let byte = UInt8(truncatingIfNeeded: generator >> 56)
            generator = generator &* 0x9E37_79B1_85EB_CA8D
            return byte
        }
        #expect(XXH64.hash(buffer, seed: seed) == hash)
    }

    /// Values that the specification's readers publish for text.
    @Test func xxh64OfText() {
        #expect(XXH64.hash([]) == 0xEF46_DB37_51D8_E999)
        #expect(XXH64.hash(Array("a".utf8)) == 0xD24E_C4F1_A98C_6E5B)
        #expect(XXH64.hash(Array("abc".utf8)) == 0x44BC_2CF5_AD77_0999)
        #expect(
            XXH64.hash(Array("Nobody inspects the spammish repetition".utf8)) == 0xFBCE_A83C_8A37_8BF1)
    }
}
