import ByteCoding
import Identifiers
import Testing
import TimeAndChance

@Suite("Records of the journal")
struct JournalRecordTests {
    static let sample = JournalRecord(
        kind: .turn, partition: PartitionID(rawValue: 0x0102), epoch: Epoch(rawValue: 3),
        position: LogPosition(rawValue: 4), time: 0x0005_0607_0809_0A0B, previousHash: 0x1112_1314_1516_1718,
        body: [0xAC, 0x02, 0x07])

    static func decode(_ bytes: [UInt8]) throws(WireError) -> (JournalRecord, hash: UInt64) {
        var reader = ByteReader(bytes)
        let result = try JournalRecord.decode(&reader, from: bytes)
        try reader.finish()
        return result
    }

    /// These never change: journals on disk are read by every later version.
    @Test func hasGoldenBytes() throws {
        let expected: [UInt8] =
            [1, 1, 0, 0] + [0x02, 0x01, 0, 0] + [3, 0, 0, 0, 0, 0, 0, 0] + [4, 0, 0, 0, 0, 0, 0, 0]
            + [0x0B, 0x0A, 0x09, 0x08, 0x07, 0x06, 0x05, 0x00]
            + [0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11] + [3, 0, 0, 0]
        let (bytes, hash) = Self.sample.encoded()
        #expect(Array(bytes[..<44]) == expected)
        #expect(Array(bytes[48...]) == [0xAC, 0x02, 0x07])
        let crc = CRC32C.checksum(expected + [0xAC, 0x02, 0x07])
        #expect(Array(bytes[44..<48]) == (0..<4).map { UInt8(truncatingIfNeeded: crc >> ($0 * 8)) })
        #expect(hash == XXH64.hash(bytes))
        #expect(bytes.count == JournalRecord.headerBytes + 3)
        #expect(crc == 0x6E37_8A2E)
        #expect(hash == 0xB853_F335_659B_0C9B)
    }

    @Test(arguments: [JournalRecord.Kind.turn, .epochStart])
    func roundTrips(kind: JournalRecord.Kind) throws {
        var record = Self.sample
        record.kind = kind
        for count in [0, 1, 7, 8, 9, 300] {
            record.body = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
            let (bytes, hash) = record.encoded()
            let decoded = try Self.decode(bytes)
            #expect(decoded.0 == record)
            #expect(decoded.hash == hash)
        }
    }

    @Test func recordsBehindOneAnotherAreReadInTurn() throws {
        var bytes: [UInt8] = []
        var hashes: [UInt64] = []
        var record = Self.sample
        for position in 1...5 as ClosedRange<UInt64> {
            record.position = LogPosition(rawValue: position)
            record.previousHash = hashes.last ?? 0
            let encoded = record.encoded()
            bytes += encoded.bytes
            hashes.append(encoded.hash)
        }
        var reader = ByteReader(bytes)
        var previous: UInt64 = 0
        for position in 1...5 as ClosedRange<UInt64> {
            let (found, hash) = try JournalRecord.decode(&reader, from: bytes)
            #expect(found.position.rawValue == position)
            #expect(found.previousHash == previous)
            previous = hash
        }
        #expect(reader.isAtEnd)
        #expect(previous == hashes.last)
    }

    @Test func everyTruncationIsAnError() {
        let bytes = Self.sample.encoded().bytes
        for count in 0..<bytes.count {
            #expect(throws: WireError.truncated, "\(count) bytes") { try Self.decode(Array(bytes[..<count])) }
        }
    }

    @Test func everyFlippedBitIsDetected() {
        var record = Self.sample
        record.body = (0..<100).map { UInt8($0) }
        let bytes = record.encoded().bytes
        for bit in 0..<bytes.count * 8 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: WireError.self, "bit \(bit)") { try Self.decode(damaged) }
        }
    }

    @Test func anotherVersionIsNamed() {
        var bytes = Self.sample.encoded().bytes
        bytes[0] = 2
        #expect(throws: WireError.version(what: "journal record", found: 2, newest: 1)) {
            try Self.decode(bytes)
        }
    }

    @Test func knownFieldsWithUnknownValuesAreErrorsAlsoWithAGoodChecksum() {
        for (offset, value) in [(1, 3 as UInt8), (1, 0), (2, 1), (3, 0x80)] {
            var bytes = Self.sample.encoded().bytes
            bytes[offset] = value
            reseal(&bytes)
            #expect(throws: WireError.self) { try Self.decode(bytes) }
        }
    }

    @Test func aLengthAboveTheLimitIsRefusedBeforeTheBodyIsRead() {
        var bytes = Self.sample.encoded().bytes
        bytes[40...43] = [1, 0, 0, 1]
        reseal(&bytes)
        #expect(throws: WireError.tooLong(what: "journal record", count: 16_777_217, limit: 16_777_216)) {
            try Self.decode(bytes)
        }
    }

    private func reseal(_ bytes: inout [UInt8]) {
        let crc = CRC32C.checksum(Array(bytes[..<44]) + Array(bytes[48...]))
        for byte in 0..<4 { bytes[44 + byte] = UInt8(truncatingIfNeeded: crc >> UInt32(byte * 8)) }
    }

    @Test func numbersThatNothingCanFollowAreRefused() {
        for place in [8, 16, 24] {
            var bytes = Self.sample.encoded().bytes
            for byte in 0..<8 { bytes[place + byte] = 0xFF }
            reseal(&bytes)
            #expect(throws: WireError.self, "at \(place)") { try Self.decode(bytes) }
        }
    }

    @Test func randomBytesNeverTrap() {
        var random = SplitMix64(seed: 5)
        let good = Self.sample.encoded().bytes
        for _ in 0..<100_000 {
            var bytes = good
            for _ in 0..<1 + random.next() % 4 {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            bytes.removeLast(Int(random.next() % 4))
            if let decoded = try? Self.decode(bytes) { #expect(decoded.0 == Self.sample) }
        }
    }
}
