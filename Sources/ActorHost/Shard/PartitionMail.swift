import Identifiers
import MailboxCore

/// Carries messages of one partition to another one that another node owns.
public protocol PartitionCarrier: Sendable {
    /// `done` is called once, on any thread: whether the destination has the batch on disk, committed. A
    /// batch may arrive twice.
    func carry(_ batch: MessageBatch, _ done: @escaping @Sendable (BatchResult) -> Void)
}

/// The messages that leave one partition and come to it.
/// Belongs to one shard and is touched on its thread only.
final class PartitionMail {
    var outbox = OutboxCore()
    var inbox = InboxCore()
    /// When a record of its own deletes what has arrived, unless another one does before; microseconds of
    /// the monotonic clock.
    var trimAt: UInt64?
    /// What is stored cannot be read: nothing is sent or taken, because it could be for the second time.
    var isDamaged = false
    /// The first message of a stream that cannot be performed yet, and since when; of the monotonic clock.
    var held: [PartitionID: (number: UInt64, since: UInt64)] = [:]
}

/// The place of a message in the stream that it came in, and the log in which it is performed.
struct MessagePlace {
    var log: PartitionLog
    var source: PartitionID
    var flow: MessageFlow
    var number: UInt64
}
