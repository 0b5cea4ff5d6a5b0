import ByteCoding
import Identifiers
import ReplicationCore

extension FuzzTarget {
    /// What an owner says about a snapshot: accepted, it has chunks that lie in it, and reads back the same.
    public static let snapshotMessage = FuzzTarget(
        "SnapshotMessage",
        corpus: [
            .offer(header), .end(header.partition, id: header.id),
            .chunk(header.partition, id: header.id, SnapshotChunk(index: 2, hash: .max, bytes: [1, 2, 3])),
        ].map { (message: SnapshotMessage) in message.encoded() }
    ) { bytes in
        guard let message = try? SnapshotMessage.decode(bytes) else { return nil }
        guard (try? SnapshotMessage.decode(message.encoded())) == message else {
            return "a message changed on its way: \(message)"
        }
        guard case .offer(let header) = message else { return nil }
        let last = header.range(of: header.chunkCount - 1)
        guard !last.isEmpty, last.upperBound == header.byteCount, header.range(of: 0).lowerBound == 0 else {
            return "the chunks are not the snapshot: \(header)"
        }
        var sender = SnapshotSender(header)
        var receiver = SnapshotReceiver(header)
        _ = sender.handle(.linkUp)
        _ = receiver.handle(.message(message))
        return header.epochs.last?.epoch ?? header.mark.epoch == header.mark.epoch
            ? nil : "the mark is of an unknown epoch: \(header)"
    }

    /// What a replica answers: accepted, it reads back the same, and a sender knows what to do.
    public static let snapshotAnswer = FuzzTarget("SnapshotAnswer", corpus: answers.map { $0.encoded() }) {
        bytes in
        guard var answer = try? SnapshotAnswer.decode(bytes) else { return nil }
        guard (try? SnapshotAnswer.decode(answer.encoded())) == answer else {
            return "an answer changed on its way: \(answer)"
        }
        (answer.partition, answer.id) = (header.partition, header.id)
        var sender = SnapshotSender(header)
        _ = sender.handle(.linkUp)
        let reads = sender.handle(.answer(answer)).compactMap { effect in
            if case .read(let chunk) = effect { chunk } else { nil }
        }
        return reads.allSatisfy { $0 < header.chunkCount } ? nil : "chunks that there are not: \(reads)"
    }

    private static let answers: [SnapshotAnswer] = [
        .accepted(next: 0), .accepted(next: 3), .received(next: 2), .installed, .refused(.notWanted),
        .refused(.newerFormat),
    ].map { SnapshotAnswer(header.partition, id: header.id, $0) }

    private static let header = SnapshotHeader(
        id: 7, partition: PartitionID(5), epoch: Epoch(rawValue: 9),
        mark: LogMark(position: LogPosition(rawValue: 300), epoch: Epoch(rawValue: 4), hash: 1), time: 1_000,
        epochs: [1, 2, 4].map {
            EpochStart(epoch: Epoch(rawValue: $0), first: LogPosition(rawValue: $0 * 70))
        }, tableFormat: 1, byteCount: 9_000, chunkBytes: 4_096)
}
