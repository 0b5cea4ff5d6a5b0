import ConsensusCore
import ControlCore
import Identifiers
import PlacementCore

extension FuzzTarget {
    /// What is accepted as a request reads back the same after it was encoded anew.
    public static let controlRequest = FuzzTarget("ControlRequest", corpus: requests.map { $0.encoded() }) {
        bytes in
        guard let request = try? ControlRequest.decode(bytes) else { return nil }
        return (try? ControlRequest.decode(request.encoded())) == request
            ? nil : "a request changed on its way: \(request)"
    }

    /// The same for what is answered.
    public static let controlReply = FuzzTarget("ControlReply", corpus: replies.map { $0.encoded() }) {
        bytes in
        guard let reply = try? ControlReply.decode(bytes) else { return nil }
        return (try? ControlReply.decode(reply.encoded())) == reply
            ? nil : "a reply changed on its way: \(reply)"
    }

    private static let life = NodeLife(
        node: NodeID(rawValue: 1), incarnation: Incarnation(rawValue: 2), store: StoreID(high: 3, low: 4))

    private static let requests: [ControlRequest] = [
        .init(id: 1, body: .map(after: MapVersion(rawValue: 2))),
        .init(id: .max, body: .voters(.promote(life.replica))),
        .init(
            id: 0,
            body: .heartbeat(
                Heartbeat(
                    life: life, complaints: [.init(node: life.node, incarnation: life.incarnation)],
                    silences: [.init(node: life.node, incarnation: life.incarnation, ticks: 300)]))),
        .init(id: 3, body: .commands([.confirm(life), .drain(life.node, life.incarnation, true)])),
    ]

    private static let replies: [ControlReply] = {
        let refusals: [Refusal] = [
            .full, .staleLife(life), .rolledBack(held: life.incarnation), .storeOfAnotherNode(life.node),
        ]
        let outcomes = [.accepted, .registered(life)] + refusals.map { Outcome.refused($0) }
        let bodies: [ControlReply.Body] = [
            .outcomes(outcomes, version: MapVersion(rawValue: 9)),
            .map(mapUpdate.corpus.compactMap { try? MapUpdate.decode($0) }),
            .votersChanged, .notLeader(life.node), .unavailable(.notLeader(leader: life.replica)),
            .unavailable(nil),
        ]
        return bodies.map { ControlReply(id: 7, body: $0) }
    }()
}
