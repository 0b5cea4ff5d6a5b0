import ConsensusCore
import ControlCore
import Identifiers
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

    /// Lets another voter lead, if this one does.
    func stopLeading() {
        guard isLeader, let map = client.map else { return }
        let successor = server.raft.configuration.voters.first { $0.node != me && map.isLive($0) }
        if let successor { handOver(to: successor) }
    }

    /// Asks for being declared down, so that nobody waits for this process or suspects it. It may take a
    /// moment and may fail; the others find out by themselves then.
    func sayFarewell() {
        guard let life = client.life else { return }
        propose([.nodeDown(life.node, life.incarnation, .reported)]) { _ in }
    }
}
