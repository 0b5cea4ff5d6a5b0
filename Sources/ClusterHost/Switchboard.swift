import ActorHost
import ControlCore
import Identifiers
import Logging
import MeshProtocol
import MeshTransport
import PlacementCore
import Synchronization

/// Leads what the mesh and the control plane report to whom it is for. Everybody lives on the same loop, so
/// these are plain calls.
final class Switchboard: Sendable {
    private struct Lines {
        var control: ControlDriver
        var replicas: ReplicaLoop
        var snapshots: SnapshotDriver { replicas.snapshots }
        var exchange: PeerExchange
        var service: ClusterService
        var carrier: MeshCarrier
        var gossip: GossipDriver
        var host: any PartitionHost
    }

    private let lines = Mutex<Lines?>(nil)
    private let logger: Logger
    private let onTurnedAway = Mutex<(@Sendable (MemberFailure) -> Void)?>(nil)

    init(_ logger: Logger) { self.logger = logger }

    /// - Parameter handler: takes why no member will ever let this process in. None can tell it by a map that
    ///   its life is over, and it would wait for ever.
    func setOnTurnedAway(_ handler: @escaping @Sendable (MemberFailure) -> Void) {
        onTurnedAway.withLock { $0 = handler }
    }

    private func note(_ reason: CloseReason, _ lines: Lines) {
        guard case .refusedByPeer(let refusal) = reason else { return }
        switch refusal.code {
        // Incarnations are issued once and never go back, and a process tells its own: there is a later one.
        case .oldIncarnation: turnedAway(.replaced(refusal.sentence))
        // A number is given once, so a node that was removed never comes back.
        case .removed: turnedAway(.removed(refusal.sentence))
        // The one that takes part goes on: a copy has been let in where its own connection was lost.
        case .runsElsewhere where lines.control.assumeIsolated({ $0.life }) == nil:
            turnedAway(.alreadyRuns(refusal.sentence))
        default: break
        }
    }

    private func turnedAway(_ failure: MemberFailure) { onTurnedAway.withLock { $0.take() }?(failure) }

    func connect(
        _ control: ControlDriver, _ replicas: ReplicaLoop, _ service: ClusterService, _ carrier: MeshCarrier,
        _ gossip: GossipDriver, _ host: any PartitionHost
    ) {
        let connected = Lines(
            control: control, replicas: replicas, exchange: service.exchange, service: service,
            carrier: carrier, gossip: gossip, host: host)
        lines.withLock { $0 = connected }
    }

    /// Nobody hears anything any more.
    func disconnect() { lines.withLock { $0 = nil } }

    private var connected: Lines? { lines.withLock { $0 } }

    func handle(_ event: MeshEvent) {
        guard let lines = connected else { return }
        switch event {
        case .frame(let frame, let peer): handle(frame, from: peer, lines)
        case .connected(let peer):
            logger.debug("connected to node \(peer.node.rawValue) on lane \(peer.lane)")
            if peer.lane == .control {
                lines.control.assumeIsolated { $0.connected(peer.node) }
                lines.gossip.assumeIsolated { $0.linkChanged(peer.node) }
            }
            if peer.lane == .bulk { lines.snapshots.assumeIsolated { $0.linkChanged(peer.node, isUp: true) } }
            guard peer.lane == .data else { return }
            lines.replicas.assumeIsolated { $0.linkChanged(peer.node) }
            lines.service.retry()
        case .disconnected(let peer, let reason):
            logger.info("lane \(peer.lane) to node \(peer.node.rawValue) ended: \(reason)")
            note(reason, lines)
            if peer.lane == .control {
                lines.control.assumeIsolated { $0.disconnected(peer.node) }
                lines.gossip.assumeIsolated { $0.linkChanged(peer.node) }
            }
            if peer.lane == .bulk {
                lines.snapshots.assumeIsolated { $0.linkChanged(peer.node, isUp: false) }
            }
            guard peer.lane == .data else { return }
            lines.replicas.assumeIsolated { $0.linkChanged(peer.node) }
            lines.exchange.assumeIsolated { $0.disconnected(peer.node) }
            lines.carrier.assumeIsolated { $0.disconnected(peer.node) }
        case .dialFailed(let node, let address, let lane, let reason, _):
            let name = node.map { "node \($0.rawValue)" } ?? "somebody"
            // What only a person can change is told aloud; it is tried again seldom.
            logger.log(
                level: reason.needsOperator ? .warning : .debug,
                "\(name) cannot be reached at \(address) on lane \(lane): \(reason)")
            note(reason, lines)
        case .rejected(let address, let reason):
            logger.warning("a connection from \(address) was turned away: \(reason)")
            note(reason, lines)
        case .backPressure, .stopped: break
        }
    }

    private func handle(_ frame: Frame, from peer: MeshPeer, _ lines: Lines) {
        switch frame.kind {
        case ClusterFrames.controlRequest, ClusterFrames.controlReply, ClusterFrames.raft:
            lines.control.assumeIsolated { $0.received(frame, from: peer) }
        case ClusterFrames.handover:
            lines.control.assumeIsolated { $0.receivedHandovers(frame, from: peer) }
        case ClusterFrames.gossip:
            lines.gossip.assumeIsolated { $0.received(frame, from: peer) }
        case ClusterFrames.replication:
            lines.replicas.assumeIsolated { $0.received(frame, from: peer) }
        case ClusterFrames.snapshot, ClusterFrames.snapshotAnswer:
            lines.snapshots.assumeIsolated { $0.received(frame, from: peer.node) }
        case ClusterFrames.call, ClusterFrames.answer:
            lines.exchange.assumeIsolated { $0.received(frame, from: peer.node) }
        case ClusterFrames.messages, ClusterFrames.messagesAnswer:
            lines.carrier.assumeIsolated { $0.received(frame, from: peer.node) }
        default: break
        }
    }

    func ticked() {
        guard let lines = connected else { return }
        lines.exchange.assumeIsolated { $0.ticked() }
        lines.service.retry()
    }

    /// What becomes of a partition that is to have another owner.
    func handOver(_ partition: PartitionID, _ epoch: Epoch, _ stage: HandoverStage) {
        guard let lines = connected else { return }
        switch stage {
        case .begin:
            let control = lines.control
            lines.host.handOver(
                partition, epoch,
                .begin { [weak control] in
                    guard let control else { return }
                    control.loop.post { control.assumeIsolated { $0.readyToHandOver(partition, epoch) } }
                })
        case .insist: lines.host.handOver(partition, epoch, .insist)
        case .cancel: lines.host.handOver(partition, epoch, .cancel)
        }
    }

    /// From any thread.
    func stopReplicas() {
        guard let replicas = connected?.replicas else { return }
        replicas.loop.post { replicas.assumeIsolated { $0.stop() } }
    }

    func registered(_ life: NodeLife, _ map: ClusterMap) {
        connected?.replicas.assumeIsolated { $0.registered(life, map) }
        connected?.gossip.assumeIsolated { $0.registered(life, map) }
    }

    func mapChanged(_ map: ClusterMap) {
        guard let lines = connected else { return }
        lines.replicas.assumeIsolated { $0.follow(map) }
        lines.carrier.assumeIsolated { $0.follow(map) }
        lines.gossip.assumeIsolated { $0.follow(map) }
        lines.service.retry()
    }
}
