import Identifiers
import MembershipCore

extension FuzzTarget {
    /// What is accepted as a message reads back the same after it was encoded anew, and a failure detector
    /// that hears it, or hears it twice, goes on.
    public static let gossipMessage = FuzzTarget("GossipMessage", corpus: messages.map { $0.encoded() }) {
        bytes in
        guard let message = try? SwimMessage.decode(bytes) else { return nil }
        guard (try? SwimMessage.decode(message.encoded())) == message else {
            return "a message changed on its way: \(message)"
        }
        var swim = Swim(NodeID(rawValue: 1), Incarnation(rawValue: 1), seed: 1, now: .zero)
        let listed = (1...5).map {
            Swim.Listed(NodeID(rawValue: $0), Incarnation(rawValue: 1), isUp: true)
        }
        _ = swim.handle(.members(listed), now: .zero)
        for second in 1...3 {
            _ = swim.handle(.message(message), now: .seconds(second))
            _ = swim.handle(.tick, now: .seconds(second))
        }
        return swim.members[NodeID(rawValue: 1)] == nil ? nil : "a node watches itself"
    }

    private static let messages: [SwimMessage] = {
        let (node, life) = (NodeID(rawValue: 2), Incarnation(rawValue: 300))
        let meta = NodeMeta(mapVersion: 300, health: 3, backlog: 1_000)
        let contents: [Rumour.Content] = [.alive(meta), .suspect(by: node), .unreachable(by: node), .left]
        let rumours = contents.enumerated().map { number, content in
            Rumour(
                node: NodeID(rawValue: UInt64(number + 1)), incarnation: life, swimIncarnation: 7,
                content: content)
        }
        let sender = Presence(node: node, incarnation: life, swimIncarnation: 2, meta: meta)
        let bodies: [SwimMessage.Body] = [
            .ping(300), .ack(1), .pingRequest(2, target: NodeID(rawValue: 3)), .nack(4), .gossip, .pull,
            .push,
        ]
        return bodies.map { SwimMessage(sender: sender, body: $0, rumours: rumours) }
    }()
}
