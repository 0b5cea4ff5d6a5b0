import ByteCoding
import Identifiers
import ReplicationCore
import Testing

@Suite struct SnapshotMessageTests {
    static let header = SnapshotHeader(
        id: 0x0807_0605_0403_0201, partition: PartitionID(300), epoch: Epoch(rawValue: 7),
        mark: LogMark(position: LogPosition(rawValue: 9), epoch: Epoch(rawValue: 4), hash: 0x0605),
        time: 1_000,
        epochs: [(3, 5), (4, 8), (4, 10), (6, 12)].map {
            EpochStart(epoch: Epoch(rawValue: $0.0), first: LogPosition(rawValue: $0.1))
        }, tableFormat: 1, byteCount: 10_000, chunkBytes: 4_096)

    private static let id: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
    private static let goldenHeader: [UInt8] =
        [1] + id + [172, 2, 7, 9, 4, 5, 6, 0, 0, 0, 0, 0, 0, 232, 7, 2, 3, 5, 4, 8, 1, 144, 78, 128, 32]

    static let messages: [(SnapshotMessage, [UInt8])] = [
        (.offer(header), [1, 1] + goldenHeader),
        (
            .chunk(
                PartitionID(300), id: header.id,
                SnapshotChunk(index: 200, hash: 0x0A09, bytes: [7, 8])),
            [1, 2, 172, 2] + id + [200, 1, 9, 10, 0, 0, 0, 0, 0, 0, 2, 7, 8]
        ),
        (.end(PartitionID(300), id: header.id), [1, 3, 172, 2] + id),
    ]

    static let answers: [(SnapshotAnswer.Body, [UInt8])] = [
        (.accepted(next: 200), [1, 1, 172, 2] + id + [200, 1]),
        (.received(next: 3), [1, 2, 172, 2] + id + [3]),
        (.installed, [1, 3, 172, 2] + id),
        (.refused(.notWanted), [1, 4, 172, 2] + id + [1]), (.refused(.busy), [1, 4, 172, 2] + id + [2]),
        (.refused(.failed), [1, 4, 172, 2] + id + [3]), (.refused(.newerFormat), [1, 4, 172, 2] + id + [4]),
    ]

    @Test func `What was sent once is understood for ever`() throws {
        for (message, bytes) in Self.messages {
            #expect(message.encoded() == bytes)
            #expect(try SnapshotMessage.decode(bytes) == message)
            #expect(message.id == Self.header.id)
            #expect(message.partition == PartitionID(300))
        }
        for (body, bytes) in Self.answers {
            let answer = SnapshotAnswer(PartitionID(300), id: Self.header.id, body)
            #expect(answer.encoded() == bytes)
            #expect(try SnapshotAnswer.decode(bytes) == answer)
        }
        #expect(Self.header.encoded() == Self.goldenHeader)
    }

    // The expected hashes were computed by an independent program.
    @Test func `The hash of a chunk covers the header, and all before it`() {
        var hash = SnapshotHash(Self.header)
        #expect(hash.value == 6_837_741_060_925_984_939)
        hash.add([1, 2, 3])
        #expect(hash.value == 11_563_377_563_121_722_619)
        var other = SnapshotHash(after: 6_837_741_060_925_984_939)
        other.add([1, 2, 3])
        #expect(other == hash)
    }

    @Test func `Every truncation and every longer form is an error`() {
        for (_, bytes) in Self.messages {
            for count in bytes.indices {
                #expect(throws: WireError.self) { try SnapshotMessage.decode(Array(bytes[..<count])) }
            }
            #expect(throws: WireError.self) { try SnapshotMessage.decode(bytes + [0]) }
        }
        for (_, bytes) in Self.answers {
            for count in bytes.indices {
                #expect(throws: WireError.self) { try SnapshotAnswer.decode(Array(bytes[..<count])) }
            }
            #expect(throws: WireError.self) { try SnapshotAnswer.decode(bytes + [0]) }
        }
    }

    @Test func `A newer version is refused as such`() {
        func isVersion(_ what: String) -> (any Error) -> Bool {
            { ($0 as? WireError) == .version(what: what, found: 2, newest: 1) }
        }
        #expect { try SnapshotMessage.decode([2, 1]) } throws: { isVersion("snapshot message")($0) }
        #expect { try SnapshotMessage.decode([1, 1, 2]) } throws: { isVersion("snapshot header")($0) }
        #expect { try SnapshotAnswer.decode([2, 1]) } throws: { isVersion("snapshot answer")($0) }
    }

    @Test func `A header that contradicts itself is refused`() throws {
        func changed(_ change: (inout SnapshotHeader) -> Void) -> [UInt8] {
            var header = Self.header
            change(&header)
            return SnapshotMessage.offer(header).encoded()
        }
        let contradictions = [
            changed { $0.byteCount = 0 }, changed { $0.chunkBytes = 0 },
            changed { $0.chunkBytes = SnapshotHeader.chunkBytesMax + 1 },
            changed { ($0.byteCount, $0.chunkBytes) = (1 << 62, 1) },
            changed { $0.epoch = Epoch(rawValue: 3) }, changed { $0.mark.position = .zero },
            changed { $0.epochs.removeLast() },
            changed { $0.epochs[1].first = LogPosition(rawValue: 10) },
            changed { $0.epochs[0].first = LogPosition(rawValue: 8) },
        ]
        for bytes in contradictions {
            #expect(throws: WireError.self) { try SnapshotMessage.decode(bytes) }
        }
        _ = try SnapshotMessage.decode(changed { $0.chunkBytes = 1 })
    }

    @Test func `The mark's epoch is always named, also when its beginning is forgotten`() {
        let mark = Self.header.mark
        for epochs in [[], [EpochStart(epoch: Epoch(rawValue: 5), first: LogPosition(rawValue: 10))]] {
            let header = SnapshotHeader(
                id: 1, partition: PartitionID(1), epoch: Epoch(rawValue: 9), mark: mark, time: 1,
                epochs: epochs, tableFormat: 1, byteCount: 1, chunkBytes: 1)
            #expect(header.epochs == [EpochStart(epoch: mark.epoch, first: mark.position)])
        }
        var empty = Self.header
        empty.byteCount = 4_096
        #expect(empty.chunkCount == 1)
        empty.byteCount = 4_097
        #expect(empty.chunkCount == 2)
        #expect(empty.range(of: 1) == 4_096..<4_097)
    }
}
