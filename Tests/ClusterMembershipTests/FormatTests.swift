import ByteCoding
import Identifiers
import MeshProtocol
import PlacementCore
import Testing
import TimeAndChance

@testable import ClusterMembership

@Suite("Formats of members") struct FormatTests {
    static let constants = ClusterConstants(
        cluster: ClusterID(high: 3, low: 4), ring: HashRing(partitionCount: 256, seed: (1, 2))!,
        formats: FormatVersions(journal: 1, map: 1))

    @Test("The text of a membership never changes")
    func membership() throws {
        let record = MembershipRecord(
            origin: .joined, constants: Self.constants, node: NodeID(rawValue: 7),
            store: StoreID(high: 5, low: 6))
        let bytes = MembershipFile.encode(record)
        #expect(
            String(decoding: bytes, as: UTF8.self) == """
                apus-member 1
                origin 2
                cluster 00000000-0000-0003-0000-000000000004
                node 7
                store 00000000-0000-0005-0000-000000000006
                partitions 256
                seed 00000000-0000-0001-0000-000000000002
                formats 1 1
                crc32c 3399046050

                """)
        #expect(try MembershipFile.decode(bytes) == record)
        for index in bytes.indices {
            var broken = bytes
            broken[index] ^= 1
            #expect(throws: WireError.self) { try MembershipFile.decode(broken) }
            #expect(throws: WireError.self) { try MembershipFile.decode(Array(bytes[..<index])) }
        }
        #expect(throws: WireError.version(what: "a membership", found: 2, newest: 1)) {
            try MembershipFile.decode(Array("apus-member 2\n".utf8))
        }
    }

    @Test("The bytes of join tokens never change")
    func tokens() throws {
        var book = TokenBook()
        var entry = TokenBook.Entry(
            id: [1, 2], memberKey: [3, 4, 5], expiresAt: Timestamp(rawValue: 0x0102), usesMax: 3)
        entry.stores = [StoreID(high: 6, low: 7)]
        try book.add(entry, at: Timestamp(rawValue: 1))
        let bytes = book.encoded()
        #expect(
            bytes.dropLast(4) == [
                1, 1, 2, 1, 2, 3, 3, 4, 5, 2, 1, 0, 0, 0, 0, 0, 0, 3, 1, 6, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0,
                0,
                0, 0, 0,
            ])
        #expect(try TokenBook.decode(bytes) == book)
        for index in bytes.indices {
            var broken = bytes
            broken[index] ^= 1
            #expect(throws: WireError.self) { try TokenBook.decode(broken) }
            #expect(throws: WireError.self) { try TokenBook.decode(Array(bytes[..<index])) }
        }
        #expect(throws: WireError.version(what: "the join tokens", found: 9, newest: 1)) {
            try TokenBook.decode([9] + bytes.dropFirst())
        }
    }

    @Test("The bytes of the details of a join never change")
    func details() throws {
        let details = JoinDetails(
            store: StoreID(high: 5, low: 6),
            profile: NodeProfile(meshAddress: "a:1", clientAddress: "b:2", zone: "z", weight: 300),
            formats: FormatVersions(journal: 1, map: 2))
        let bytes = details.encoded()
        #expect(
            bytes == [1, 5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0] + [3] + Array("a:1".utf8) + [3]
                + Array("b:2".utf8) + [1] + Array("z".utf8) + [0xAC, 0x02, 1, 2])
        #expect(try JoinDetails.decode(bytes) == details)
        let admission = AdmissionDetails(
            constants: Self.constants,
            peers: [Peer(node: NodeID(rawValue: 1), address: MeshAddress(host: "a", port: 1))])
        let answer = admission.encoded()
        #expect(
            answer == [1, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x02]
                + [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 3] + Array("a:1".utf8))
        #expect(try AdmissionDetails.decode(answer) == admission)
        for index in bytes.indices {
            #expect(throws: WireError.self) { try JoinDetails.decode(Array(bytes[..<index])) }
        }
        for index in answer.indices {
            #expect(throws: WireError.self) { try AdmissionDetails.decode(Array(answer[..<index])) }
        }
        #expect(throws: WireError.version(what: "the details of a join request", found: 2, newest: 1)) {
            try JoinDetails.decode([2])
        }
        #expect(throws: WireError.version(what: "the details of a join answer", found: 0, newest: 1)) {
            try AdmissionDetails.decode([0])
        }
    }

    @Test(arguments: [
        "", "apus-peers 1\nx", "apus-peers 1\n0 a:1", "apus-peers 1\n1 a", "apus-peers 1\n1 a:1 b",
        "apus-peers 1\n1 a:70000", "apus-peers 2\n", "peers\n",
    ])
    func brokenPeers(_ text: String) {
        #expect(throws: WireError.self) { try PeersFile.decode(Array(text.utf8)) }
    }

    @Test("A token book is bounded, and forgets what expired long ago")
    func book() throws {
        var book = TokenBook()
        for number in 0..<TokenBook.tokensMax {
            try book.add(
                TokenBook.Entry(
                    id: [UInt8(number)], memberKey: [], expiresAt: Sample.now + .seconds(number),
                    usesMax: 1), at: Sample.now)
        }
        let one = TokenBook.Entry(
            id: [255], memberKey: [], expiresAt: Sample.now + .seconds(1), usesMax: 2)
        #expect(throws: TokenBook.Refusal.full) { try book.add(one, at: Sample.now + .seconds(86_399)) }
        try book.add(one, at: Sample.now + .seconds(86_400))
        #expect(book.entries.count == TokenBook.tokensMax && book.entries.first?.id == [1])
        let (a, b, c) = (StoreID(high: 1, low: 1), StoreID(high: 1, low: 2), StoreID(high: 1, low: 3))
        #expect(try book.use([255], by: a, at: Sample.now))
        #expect(try !book.use([255], by: a, at: Sample.now))
        #expect(try book.use([255], by: b, at: Sample.now))
        #expect(throws: TokenBook.Refusal.usedUp) { try book.use([255], by: c, at: Sample.now) }
        #expect(try !book.use([255], by: b, at: Sample.now))
        #expect(throws: TokenBook.Refusal.expired) {
            try book.use([255], by: b, at: Sample.now + .seconds(1))
        }
        #expect(throws: TokenBook.Refusal.unknown) { try book.use([0], by: c, at: Sample.now) }
    }
}
