import ActorHost
import ControlCore
import Identifiers
import PlacementCore

/// Planned changes of owner, as `ControlDriver` and `Switchboard` carry them out.
extension Simulation {
    /// What a process's host does about it.
    func handOver(
        _ partition: PartitionID, _ epoch: Epoch, _ stage: HandoverStage, _ index: Int,
        _ process: SimulatedProcess
    ) {
        note("m\(index): handover of p\(partition.rawValue) in epoch \(epoch.rawValue): \(stage)")
        if stage == .begin { report.handovers += 1 }
        if let node = process.node {
            switch stage {
            case .begin:
                let replies = node.replies
                node.host.handOver(
                    partition, epoch, .begin { replies.add(.handedOver(partition, epoch)) })
            case .insist: node.host.handOver(partition, epoch, .insist)
            case .cancel: node.host.handOver(partition, epoch, .cancel)
            }
            return wakeHost(index)
        }
        guard process.hosts[partition]?.epoch == epoch else { return }
        process.hosts[partition]?.isHandingOver = stage != .cancel
        endHandover(partition, epoch, index, process)
    }

    /// A counter has come to its end when all of it is told.
    func endHandover(
        _ partition: PartitionID, _ epoch: Epoch, _ index: Int, _ process: SimulatedProcess
    ) {
        guard let host = process.hosts[partition], host.isHandingOver, host.gate.isEmpty, host.reads.isEmpty
        else { return }
        take(process.client.handle(.readyToHandOver(partition, epoch)), at: index)
    }
}
