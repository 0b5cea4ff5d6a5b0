import Identifiers
import ReplicationCore

/// Where the replicas and the snapshots between nodes meet.
extension ReplicaLoop {
    func listenToSnapshots() {
        let replicas = SnapshotDriver.Replicas(
            wants: { [weak self] header in self?.assumeIsolated { $0.wants(header) } ?? (false, false) },
            isWhole: { [weak self] header in self?.assumeIsolated { $0.isWhole(header) } },
            isInstalled: { [weak self] header, isThere in
                self?.assumeIsolated { $0.isInstalled(header, isThere) }
            },
            isSent: { [weak self] replica, partition in
                self?.assumeIsolated { $0.handle(.snapshotEnded(replica), of: partition) }
            })
        snapshots.assumeIsolated { $0.begin(replicas) }
    }

    func sendSnapshot(to peer: ReplicaID, of partition: PartitionID) {
        guard let replica = replication?.replicas[partition], let epoch = replica.owner?.epoch else { return }
        let epochs = replica.log.epochs
        snapshots.assumeIsolated { $0.send(partition, to: peer, in: epoch, epochs: epochs) }
    }

    private func wants(_ header: SnapshotHeader) -> (isWanted: Bool, isDamaged: Bool) {
        guard let replica = replication?.replicas[header.partition] else { return (false, false) }
        return (replica.wantsSnapshot(header.mark, epoch: header.epoch), replica.isDamaged)
    }

    private func isWhole(_ header: SnapshotHeader) {
        handle(.snapshotReady(header.mark, epoch: header.epoch), of: header.partition)
    }

    private func isInstalled(_ header: SnapshotHeader, _ isThere: Bool) {
        guard isThere else { return handle(.snapshotFailed, of: header.partition) }
        let index = Int(header.partition.rawValue)
        times[index] = max(times[index], header.time)
        handle(
            .snapshotInstalled(header.mark, epochs: header.epochs, epoch: header.epoch), of: header.partition)
    }

    private func handle(_ event: ReplicaEvent, of partition: PartitionID) {
        replication?.handle(event, of: partition, now: now)
        finishSoon()
    }
}
