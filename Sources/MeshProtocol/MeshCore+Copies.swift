import Identifiers

/// Two processes with one node's identity: a copy of a data directory was started beside the original (D30).
///
/// Nothing in a copy of a running node's directory tells it from the original: incarnation, store and
/// certificate are the same. But the original is connected and answers, and whoever was started in its place
/// comes after its end. So while a connection of another process of the node answers, the later one is
/// turned away; if it does not answer within the deadline of a pong, it is gone.
extension MeshCore {
    mutating func objection(toSecond peer: MeshPeer, _ now: Duration) -> Refusal? {
        guard peer.process != 0 else { return nil }
        for lane in MeshLane.allCases {
            guard let id = table[LinkKey(node: peer.node, lane: lane)], let link = links[id],
                let other = link.peer, other.process != 0, other.process != peer.process
            else { continue }
            switch link.doubt {
            case .answered(let moment) where now < moment + settings.deadlines.pong:
                return .runsElsewhere(peer.node)
            case .asked: break
            case .answered, nil:
                links[id]?.doubt = .asked
                probe(id, now)
            }
            return .occupied(peer.node)
        }
        return nil
    }
}

extension Handshake.Outcome {
    /// Whether the peer was not refused.
    var isWelcome: Bool {
        switch self {
        case .send, .established: true
        case .refuse, .refused: false
        }
    }
}
