import ConsensusCore
import ControlCore
import Identifiers
import MeshProtocol
import MeshTransport
import PlacementCore

/// The end of a process that knows that it ends: what it owns goes to others first (`cluster.md` 2.8).
extension ControlDriver {
    /// Tells the voters that this process should own nothing any more.
    /// - Returns: its life; nil if it does not take part.
    func leave() -> NodeLife? {
        isLeaving = true
        client.condition.isLeaving = true
        return client.life
    }

    /// Whoever asks a process that has ended here asks another one at once, and does not wait for the answer.
    func turnAway(_ frame: Frame, from peer: MeshPeer) {
        guard isLeaving, frame.kind == ClusterFrames.controlRequest,
            let request = try? ControlRequest.decode(frame.payload)
        else { return }
        if case .heartbeat = request.body { return }
        let reply = ControlReply(id: request.id, body: .notLeader(server.raft.leader?.node))
        send(Frame(ClusterFrames.controlReply, reply.encoded()), to: peer.node)
    }

    /// Whether partitions are on their way to others.
    var isHandingOver: Bool { client.isHandingOver }

    /// Lets another voter lead, if this one does.
    /// - Returns: whether there is another voter.
    func stopLeading() -> Bool {
        guard let map = client.map else { return false }
        let others = map.voters.voters.filter { $0.node != me && map.isLive($0) }
        // One that cannot be reached may not have been declared down yet.
        let successor = others.first { links.contains($0.node) } ?? others.first
        if isLeader, let successor { handOver(to: successor) }
        return !others.isEmpty
    }

    /// Asks for being declared down, so that nobody waits for this process or suspects it, again until it is
    /// so; if that takes too long, the others find out by themselves.
    /// - Returns: whether it is so.
    func sayFarewell() -> Bool {
        guard !hasEnded, let life = client.life else { return true }
        guard !saysFarewell else { return false }
        saysFarewell = true
        propose([.nodeDown(life.node, life.incarnation, .reported)]) { [weak self] _ in
            self?.assumeIsolated { $0.saysFarewell = false }
        }
        return false
    }
}
