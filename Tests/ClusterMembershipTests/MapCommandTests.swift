import ClientProtocol
import Identifiers
import PlacementCore
import Testing

@testable import ClusterMembership

@Suite("Commands on the map") struct MapCommandTests {
    /// Three nodes that are up; node 1 owns every partition, node 2 has copies in sync of them.
    private func town() async throws -> Town {
        let town = try Town()
        let token = try await town.token(uses: 2)
        for number in 2...3 {
            let newcomer = try town.newcomer(number)
            _ = try await newcomer.join("10.0.0.1:7420", with: token)
            try town.control.start(NodeID(rawValue: UInt64(number)))
        }
        for number in 0..<4 { try grant(number, to: 1, in: town) }
        for number in 0..<4 {
            let id = PartitionID(number)
            let life = try #require(town.control.map?[NodeID(rawValue: 2)]?.life)
            var partition = try #require(town.control.map?[id])
            town.control.apply([.addLearner(id, partition.revision, life.replica)])
            partition = try #require(town.control.map?[id])
            town.control.apply([.changeInSync(id, partition.epoch, partition.revision, .add(life))])
        }
        return town
    }

    private func grant(_ number: Int, to node: UInt64, in town: Town) throws {
        let map = try #require(town.control.map)
        let life = try #require(map[NodeID(rawValue: node)]?.life)
        let command = try #require(map.promotion(of: PartitionID(number), to: life))
        town.control.apply([command])
    }

    private func run(
        _ town: Town, _ operation: ClusterOperation, _ request: some Encodable
    ) async throws -> String {
        let answer = try await town.founder.perform(operation, try ClusterAdministrator.json(request))
        let done: DoneDocument = try ClusterAdministrator.read(answer)
        return done.message
    }

    @Test("The documents say what the map says")
    func documents() async throws {
        let town = try await town()
        let cluster: ClusterDocument = try ClusterAdministrator.read(
            try await town.founder.perform(.describe, .null))
        #expect(cluster.member && cluster.node == 1 && cluster.leader == 1 && cluster.founder == true)
        #expect(cluster.nodes == 3 && cluster.nodesUp == 3 && cluster.voters == [1])
        #expect(cluster.partitionsAtRisk == 0 && cluster.partitionsOffline == 0 && cluster.message == nil)
        let nodes: NodesDocument = try ClusterAdministrator.read(
            try await town.founder.perform(.nodes, .null))
        #expect(nodes.nodes.map(\.owns) == [4, 0, 0] && nodes.nodes.map(\.inSync) == [4, 4, 0])
        #expect(nodes.nodes.map(\.consensus) == ["voter", nil, nil])
        #expect(nodes.nodes.map(\.state) == ["up", "up", "up"])
        #expect(nodes.nodes[2].since == "2027-01-15T08:00:00.000Z")
        let partitions: PartitionsDocument = try ClusterAdministrator.read(
            try await town.founder.perform(.partitions, .null))
        #expect(partitions.partitions.map(\.owner) == [1, 1, 1, 1])
        #expect(partitions.partitions.allSatisfy { $0.state == "ok" && $0.inSync == [1, 2] })
    }

    @Test("A node that is declared down owns nothing; what had one copy only is offline, and said so")
    func down() async throws {
        let town = try await town()
        #expect(
            try await run(town, .down, ClusterRequest.Down(node: 1))
                == "node 1 is declared down: others take over what it owned")
        let map = try #require(town.control.map)
        #expect(map[NodeID(rawValue: 1)]?.liveness == .down)
        // Only an owner shrinks the in-sync set (R19): that is up to the next one.
        #expect(map.partitions.allSatisfy { $0.owner == nil && $0.inSync.map(\.node.rawValue) == [1, 2] })
        #expect(
            try await run(town, .down, ClusterRequest.Down(node: 2))
                .hasPrefix("node 2 is declared down: of 4 partitions no other copy in sync is up"))
        #expect(
            try await run(town, .down, ClusterRequest.Down(node: 2)) == "node 2 is declared down already")
        await expectError("the cluster has no node 9") {
            _ = try await run(town, .down, ClusterRequest.Down(node: 9))
        }
        let partitions: PartitionsDocument = try ClusterAdministrator.read(
            try await town.founder.perform(.partitions, .null))
        #expect(partitions.partitions.allSatisfy { $0.state == "offline" })
    }

    @Test("R4: only a copy in sync is promoted; another one only if the loss is accepted and none is there")
    func promote() async throws {
        let town = try await town()
        func promote(_ node: UInt64, _ accept: Bool? = nil, partition: UInt32 = 3) async throws -> String {
            try await run(
                town, .promote,
                ClusterRequest.Promote(partition: partition, node: node, acceptDataLoss: accept))
        }
        #expect(try await promote(2) == "partition 3 belongs to node 2 now")
        #expect(town.control.map?[PartitionID(3)]?.owner?.node == NodeID(rawValue: 2))
        #expect(try await promote(2) == "node 2 owns partition 3 already")
        await expectError("choose one of 1, 2; only if none") { _ = try await promote(3) }
        await expectError("nothing need be lost") { _ = try await promote(3, true) }
        await expectError("they are 0 to 3") { _ = try await promote(2, partition: 4) }
        await expectError("no node 7") { _ = try await promote(7) }
        for node in [1, 2] as [UInt64] { _ = try await run(town, .down, ClusterRequest.Down(node: node)) }
        await expectError("the node is not up") { _ = try await promote(2) }
        #expect(try await promote(3, true).hasSuffix("acknowledged records that it did not have are lost"))
        #expect(town.control.map?[PartitionID(3)]?.dataLossGeneration == 1)
    }

    @Test("Targets are set only to nodes that can take copies, as many as there should be")
    func move() async throws {
        let town = try await town()
        func move(_ nodes: [UInt64]) async throws -> String {
            try await run(town, .move, ClusterRequest.Move(partition: 1, nodes: nodes))
        }
        #expect(try await move([3, 1]).hasPrefix("the copies of partition 1 go to 3, 1"))
        #expect(town.control.map?[PartitionID(1)]?.targets.map(\.rawValue) == [3, 1])
        #expect(try await move([3, 1]).hasSuffix("already"))
        for nodes in [[3], [3, 3], [1, 2, 3]] as [[UInt64]] {
            await expectError("name 2 different nodes") { _ = try await move(nodes) }
        }
        await expectError("no node 8") { _ = try await move([8, 1]) }
        _ = try await run(town, .down, ClusterRequest.Down(node: 3))
        await expectError("node 3 is not up") { _ = try await move([3, 2]) }
    }

    @Test("A command that came too late is made anew from the newer map")
    func races() async throws {
        let town = try await town()
        let settings = try #require(town.control.map)
        // Moves the map's version on just before the proposal.
        var wanted = settings.settings
        wanted.voterTarget = 5
        town.control.goAhead(with: [.changeSettings(wanted, settings.settingsRevision)])
        _ = try await run(town, .move, ClusterRequest.Move(partition: 1, nodes: [3, 1]))
        #expect(town.control.proposed.suffix(2).count == 2)
        #expect(town.control.map?[PartitionID(1)]?.targets.map(\.rawValue) == [3, 1])
    }

    @Test("Without an answer of the control plane nothing is claimed")
    func silence() async throws {
        let town = try await town()
        town.control.fallSilent()
        await expectError("not heard from the control plane") {
            _ = try await run(town, .down, ClusterRequest.Down(node: 2))
        }
        let cluster: ClusterDocument = try ClusterAdministrator.read(
            try await town.founder.perform(.describe, .null))
        #expect(cluster.member && cluster.nodes == nil && cluster.message != nil)
    }

    @Test("Before the node is a member, commands say what to do")
    func notMember() async throws {
        let town = try Town()
        let newcomer = try town.newcomer(2)
        for operation in [ClusterOperation.nodes, .down, .admit, .createToken] {
            await expectError("apus cluster init") { _ = try await newcomer.perform(operation, .null) }
        }
        let cluster: ClusterDocument = try ClusterAdministrator.read(
            try await newcomer.perform(.describe, .null))
        #expect(!cluster.member && cluster.message?.contains("apus cluster join") == true)
        await expectError("not the JSON") { _ = try await newcomer.perform(.join, Payload("[1]")) }
        await expectError("\"seed\"") { _ = try await newcomer.perform(.join, .null) }
        await expectError("\"partitions\"") {
            _ = try await newcomer.perform(.initialize, Payload("{\"partitions\":\"many\"}"))
        }
        await expectError("power of two") {
            _ = try await newcomer.perform(.initialize, Payload("{\"partitions\":5}"))
        }
        #expect(newcomer.directory.membership == nil)
        _ = try await newcomer.perform(.initialize, Payload("{\"partitions\":8,\"voters\":1}"))
        #expect(newcomer.directory.membership?.constants.ring.partitionCount == 8)
        await expectError("already") { _ = try await newcomer.perform(.initialize, .null) }
    }

    @Test("Every refusal is a sentence that says what to do")
    func sentences() {
        let life = NodeLife(
            node: NodeID(rawValue: 7), incarnation: Incarnation(rawValue: 8), store: StoreID(high: 1, low: 2))
        let refusals: [Refusal] = [
            .notInitialized, .alreadyInitialized, .otherCluster(ClusterID(high: 1, low: 2)), .oldProgram,
            .invalid, .full, .unknownNode, .unknownPartition, .notUp, .staleLife(life),
            .staleEpoch(Epoch(rawValue: 1)), .staleRevision(Revision(rawValue: 1)),
            .staleVersion(MapVersion(rawValue: 1)), .rolledBack(held: Incarnation(rawValue: 5)),
            .unknownStore, .storeOfAnotherNode(NodeID(rawValue: 3)), .noOwner, .notInSync, .notLearner,
            .alreadyReplica, .isOwner, .isInSync, .notOffline, .dataLossNotAccepted, .holdsReplicas,
            .isVoter, .lastVoter, .notVoter,
        ]
        for refusal in refusals {
            #expect("\(refusal)".contains(":") && "\(refusal)".count > 40, "\(refusal)")
        }
        // Those of one kind share their sentence, the others do not.
        #expect(Set(refusals.map { "\($0)" }).count == refusals.count - 2)
    }

    @Test("Whoever founds a cluster is answered when the next command can be carried out")
    func answersWithTheFirstMap() async throws {
        let town = try Town()
        let newcomer = try town.newcomer(2, patience: .seconds(60))
        async let answer = newcomer.perform(.initialize, Payload("{\"partitions\":8}"))
        _ = await newcomer.membership()
        newcomer.attach(town.control)
        let document: ClusterDocument = try ClusterAdministrator.read(try await answer)
        #expect(document.member && document.message == nil)
    }
}
