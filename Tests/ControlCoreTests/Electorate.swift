import ConsensusCore
import ControlCore
import Identifiers
import PlacementCore
import TimeAndChance

/// Three voters and their disks, without a network: what they send arrives at once, unless a test holds it
/// back.
struct Electorate {
    static let cluster = ClusterID(high: 1, low: 2)
    static let formats = FormatVersions(journal: 1, map: 1)
    static let time = Timestamp(rawValue: 1_000)

    var servers: [ControlServer] = []
    /// Nobody hears these, and they hear nobody.
    var isolated: Set<Int> = []
    private(set) var replies: [(peer: ControlPeer, reply: ControlReply, from: Int)] = []

    static func store(_ number: Int) -> StoreID { StoreID(high: 0xAA, low: UInt64(number)) }
    static func node(_ index: Int) -> NodeID { NodeID(rawValue: UInt64(index + 1)) }
    static func peer(_ index: Int) -> ControlPeer { ControlPeer(rawValue: UInt64(index + 1)) }
    static let peers = (0..<3).map(peer)

    static func registration(node: Int?, store: Int, last: UInt32 = 0) -> Registration {
        Registration(
            cluster: cluster, node: node.map(Electorate.node), store: Electorate.store(store),
            lastIncarnation: Incarnation(rawValue: last),
            profile: NodeProfile(meshAddress: "m", clientAddress: "c"), formats: formats)
    }

    /// Nodes 1 to 3 are known with the stores of their numbers, and none of them is up.
    init() throws {
        var state = ClusterState()
        guard let ring = HashRing(partitionCount: 4, seed: (3, 4)) else { return }
        let constants = ClusterConstants(cluster: Self.cluster, ring: ring, formats: Self.formats)
        let profile = NodeProfile(meshAddress: "m", clientAddress: "c")
        let commands: [Command] =
            [.initialize(constants, ClusterSettings(), store: Self.store(1), profile)]
            + [2, 3].map { .register(Self.registration(node: nil, store: $0)) }
        _ = state.apply(ClusterEntry(time: Self.time, commands: commands), at: 1)
        let ids = (0..<3).map { ReplicaID(node: Self.node($0), store: Self.store($0 + 1)) }
        guard let voters = Raft.Configuration(voters: ids) else { return }
        let disk = Raft.PersistentState(founding: voters, state: state.encoded())
        servers = try ids.enumerated().map { index, id in
            try ControlServer(id: id, state: disk, seed: UInt64(index + 1))
        }
    }

    var leader: Int? { servers.indices.first { servers[$0].isLeader && !isolated.contains($0) } }

    /// Ticks until somebody leads whom the others hear.
    mutating func elect() -> Int {
        for _ in 0..<200 {
            if let leader { return leader }
            tick()
        }
        return 0
    }

    mutating func tick() { for index in servers.indices { handle(.tick, at: index) } }

    mutating func handle(_ event: ControlServer.Event, at index: Int) {
        var queue = [(index, event)]
        while !queue.isEmpty {
            let (index, event) = queue.removeFirst()
            let output = servers[index].handle(event, time: Self.time)
            if let last = output.writes.last { queue.append((index, .persisted(last.number))) }
            for message in output.messages {
                let target = Int(message.to.node.rawValue) - 1
                guard !isolated.contains(index), !isolated.contains(target) else { continue }
                queue.append((target, .raft(message)))
            }
            for (peer, reply) in output.replies { replies.append((peer, reply, index)) }
        }
    }

    mutating func takeReplies() -> [(peer: ControlPeer, reply: ControlReply, from: Int)] {
        defer { replies = [] }
        return replies
    }

    // MARK: With a client

    /// Carries out what the client wants until it wants nothing more; what is not for a voter is returned.
    mutating func run(
        _ effects: [ControlClient.Effect], of client: inout ControlClient, at peer: ControlPeer
    ) -> [ControlClient.Effect] {
        var others: [ControlClient.Effect] = []
        var effects = effects
        while !effects.isEmpty {
            let effect = effects.removeFirst()
            guard case .send(let request, let voter) = effect else {
                others.append(effect)
                continue
            }
            let index = Int(voter.rawValue) - 1
            guard !isolated.contains(index) else { continue }
            handle(.request(request, from: peer), at: index)
            effects += deliver(to: &client, at: peer)
        }
        return others
    }

    mutating func deliver(to client: inout ControlClient, at peer: ControlPeer) -> [ControlClient.Effect] {
        var effects: [ControlClient.Effect] = []
        for (asker, reply, voter) in takeReplies() where asker == peer {
            effects += client.handle(.reply(reply, from: Self.peer(voter)))
        }
        return effects
    }

    /// Ticks everything until the client says something that `isWanted`; nil if it does not in time.
    mutating func wait(
        for client: inout ControlClient, at peer: ControlPeer,
        until isWanted: (ControlClient.Effect) -> Bool
    ) -> ControlClient.Effect? {
        for _ in 0..<300 {
            tick()
            var said = run(deliver(to: &client, at: peer), of: &client, at: peer)
            said += run(client.handle(.tick), of: &client, at: peer)
            if let effect = said.first(where: isWanted) { return effect }
        }
        return nil
    }
}
