import Identifiers
import Testing

@Suite("The hash ring")
struct HashRingTests {
    /// First vectors of the reference implementation (github.com/veorq/SipHash, vectors.h): key 00 01 … 0f,
    /// message 00 01 … (n - 1).
    @Test func sipHashYieldsTheReferenceVectors() {
        let key: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)
        let expected: [UInt64] = [
            0x726f_db47_dd0e_0e31, 0x74f8_39c5_93dc_67fd, 0x0d6c_8009_d9a9_4f5a, 0x8567_6696_d7fb_7e2d,
            0xcf27_94e0_2771_87b7, 0x1876_5564_cd99_a68d, 0xcbc9_466e_58fe_e3ce, 0xab02_00f5_8b01_d137,
            0x93f5_f579_9a93_2462, 0x9e00_82df_0ba9_e4b0, 0x7a5d_bbc5_94dd_b9f3, 0xf4b3_2f46_226b_ada7,
            0x751e_8fbc_860e_e5fb, 0x14ea_5627_c084_3d90, 0xf723_ca90_8e7a_f2ee, 0xa129_ca61_49be_45e5,
        ]
        for (count, hash) in expected.enumerated() {
            #expect(SipHash24.hash((0..<count).map { UInt8($0) }, key: key) == hash, "\(count) bytes")
        }
    }

    @Test(arguments: [0, -1, 3, 255, 65_537, 131_072])
    func refusesCountsThatAreNoPowerOfTwoInRange(count: Int) {
        #expect(HashRing(partitionCount: count, seed: (0, 0)) == nil)
    }

    @Test func onePartitionTakesAll() throws {
        let ring = try #require(HashRing(partitionCount: 1, seed: (3, 4)))
        for index in 0..<100 { #expect(ring.partition(of: try address("k", "\(index)")).rawValue == 0) }
    }

    @Test(arguments: [2, 256, 1024])
    func spreadsEvenly(partitionCount: Int) throws {
        let ring = try #require(HashRing(partitionCount: partitionCount, seed: (0x1234, 0x5678)))
        var counts = [Int](repeating: 0, count: partitionCount)
        let perPartition = 40
        for index in 0..<perPartition * partitionCount {
            counts[Int(ring.partition(of: try address("order", "\(index)")).rawValue)] += 1
        }
        // Chi-squared has mean n - 1 and variance 2 (n - 1); six standard deviations never happen by chance.
        let squares = counts.map { Double(($0 - perPartition) * ($0 - perPartition)) / Double(perPartition) }
        let chiSquared = squares.reduce(0, +)
        let degrees = Double(partitionCount - 1)
        #expect(abs(chiSquared - degrees) < 6 * (2 * degrees).squareRoot() + 6)
        #expect(counts.allSatisfy { $0 > 0 })
    }

    @Test func aFinerRingSplitsEachArc() throws {
        let coarse = try #require(HashRing(partitionCount: 256, seed: (9, 9)))
        let fine = try #require(HashRing(partitionCount: 1024, seed: (9, 9)))
        for index in 0..<200 {
            let actor = try address("order", "\(index)")
            #expect(fine.partition(of: actor).rawValue / 4 == coarse.partition(of: actor).rawValue)
        }
    }

    @Test func theSeedDecides() throws {
        let one = try #require(HashRing(partitionCount: 256, seed: (1, 0)))
        let other = try #require(HashRing(partitionCount: 256, seed: (0, 1)))
        #expect(one != other)
        let actors = try (0..<100).map { try address("order", "\($0)") }
        #expect(actors.map(one.partition(of:)) != actors.map(other.partition(of:)))
    }

    /// These never change: every stored actor would be looked for in the wrong partition.
    @Test func partitionsAreGolden() throws {
        let seed: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)
        let ring = try #require(HashRing(partitionCount: 256, seed: seed))
        let found = try Self.golden.map { ring.partition(of: try address($0.kind, $0.parts)).rawValue }
        #expect(found == Self.golden.map(\.partition))
    }

    static let golden: [(kind: String, parts: [String], partition: UInt32)] = [
        ("counter", ["a"], 144), ("counter", ["b"], 9), ("order", ["2024", "17"], 140), ("order", [""], 93),
        ("order", ["", ""], 167), ("agent", ["a/b"], 53), ("agent", ["🛒", "é"], 124),
        ("orderProcessor", Array(repeating: "x", count: 8), 12),
    ]

    private func address(_ kind: String, _ parts: String...) throws -> ActorAddress {
        try address(kind, parts)
    }
    private func address(_ kind: String, _ parts: [String]) throws -> ActorAddress {
        ActorAddress(kind: try ActorKind(kind), key: try ActorKey(parts))
    }
}
