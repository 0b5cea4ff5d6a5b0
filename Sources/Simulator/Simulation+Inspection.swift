import ControlCore
import Identifiers
import PlacementCore
import ReplicationCore

/// What must be true of a process after every event that reached it.
extension Simulation {
    func inspect(_ index: Int) {
        // Answers reach clients.
        guard index < machines.count, let process = machines[index].process, let life = process.life else {
            return
        }
        // I19: who has heard the end of its life does nothing in it any more.
        if process.client.life != nil, let node = process.client.map?[life.node],
            node.life != life || !node.isUp
        {
            return checker.fail("I19: m\(index) goes on as \(life), although its map says \(node.life)")
        }
        if !settings.isFormed { inspectCluster(index, process) }
        guard let replication = process.replication else { return }
        for number in 0..<settings.partitions {
            guard let replica = replication.replicas[PartitionID(number)], let owner = replica.owner else {
                continue
            }
            for peer in owner.peers { inspect(peer, of: number, at: index) }
            // I18: what nobody waits for is not kept in memory.
            let safe = min(replica.committed, replica.durable)
            if owner.isServing, replica.log.base.position < safe,
                replica.log.byteCount > settings.extremes.tailBytesMax
            {
                checker.fail("I18: m\(index) keeps \(replica.log.byteCount) bytes of p\(number) in memory")
            }
            if owner.pendingAdds.count > Self.pendingMax || owner.readCount > Self.readsMax {
                checker.fail("I18: m\(index) lets requests of p\(number) pile up")
            }
        }
    }

    private static let pendingMax = 16
    private static let readsMax = 64

    private func inspect(_ peer: Progress, of partition: Int, at index: Int) {
        // I11: only the disk that is in the set, or learns, speaks for itself.
        if let process = peer.process, process.replica != peer.replica {
            checker.fail("I11: m\(index) counts what \(process) says of p\(partition) for \(peer.replica)")
        }
        // I18: a window, and the append that filled it.
        let record = settings.whole == nil ? Self.recordMax : Self.wholeRecordMax
        let limit = settings.extremes.windowBytesMax + max(settings.extremes.appendBytesMax, record)
        if peer.inFlightBytes > limit {
            checker.fail("I18: m\(index) has \(peer.inFlightBytes) bytes on the way to \(peer.replica)")
        }
    }

    /// More than any record of the simulated host has.
    private static let recordMax = 400
    /// More than any record of the actors of whole plans has.
    private static let wholeRecordMax = 64 << 10
}
