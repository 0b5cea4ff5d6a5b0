import ByteCoding
import Identifiers
import ReplicationCore
import Testing

@Suite("Frames between replicas") struct ReplicationFrameTests {
    static func record(_ position: UInt64, epoch: UInt64, after hash: UInt64) throws -> LogRecord {
        let (bytes, _) = JournalRecord(
            kind: .turn, partition: PartitionID(7), epoch: Epoch(rawValue: epoch),
            position: LogPosition(rawValue: position), time: 1_000, previousHash: hash, body: [1, 2, 3]
        ).encoded()
        return try LogRecord.verified(bytes, of: PartitionID(7))
    }

    static func sample() throws -> ReplicationFrame {
        let first = try record(5, epoch: 2, after: 99)
        let second = try record(6, epoch: 3, after: first.mark.hash)
        let epoch = Epoch(rawValue: 3)
        let append = Append(
            epoch: epoch, probe: 4,
            previous: LogMark(position: LogPosition(rawValue: 4), epoch: Epoch(rawValue: 2), hash: 99),
            committed: LogPosition(rawValue: 4), records: [first, second])
        let messages: [ReplicaMessage] = [
            .append(append), .acknowledged(epoch: epoch, position: LogPosition(rawValue: 6)),
            .mismatch(
                epoch: epoch, probe: 1, end: LogPosition(rawValue: 9),
                epochs: [
                    EpochStart(epoch: Epoch(rawValue: 1), first: LogPosition(rawValue: 1)),
                    EpochStart(epoch: Epoch(rawValue: 2), first: LogPosition(rawValue: 3)),
                ]),
            .damaged(epoch: epoch), .rejected(epoch: epoch, promised: Epoch(rawValue: 300)),
            .confirm(epoch: epoch, round: 1), .confirmed(epoch: epoch, round: 200),
        ]
        return ReplicationFrame(
            messages.map { ReplicationFrame.Group(partition: PartitionID(7), message: $0) })
    }

    @Test func readsWhatItWrote() throws {
        let frame = try Self.sample()
        #expect(try ReplicationFrame.decode(frame.encoded()) == frame)
    }

    /// What was sent once is understood for ever.
    @Test func goldenBytes() throws {
        let frame = ReplicationFrame([
            .init(
                partition: PartitionID(300),
                message: .acknowledged(epoch: Epoch(rawValue: 2), position: LogPosition(rawValue: 1_000))),
            .init(
                partition: PartitionID(1),
                message: .mismatch(
                    epoch: Epoch(rawValue: 2), probe: 1, end: LogPosition(rawValue: 5),
                    epochs: [EpochStart(epoch: Epoch(rawValue: 1), first: LogPosition(rawValue: 1))])),
        ])
        let golden: [UInt8] = [1, 2, 0xAC, 2, 2, 2, 0xE8, 7, 1, 3, 2, 1, 5, 1, 1, 1]
        #expect(frame.encoded() == golden)
        #expect(try ReplicationFrame.decode(golden) == frame)
    }

    @Test func everyTruncationIsAnError() throws {
        let bytes = try Self.sample().encoded()
        for count in 0..<bytes.count {
            #expect(throws: WireError.self) { try ReplicationFrame.decode(Array(bytes[..<count])) }
        }
    }

    /// D15: a bit that flipped on the way is never taken for a record.
    @Test func everyFlippedBitOfARecordIsAnError() throws {
        let record = try Self.record(5, epoch: 2, after: 99)
        for index in record.bytes.indices {
            var bytes = record.bytes
            bytes[index] ^= 0x10
            #expect(throws: WireError.self) { try LogRecord.verified(bytes, of: PartitionID(7)) }
        }
    }

    @Test func recordsFollowOneAnother() throws {
        let first = try Self.record(5, epoch: 2, after: 99)
        let gap = try Self.record(7, epoch: 2, after: first.mark.hash)
        let unchained = try Self.record(6, epoch: 2, after: 1)
        let later = try Self.record(6, epoch: 4, after: first.mark.hash)
        for second in [gap, unchained, later] {
            let append = Append(
                epoch: Epoch(rawValue: 3), probe: 0,
                previous: LogMark(position: LogPosition(rawValue: 4), epoch: Epoch(rawValue: 2), hash: 99),
                committed: .zero, records: [first, second])
            let frame = ReplicationFrame([.init(partition: PartitionID(7), message: .append(append))])
            #expect(throws: WireError.self) { try ReplicationFrame.decode(frame.encoded()) }
        }
    }
}
