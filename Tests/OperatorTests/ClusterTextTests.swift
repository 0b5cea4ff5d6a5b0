import ClientProtocol
import OperatorCommands
import Testing

@Suite("A cluster as text") struct ClusterTextTests {
    static let now = Instant("2026-11-23T10:00:00.000Z")!

    @Test func aNodeThatIsNoMemberSaysWhatToDo() {
        let document = ClusterDocument(member: false, message: "do this\u{1B}[2J")
        #expect(ClusterText.show(document, .plain) == ["do this [2J"])
    }

    @Test func aClusterIsAShortList() {
        var document = ClusterDocument(member: true)
        (document.cluster, document.node, document.founder, document.leader) = ("c-1", 1, true, 2)
        (document.voters, document.nodes, document.nodesUp) = ([1, 2, 3], 4, 3)
        (document.replicationFactor, document.mapVersion, document.partitions) = (2, 77, 256)
        (document.partitionsAtRisk, document.partitionsWithoutOwner, document.partitionsOffline) = (3, 0, 1)
        #expect(
            ClusterText.show(document, .plain) == [
                "cluster     c-1", "this node   1, which founded the cluster", "leader      node 2",
                "voters      1 2 3", "nodes       4, 3 of them up", "copies      2 of each partition",
                "partitions  256, 1 offline, 3 with too few copies", "map         version 77",
            ])
        (document.partitionsAtRisk, document.partitionsOffline, document.founder) = (0, 0, false)
        document.message = "a hint"
        let lines = ClusterText.show(document, .plain)
        #expect(lines.contains("partitions  256, all well") && lines.contains("this node   1"))
        #expect(lines.last == "a hint")
    }

    @Test func nodesAreATable() {
        func node(
            _ number: UInt64, _ state: String, _ consensus: String?, _ gossip: String?, health: UInt8? = 0
        ) -> NodesDocument.Node {
            NodesDocument.Node(
                node: number, state: state, draining: number == 2, since: "2026-11-23T09:58:30.000Z",
                zone: "rack-a", weight: 1, meshAddress: "b:7430", clientAddress: "b:7420", store: "s",
                incarnation: 4, consensus: consensus, owns: 128, inSync: 256, learns: 0,
                gossip: gossip, gossipSince: gossip == "alive" ? "2026-11-23T09:59:55.000Z" : nil,
                health: health)
        }
        #expect(
            ClusterText.nodes(
                NodesDocument(nodes: [
                    node(1, "up", "voter", "self", health: nil), node(2, "down", nil, "unreachable"),
                    node(3, "up", nil, "alive", health: 6), node(4, "up", nil, nil, health: nil),
                ]), now: Self.now, .plain
            ) == [
                "NODE  STATE              FOR  SEEMS                   FOR  "
                    + "ZONE    CONSENSUS  OWNS  IN SYNC  LEARNS  CLIENTS  MESH",
                "   1  up              1m 30s  (this node)                  "
                    + "rack-a  voter       128      256       0  b:7420   b:7430",
                "   2  down, draining  1m 30s  unreachable                  "
                    + "rack-a              128      256       0  b:7420   b:7430",
                "   3  up              1m 30s  alive, health 6 of 8  5.0 s  "
                    + "rack-a              128      256       0  b:7420   b:7430",
                "   4  up              1m 30s                               "
                    + "rack-a              128      256       0  b:7420   b:7430",
            ])
    }

    static func partition(
        _ number: UInt32, _ state: String, _ owner: UInt64?, losses: UInt32 = 0
    )
        -> PartitionsDocument.Partition
    {
        PartitionsDocument.Partition(
            partition: number, state: state, epoch: 3, owner: owner, inSync: [1, 2],
            learners: number == 1 ? [3] : [], targets: [1, 3], dataLossGeneration: losses)
    }

    @Test func partitionsAreATableThatCanBeNarrowed() {
        let document = PartitionsDocument(partitions: [
            Self.partition(0, "ok", 1), Self.partition(1, "unowned", nil),
            Self.partition(2, "ok", 2, losses: 1),
        ])
        #expect(
            ClusterText.partitions(document, .plain) == [
                "PARTITION  STATE    EPOCH  OWNER  IN SYNC  LEARNING  WANTED ON",
                "        0  ok           3      1  1 2                1 3",
                "        1  unowned      3      -  1 2      3         1 3",
                "        2  ok           3      2  1 2                1 3        "
                    + "records were given up 1 times",
            ])
        #expect(ClusterText.partitions(document, onlyTroubled: true, .plain).count == 2)
        #expect(ClusterText.partitions(document, on: 3, .plain).count == 2)
        #expect(ClusterText.partitions(document, on: 9, .plain) == ["there are none"])
        #expect(
            ClusterText.partitions(
                PartitionsDocument(partitions: [Self.partition(0, "ok", 1)]), onlyTroubled: true, .plain)
                == ["all 1 partitions are ok"])
    }

    @Test func tokensShowNoSecret() {
        let token = TokensDocument.Token(
            id: "00ff", token: "secret", expiresAt: "2026-11-23T11:30:00.000Z", uses: 3, used: 1)
        var over = token
        over.expiresAt = "2026-11-23T09:00:00.000Z"
        #expect(
            ClusterText.tokens(TokensDocument(tokens: [token, over]), now: Self.now, .plain) == [
                "TOKEN  USED  OF  EXPIRES", "00ff      1   3  in 1h 30m", "00ff      1   3  expired",
            ])
        #expect(
            ClusterText.tokens(TokensDocument(tokens: []), now: Self.now, .plain)
                == ["there are no join tokens"])
    }

    @Test("D29: no cluster is founded where one of the seeds knows one")
    func foundingIsRefused() {
        let here = NodeLocation(host: "a", port: 1)
        let there = NodeLocation(host: "b", port: 2)
        let (none, member) = (ClusterDocument(member: false), Self.member("c-9"))
        #expect(ClusterText.objection(to: none, at: here, seeds: []) == nil)
        #expect(ClusterText.objection(to: none, at: here, seeds: [(there, none)]) == nil)
        let own = ClusterText.objection(to: member, at: here, seeds: [(there, none)])
        #expect(own?.contains("http://a:1 is a member of cluster c-9 already") == true)
        let seed = ClusterText.objection(to: none, at: here, seeds: [(here, none), (there, member)])
        #expect(seed?.contains("apus cluster join http://b:2 --node http://a:1") == true)
    }

    private static func member(_ cluster: String) -> ClusterDocument {
        var document = ClusterDocument(member: true)
        document.cluster = cluster
        return document
    }
}
