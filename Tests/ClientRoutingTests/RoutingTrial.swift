import ClientProtocol
import Identifiers
import Synchronization
import Testing

@testable import ClientRouting

func counter(_ key: String) -> ActorAddress {
    // The kind and the keys in these tests are within the limits.
    ActorAddress(kind: try! ActorKind("counter"), key: try! ActorKey([key]))
}

/// A client's decisions with a clock and nodes that the test plays.
struct RoutingTrial {
    /// What the client has sent to a node, in short.
    enum Said: Hashable {
        case request(UInt64, sequence: UInt64?, epoch: UInt64?)
        case subscribe(UInt64)
        case cancel(UInt64)
        case map(UInt64, after: UInt64?, waits: Bool)
        case ping, hello, unsubscribe
    }

    static let cluster = ClusterID(high: 7, low: 7)
    static let ring = HashRing(partitionCount: 2, seed: (1, 2))!

    var core: RoutingCore
    var now = Duration.zero
    /// Since the last look.
    var connecting: [(link: LinkID, address: String)] = []
    var closing: [LinkID] = []
    var said: [LinkID: [Said]] = [:]
    var answers: [Result<ActorReply, ClientError>] = []
    var failures: [ClientError] = []
    var delivered: [String] = []
    var statuses: [ConnectionStatus] = []

    init(_ seeds: [String], _ settings: RoutingCore.Settings = .init(), session: UInt64 = 1) {
        core = RoutingCore(
            session: SessionID(high: 1, low: session), seeds: seeds.compactMap { NodeAddress($0) },
            settings: settings, seed: session)
    }

    mutating func act<Value>(
        _ body: (inout RoutingCore, Duration, inout [RoutingCore.Effect]) -> Value
    ) -> Value {
        var effects: [RoutingCore.Effect] = []
        let value = body(&core, now, &effects)
        for effect in effects {
            switch effect {
            case .connect(let link, let address): connecting.append((link, address.description))
            case .send(let link, let frame): said[link, default: []].append(Self.short(frame))
            case .close(let link): closing.append(link)
            case .answer(let reply, let result):
                reply(result)
                answers.append(result)
            case .deliver(_, let delivery): delivered.append(delivery.payload.text)
            case .fail(_, let error): failures.append(error)
            case .status(let status): statuses.append(status)
            case .note: break
            }
        }
        return value
    }

    private static func short(_ frame: ClientFrame) -> Said {
        switch frame {
        case .hello: .hello
        case .request(let id, let request):
            .request(id, sequence: request.sequence, epoch: request.epoch?.rawValue)
        case .subscribe(let id, _, _): .subscribe(id)
        case .unsubscribe: .unsubscribe
        case .cancel(let id): .cancel(id)
        case .map(let id, let after, let waitMillis): .map(id, after: after, waits: waitMillis > 0)
        case .ping: .ping
        }
    }

    // MARK: The client

    mutating func connect() { act { core, now, effects in core.connect(now: now, &effects) } }

    mutating func request(
        _ actor: ActorAddress, _ operation: RequestFrame.Operation = .destroy, within limit: Duration? = nil
    ) -> UInt64 {
        act { core, now, effects in
            core.begin(
                actor, operation, deadline: limit.map { now + $0 }, now: now, &effects, reply: { _ in })
        }
    }

    mutating func subscribe(_ actor: ActorAddress) -> UInt64 {
        let subscription = RequestLedger.Subscription(
            actor: actor, event: "e", deliver: { _ in }, fail: { _ in })
        return act { core, now, effects in core.subscribe(subscription, now: now, &effects) }
    }

    /// Some time passes, in steps of ten milliseconds.
    mutating func wait(_ time: Duration) {
        let end = now + time
        while now < end {
            now += .milliseconds(10)
            act { core, now, effects in core.tick(now, &effects) }
        }
    }

    // MARK: The nodes

    /// The next attempt to connect.
    mutating func nextConnection() throws -> (link: LinkID, address: String) {
        try #require(!connecting.isEmpty)
        return connecting.removeFirst()
    }

    /// The node is there and says welcome.
    mutating func welcome(_ link: LinkID, version: UInt64 = 2) {
        let isWanted = act { core, now, effects in core.opened(link, now: now, &effects) }
        #expect(isWanted)
        receive(.welcome(version: version, node: "n"), from: link)
    }

    mutating func receive(_ frame: ServerFrame, from link: LinkID) {
        act { core, now, effects in core.received(frame, from: link, now: now, &effects) }
    }

    mutating func lose(_ link: LinkID) {
        act { core, now, effects in core.closed(link, now: now, &effects) }
    }

    /// What was said to a node since the last look.
    mutating func hear(_ link: LinkID) -> [Said] { said.removeValue(forKey: link) ?? [] }

    /// Answers the question for the map that the node was asked last.
    mutating func tellMap(_ map: RoutingMap, from link: LinkID) throws {
        let question = try #require(core.links[link]?.question)
        receive(.reply(id: question, .document(map.encoded())), from: link)
    }

    mutating func refuseMap(_ error: ActorError, from link: LinkID) throws {
        let question = try #require(core.links[link]?.question)
        receive(.error(id: question, error), from: link)
    }

    /// Nodes 1, 2, … at `n1:1`, `n2:1`, …; the owners of both partitions.
    static func map(
        _ owners: [UInt64], epoch: UInt64 = 1, version: UInt64 = 10, told by: UInt64 = 1, nodes: UInt64 = 3,
        cluster: ClusterID = cluster
    ) -> RoutingMap {
        RoutingMap(
            cluster: cluster, teller: NodeID(rawValue: by), version: version, ring: ring,
            nodes: (1...nodes).map { RoutingMap.Node(node: NodeID(rawValue: $0), address: "n\($0):1") },
            entries: owners.enumerated().map { index, owner in
                RoutingMap.Entry(
                    partition: PartitionID(index), epoch: Epoch(rawValue: epoch), revision: 1,
                    owner: NodeID(rawValue: owner))
            })
    }

    /// An actor of that partition.
    static func actor(in partition: Int) throws -> ActorAddress {
        try #require(
            (0..<100).map { counter("\($0)") }.first { ring.partition(of: $0) == PartitionID(partition) })
    }

    /// Connected to node 1 with its map, in which node 1 has partition 0 and node 2 partition 1.
    static func started(_ settings: RoutingCore.Settings = .init()) throws -> (RoutingTrial, LinkID) {
        var trial = RoutingTrial(["n1:1"], settings)
        trial.connect()
        let (link, _) = try trial.nextConnection()
        trial.welcome(link)
        try trial.tellMap(map([1, 2]), from: link)
        _ = trial.hear(link)
        return (trial, link)
    }

    /// As `started`, and connected to node 2, too.
    static func connectedToBoth(
        _ settings: RoutingCore.Settings = .init()
    ) throws -> (RoutingTrial, LinkID, LinkID) {
        var (trial, first) = try started(settings)
        let id = trial.request(try actor(in: 1), .get)
        let (second, address) = try trial.nextConnection()
        #expect(address == "n2:1")
        trial.welcome(second)
        try trial.tellMap(map([], version: 10, told: 2), from: second)
        trial.receive(.reply(id: id, .document(.null)), from: first)
        _ = (trial.hear(first), trial.hear(second))
        trial.answers = []
        return (trial, first, second)
    }
}
