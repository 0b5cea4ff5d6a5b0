import ByteCoding
import Identifiers
import ReplicationCore
import Testing

@testable import PartitionStore

@Suite struct FormatTests {
    // The expected checksums and hashes were computed by an independent program.
    @Test func `The bytes of a journal row of version 1 never change`() throws {
        var row = [UInt8](repeating: 0, count: BatchHeader.byteCount) + [1, 2, 3]
        let header = BatchHeader.seal(
            &row, version: 1, entryCount: 2, sequence: 5, oldest: 4, previousHash: 0x0102)
        #expect(
            row == [
                1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 41, 239, 57, 84, 5, 0, 0, 0, 0, 0, 0, 0,
                4, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3,
            ])
        #expect(header.hash == 8_331_098_697_365_854_381)
        #expect(try BatchHeader.decode(row) == header)
    }

    @Test func `The bytes of a journal row of version 2 never change`() throws {
        var row = [UInt8](repeating: 0, count: BatchHeader.byteCount) + [1, 2, 3]
        let header = BatchHeader.seal(
            &row, version: 2, entryCount: 2, sequence: 5, oldest: 4, previousHash: 0x0102)
        #expect(
            row == [
                2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 171, 236, 59, 53, 5, 0, 0, 0, 0, 0, 0, 0,
                4, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3,
            ])
        #expect(header.hash == 10_003_316_296_408_085_166)
        #expect(try BatchHeader.decode(row) == header)
    }

    @Test func `The bytes of a journal row of version 3 never change`() throws {
        var row = [UInt8](repeating: 0, count: BatchHeader.byteCount) + [1, 2, 3]
        let header = BatchHeader.seal(&row, entryCount: 2, sequence: 5, oldest: 4, previousHash: 0x0102)
        #expect(
            row == [
                3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 213, 237, 197, 21, 5, 0, 0, 0, 0, 0, 0, 0,
                4, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3,
            ])
        #expect(header.hash == 16_860_538_130_314_798_267)
        #expect(try BatchHeader.decode(row) == header)
    }

    @Test func `A row resets a log since version 3 only`() throws {
        let reset = ControlEntry(
            partition: PartitionID(1), kind: .reset(LogReset(mark: .origin, epochs: [], image: 1)))
        for version in [2, 3] as [UInt8] {
            var row = [UInt8](repeating: 0, count: BatchHeader.byteCount) + reset.encoded()
            let header = BatchHeader.seal(
                &row, version: version, entryCount: 1, sequence: 1, oldest: 1, previousHash: 0)
            if version == 3 {
                try RowEntries.forEach(row, header) { _ in }
            } else {
                #expect(throws: WireError.self) { try RowEntries.forEach(row, header) { _ in } }
            }
        }
    }

    @Test func `A row of version 1 has records only`() throws {
        var log = LogMaker(1)
        let record = log.seal([7])
        let cut = ControlEntry(partition: PartitionID(1), kind: .truncate(after: .zero))
        for (version, entries) in [(1, [record.bytes]), (2, [record.bytes, cut.encoded()])] {
            var row = [UInt8](repeating: 0, count: BatchHeader.byteCount) + entries.flatMap(\.self)
            let header = BatchHeader.seal(
                &row, version: UInt8(version), entryCount: entries.count, sequence: 1, oldest: 1,
                previousHash: 0)
            var count = 0
            try RowEntries.forEach(row, header) { _ in count += 1 }
            #expect(count == entries.count)
        }
        var row = [UInt8](repeating: 0, count: BatchHeader.byteCount) + cut.encoded()
        let old = BatchHeader.seal(
            &row, version: 1, entryCount: 1, sequence: 1, oldest: 1, previousHash: 0)
        #expect(throws: WireError.self) { try RowEntries.forEach(row, old) { _ in } }
    }

    @Test func `The bytes of control entries never change (R7, R18)`() throws {
        let zeros = [UInt8](repeating: 0, count: 7)
        let forms: [(ControlEntry.Kind, [UInt8])] = [
            (.adopt(Epoch(rawValue: 7)), [0x81, 0, 0, 0, 2, 1, 0, 0, 7] + zeros + [0] + zeros),
            (
                .truncate(after: LogPosition(rawValue: 9)),
                [0x82, 0, 0, 0, 2, 1, 0, 0, 0] + zeros + [9] + zeros
            ),
            (
                .epochStart(EpochStart(epoch: Epoch(rawValue: 3), first: LogPosition(rawValue: 5))),
                [0x83, 0, 0, 0, 2, 1, 0, 0, 3] + zeros + [5] + zeros
            ),
            (
                .reset(
                    LogReset(
                        mark: LogMark(
                            position: LogPosition(rawValue: 9), epoch: Epoch(rawValue: 4), hash: 0x0605),
                        epochs: [
                            EpochStart(epoch: Epoch(rawValue: 3), first: LogPosition(rawValue: 5)),
                            EpochStart(epoch: Epoch(rawValue: 4), first: LogPosition(rawValue: 8)),
                        ], image: 0x0807)),
                [0x84, 0, 2, 0, 2, 1, 0, 0, 4] + zeros + [9] + zeros + [5, 6, 0, 0, 0, 0, 0, 0]
                    + [7, 8, 0, 0, 0, 0, 0, 0] + [3] + zeros + [5] + zeros + [4] + zeros + [8] + zeros
            ),
        ]
        for (kind, bytes) in forms {
            let control = ControlEntry(partition: PartitionID(0x102), kind: kind)
            #expect(control.encoded() == bytes)
            #expect(control.byteCount == bytes.count)
            var reader = ByteReader(bytes)
            #expect(try ControlEntry.decode(&reader) == control)
            for count in bytes.indices {
                var reader = ByteReader(Array(bytes[..<count]))
                #expect(throws: WireError.self) { try ControlEntry.decode(&reader) }
            }
        }
    }

    @Test func `One changed bit anywhere in a journal row is noticed`() {
        var row = [UInt8](repeating: 0, count: BatchHeader.byteCount) + [1, 2, 3]
        _ = BatchHeader.seal(&row, entryCount: 2, sequence: 5, oldest: 4, previousHash: 9)
        for index in row.indices {
            for bit in 0..<8 {
                var broken = row
                broken[index] ^= 1 << UInt8(bit)
                #expect(throws: WireError.self) { try BatchHeader.decode(broken) }
            }
        }
        for count in row.indices {
            #expect(throws: WireError.self) { try BatchHeader.decode(Array(row[..<count])) }
        }
    }

    @Test func `The bytes of a witness never change (R13)`() {
        let bytes = Witness(sequence: 0x0102, hash: 3).encoded()
        #expect(
            bytes == Array("APUSWIT1".utf8) + [2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]
                + [UInt8](repeating: 0, count: 36) + [187, 90, 193, 8])
        #expect(Witness(bytes) == Witness(sequence: 0x0102, hash: 3))
        for index in bytes.indices {
            var broken = bytes
            broken[index] ^= 0x10
            #expect(Witness(broken) == nil)
        }
    }

    @Test func `The text of an identity never changes`() throws {
        let ring = try #require(HashRing(partitionCount: 256, seed: (1, 2)))
        let identity = StoreIdentity(
            cluster: ClusterID(high: 3, low: 4), node: NodeID(rawValue: 1), store: StoreID(high: 5, low: 6),
            incarnation: Incarnation(rawValue: 7), ring: ring)
        let bytes = IdentityFile.encode(identity)
        #expect(
            String(decoding: bytes, as: UTF8.self) == """
                apus-store 1
                cluster 00000000-0000-0003-0000-000000000004
                node 1
                store 00000000-0000-0005-0000-000000000006
                incarnation 7
                partitions 256
                seed 00000000-0000-0001-0000-000000000002
                crc32c 1973671368

                """)
        let again = try IdentityFile.decode(bytes)
        #expect(IdentityFile.encode(again) == bytes)
        for index in bytes.indices {
            var broken = bytes
            broken[index] ^= 1
            #expect(throws: StoreError.self) { try IdentityFile.decode(broken) }
        }
    }

    @Test func `The text of a member's identity never changes, and is not a node's alone`() throws {
        let ring = try #require(HashRing(partitionCount: 256, seed: (1, 2)))
        let identity = StoreIdentity(
            .member, cluster: ClusterID(high: 3, low: 4), node: NodeID(rawValue: 9),
            store: StoreID(high: 5, low: 6), incarnation: Incarnation(rawValue: 0), ring: ring)
        let bytes = IdentityFile.encode(identity)
        #expect(
            String(decoding: bytes, as: UTF8.self) == """
                apus-store 2
                cluster 00000000-0000-0003-0000-000000000004
                node 9
                store 00000000-0000-0005-0000-000000000006
                incarnation 0
                partitions 256
                seed 00000000-0000-0001-0000-000000000002
                crc32c 639483847

                """)
        #expect(try IdentityFile.decode(bytes) == identity)
        for index in bytes.indices {
            var broken = bytes
            broken[index] ^= 1
            #expect(throws: StoreError.self) { try IdentityFile.decode(broken) }
            #expect(throws: StoreError.self) { try IdentityFile.decode(Array(bytes[..<index])) }
        }
    }

    @Test func `An identity of a newer version is refused as such`() {
        #expect(throws: StoreError.newerFormat(what: "the file identity", found: 3, newest: 2)) {
            try IdentityFile.decode(Array("apus-store 3\nwhatever\n".utf8))
        }
    }

    @Test func `Another form of the same identity is refused, whatever its checksum says`() throws {
        let ring = try #require(HashRing(partitionCount: 1, seed: (1, 2)))
        let identity = StoreIdentity(
            cluster: ClusterID(high: 3, low: 4), node: NodeID(rawValue: 1), store: StoreID(high: 5, low: 6),
            incarnation: Incarnation(rawValue: 7), ring: ring)
        let text = String(decoding: IdentityFile.encode(identity), as: UTF8.self)
        for (old, new) in [("node 1", "node +1"), ("partitions 1", "partitions 01"), ("store 1", "store -1")]
        {
            let lines = text.replacing(old, with: new, maxReplacements: 1).split(separator: "\n").dropLast()
            let covered = lines.joined(separator: "\n") + "\n"
            let forged = covered + "crc32c \(CRC32C.checksum(Array(covered.utf8)))\n"
            #expect(throws: StoreError.self, "\(new)") { try IdentityFile.decode(Array(forged.utf8)) }
        }
    }

    @Test func `A row's sequence that nothing can follow is refused`() {
        var row = [UInt8](repeating: 0, count: BatchHeader.byteCount)
        _ = BatchHeader.seal(&row, entryCount: 0, sequence: .max, oldest: 4, previousHash: 9)
        #expect(throws: WireError.tooLarge(what: "a row's sequence", value: .max, limit: 1 << 62)) {
            try BatchHeader.decode(row)
        }
    }

    @Test func `Keys in the tables sort like keys and come back`() throws {
        let parts = ["", "a", "a\0", "a\0b", "ab", "b", "\u{0}", "ü", "\u{10FFFF}"]
        var keys: [ActorKey] = []
        for a in parts {
            keys.append(try ActorKey([a]))
            for b in parts { keys.append(try ActorKey([a, b])) }
        }
        for key in keys { #expect(KeyCoding.decode(KeyCoding.encode(key)) == key) }
        let sorted = keys.sorted().map { KeyCoding.encode($0) }
        #expect(sorted == sorted.sorted { $0.lexicographicallyPrecedes($1) })
        #expect(KeyCoding.decode([0x61]) == nil)
        #expect(KeyCoding.decode([0xC3, 0]) == nil)
        #expect(KeyCoding.decode([]) == nil)
    }
}
