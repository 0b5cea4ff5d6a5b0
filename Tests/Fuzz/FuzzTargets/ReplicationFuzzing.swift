import ByteCoding
import Identifiers
import ReplicationCore

extension FuzzTarget {
    /// What is accepted as a frame between replicas reads back the same after it was encoded anew.
    public static let replicationFrame = FuzzTarget(
        "ReplicationFrame", corpus: [ReplicationFrame([]), sample].map { $0.encoded() }
    ) { bytes in
        guard let frame = try? ReplicationFrame.decode(bytes) else { return nil }
        guard let again = try? ReplicationFrame.decode(frame.encoded()) else {
            return "an accepted frame does not decode again: \(frame)"
        }
        return again == frame ? nil : "a frame changed on its way: \(frame)"
    }

    private static let sample: ReplicationFrame = {
        let partition = PartitionID(7)
        let epoch = Epoch(rawValue: 3)
        let (bytes, _) = JournalRecord(
            kind: .turn, partition: partition, epoch: epoch, position: LogPosition(rawValue: 5), time: 1_000,
            previousHash: 99, body: [1, 2, 3]
        ).encoded()
        let previous = LogMark(position: LogPosition(rawValue: 4), epoch: epoch, hash: 99)
        let records = (try? LogRecord.verified(bytes, of: partition)).map { [$0] } ?? []
        let starts = [1, 2, 300].map {
            EpochStart(epoch: Epoch(rawValue: $0), first: LogPosition(rawValue: $0 * 5))
        }
        let messages: [ReplicaMessage] = [
            .append(
                Append(epoch: epoch, probe: 4, previous: previous, committed: .zero, records: records)),
            .acknowledged(epoch: epoch, position: LogPosition(rawValue: 1 << 40)),
            .mismatch(epoch: epoch, probe: 1, end: LogPosition(rawValue: 2_000), epochs: starts),
            .damaged(epoch: epoch), .rejected(epoch: epoch, promised: Epoch(rawValue: 300)),
            .confirm(epoch: epoch, round: 1), .confirmed(epoch: epoch, round: .max),
        ]
        return ReplicationFrame(messages.map { .init(partition: partition, message: $0) })
    }()
}
