import ClientProtocol
import Identifiers
import MailboxCore

extension ActorHost {
    /// Performs messages of another partition's actors at the actors of one that this node owns (W60).
    ///
    /// `done` is called when they are committed, on any thread. A batch that comes again changes nothing.
    public func deliver(_ batch: MessageBatch, _ done: @escaping @Sendable (BatchResult) -> Void) {
        guard isWellAddressed(batch) else { return done(.unavailable) }
        let shard = shard(of: batch.destination)
        shard.executor.post { shard.receive(batch, done) }
    }

    /// Somebody has begun to serve a partition: what waits for it is sent without further delay.
    public func retryMessages(to partition: PartitionID) {
        for shard in shards { shard.executor.post { shard.retryMail(to: partition) } }
    }

    /// Carries a batch to its partition, here or elsewhere.
    func carry(
        _ batch: MessageBatch, by carrier: (any PartitionCarrier)?,
        _ done: @escaping @Sendable (BatchResult) -> Void
    ) {
        let shard = shard(of: batch.destination)
        shard.executor.post {
            if shard.partitions[batch.destination] != nil {
                // Or is about to be served, and then asks for it again.
                shard.receive(batch, done)
            } else if let carrier {
                carrier.carry(batch, done)
            } else {
                done(.unavailable)
            }
        }
    }

    /// Bytes from another node may say anything; an actor must never come into being in a wrong partition.
    private func isWellAddressed(_ batch: MessageBatch) -> Bool {
        guard Int(batch.destination.rawValue) < ring.partitionCount else { return false }
        return batch.messages.allSatisfy { ring.partition(of: $0.target) == batch.destination }
    }
}
