import ControlCore
import Identifiers
import PlacementCore
import Testing

/// 2.8: an owner hands over what it is asked for, and goes on if that comes to nothing.
@Suite("Handovers") struct HandoverTests {
    private var electorate: Electorate
    /// Of the node that owns the partition.
    private var client: ControlClient
    private let owner: Int
    private let partition = PartitionID(0)
    private let successor: NodeLife

    init() throws {
        var electorate = try Electorate()
        var clients: [ControlClient] = []
        for index in 0..<3 {
            clients.append(
                try RegistrationTests.bringUp(
                    &electorate, Electorate.registration(node: index, store: index + 1),
                    at: Electorate.peer(index)))
        }
        let leader = electorate.elect()
        let map = try #require(electorate.servers[leader].state.map)
        let entry = try #require(map[partition])
        owner = 0
        successor = try #require(map[Electorate.node(1)]).life
        // Node 1 has the partition from the beginning.
        let life = try #require(map[Electorate.node(0)]).life
        var commands: [Command] = [.promote(partition, entry.revision, to: life)]
        Self.run(commands, &electorate, leader)
        let owned = try #require(electorate.servers[leader].state.map?[partition])
        commands = [.addLearner(partition, owned.revision, successor.replica)]
        Self.run(commands, &electorate, leader)
        let learning = try #require(electorate.servers[leader].state.map?[partition])
        commands = [.changeInSync(partition, learning.epoch, learning.revision, .add(successor))]
        Self.run(commands, &electorate, leader)
        client = clients[0]
        self.electorate = electorate
        let ready = try #require(electorate.servers[leader].state.map?[partition])
        #expect(ready.inSync.count == 2)
        run(ticks: 20)
        #expect(client.map?[partition] == ready)
    }

    private static func run(_ commands: [Command], _ electorate: inout Electorate, _ leader: Int) {
        let request = ControlRequest(id: 1 << 41, body: .commands(commands))
        electorate.handle(.request(request, from: Electorate.peer(2)), at: leader)
    }

    @discardableResult
    private mutating func run(ticks: Int, isCutOff: Bool = false) -> [ControlClient.Effect] {
        var said: [ControlClient.Effect] = []
        for _ in 0..<ticks {
            electorate.tick()
            let effects = client.handle(.tick)
            said +=
                isCutOff ? effects : electorate.run(effects, of: &client, at: Electorate.peer(owner))
        }
        return said.filter { if case .handOver = $0 { true } else { false } }
    }

    private func wish() throws -> Handover {
        let entry = try #require(client.map?[partition])
        return Handover(
            partition: partition, epoch: entry.epoch, revision: entry.revision, successor: successor)
    }

    @Test mutating func whoIsReadyHasItGranted() throws {
        let wish = try wish()
        #expect(client.handle(.handOver([wish])) == [.handOver(partition, wish.epoch, .begin)])
        #expect(client.handle(.handOver([wish])).isEmpty, "asked again")
        #expect(run(ticks: 50).isEmpty)
        let effects = client.handle(.readyToHandOver(partition, wish.epoch))
        _ = electorate.run(effects, of: &client, at: Electorate.peer(owner))
        #expect(client.handle(.readyToHandOver(partition, wish.epoch)).isEmpty, "said twice")
        #expect(run(ticks: 60).isEmpty)
        #expect(client.map?[partition]?.owner == successor)
    }

    @Test mutating func whoIsNotReadyIsPressedAndThenGoesOn() throws {
        let wish = try wish()
        _ = client.handle(.handOver([wish]))
        #expect(run(ticks: 99).isEmpty)
        #expect(run(ticks: 1) == [.handOver(partition, wish.epoch, .insist)])
        #expect(run(ticks: 39).isEmpty)
        #expect(run(ticks: 1) == [.handOver(partition, wish.epoch, .cancel)])
        #expect(client.handle(.readyToHandOver(partition, wish.epoch)).isEmpty, "too late")
        #expect(run(ticks: 200).isEmpty)
        #expect(client.map?[partition]?.owner == client.life)
    }

    @Test mutating func whoIsNotHeardGoesOn() throws {
        let wish = try wish()
        _ = client.handle(.handOver([wish]))
        _ = client.handle(.readyToHandOver(partition, wish.epoch))
        let said = run(ticks: 45, isCutOff: true)
        #expect(said == [.handOver(partition, wish.epoch, .cancel)])
    }

    @Test mutating func anEntryThatHasChangedIsNotWhatWasMeant() throws {
        let wish = try wish()
        _ = client.handle(.handOver([wish]))
        Self.run(
            [.changeInSync(partition, wish.epoch, wish.revision, .drop(successor.replica))], &electorate,
            electorate.elect())
        #expect(run(ticks: 20) == [.handOver(partition, wish.epoch, .cancel)])
        // Refused as well, should the leader have meant the older one.
        var old = wish
        old.revision = Revision(rawValue: wish.revision.rawValue)
        #expect(client.handle(.handOver([old])).isEmpty)
    }

    @Test mutating func wishesForOthersAndForWhatIsOverAreLetGo() throws {
        let wish = try wish()
        var foreign = wish
        foreign.partition = PartitionID(1)
        var later = wish
        later.epoch = Epoch(rawValue: wish.epoch.rawValue + 1)
        var own = wish
        own.successor = try #require(client.life)
        var unknown = wish
        unknown.partition = PartitionID(400)
        #expect(client.handle(.handOver([foreign, later, own, unknown])).isEmpty)
    }

    @Test func theyTravelAndDamageIsAnError() throws {
        let wish = try wish()
        let bytes = Handover.encode([wish, wish])
        #expect(try Handover.decode(bytes) == [wish, wish])
        for count in 0..<bytes.count {
            #expect(throws: (any Error).self) { try Handover.decode(Array(bytes.prefix(count))) }
        }
        #expect(throws: (any Error).self) { try Handover.decode(bytes + [0]) }
    }
}
