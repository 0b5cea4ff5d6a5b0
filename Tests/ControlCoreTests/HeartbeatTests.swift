import ControlCore
import Identifiers
import PlacementCore
import Testing

/// 2.3.4: what voters know of who lives.
@Suite("Heartbeats") struct HeartbeatTests {
    private var electorate: Electorate
    private var clients: [ControlClient] = []
    private let leader: Int

    init() throws {
        var electorate = try Electorate()
        for index in 0..<3 {
            clients.append(
                try RegistrationTests.bringUp(
                    &electorate, Electorate.registration(node: index, store: index + 1),
                    at: Electorate.peer(index)))
        }
        leader = electorate.elect()
        self.electorate = electorate
        run(ticks: 30)
    }

    private mutating func run(ticks: Int, silent: Set<Int> = [], paused: Set<Int> = []) {
        for _ in 0..<ticks {
            for index in 0..<3 where !paused.contains(index) {
                electorate.handle(.tick, at: index)
                guard !silent.contains(index) else { continue }
                clients[index].silences = electorate.servers[index].silences
                _ = electorate.run(
                    clients[index].handle(.tick), of: &clients[index], at: Electorate.peer(index))
            }
        }
    }

    private var evidence: [NodeID: Evidence] { electorate.servers[leader].evidence() }

    @Test func whoIsHeardIsNoSuspect() { #expect(evidence.isEmpty) }

    @Test mutating func aSilentNodeIsSilentAtEveryVoter() {
        let victim = (leader + 1) % 3
        run(ticks: 40, silent: [victim])
        let found = evidence[Electorate.node(victim)]
        #expect(evidence.count == 1)
        // The leader has waited, and so has the other voter, which says so with its own heartbeats.
        #expect(found?.silentTicks.count == 2)
        #expect(found?.silentTicks.allSatisfy { 30...45 ~= $0 } == true)
        run(ticks: 10)
        #expect(evidence.isEmpty)
    }

    @Test mutating func complaintsAreOfALifeAndCountWhileTheyAreFresh() throws {
        let (victim, other) = ((leader + 1) % 3, (leader + 2) % 3)
        let map = try #require(electorate.servers[leader].state.map)
        let incarnation = try #require(map[Electorate.node(victim)]).incarnation
        clients[other].complaints = [.init(node: Electorate.node(victim), incarnation: incarnation)]
        run(ticks: 20, silent: [victim])
        #expect(evidence[Electorate.node(victim)]?.reporters == [Electorate.node(other)])
        clients[other].complaints[0].incarnation = Incarnation(rawValue: incarnation.rawValue - 1)
        run(ticks: 10, silent: [victim])
        #expect(evidence[Electorate.node(victim)]?.reporters == [])
        clients[other].complaints[0].incarnation = incarnation
        run(ticks: 10, silent: [victim])
        // Both are gone: what the other said is old.
        run(ticks: 60, silent: [victim, other])
        #expect(evidence[Electorate.node(victim)]?.reporters == [])
        #expect(evidence[Electorate.node(victim)]?.silentTicks.count == 1)
    }

    @Test("D33: a voter that stood still has not waited, and accuses nobody")
    mutating func ownPause() {
        run(ticks: 200, paused: [leader])
        run(ticks: 3, silent: [(leader + 1) % 3])
        #expect(evidence.isEmpty)
    }

    @Test("D34 D35: who is sick for ten seconds, or leaves, should own nothing; who stands still is silent")
    mutating func condition() {
        let (sick, leaving) = ((leader + 1) % 3, (leader + 2) % 3)
        clients[sick].condition = .init(health: 6)
        run(ticks: 190)
        #expect(electorate.servers[leader].unfit.isEmpty)
        clients[leaving].condition.isLeaving = true
        run(ticks: 20)
        #expect(electorate.servers[leader].unfit == [Electorate.node(sick), Electorate.node(leaving)])
        clients[sick].condition.health = 5
        run(ticks: 10)
        #expect(electorate.servers[leader].unfit == [Electorate.node(leaving)])
        clients[sick].standsStill = true
        run(ticks: 30)
        #expect(evidence.keys.map { $0 } == [Electorate.node(sick)])
    }

    @Test mutating func nobodySpeaksForAnotherNorForALaterLife() throws {
        let (victim, liar) = ((leader + 1) % 3, (leader + 2) % 3)
        run(ticks: 40, silent: [victim])
        let life = try #require(clients[victim].life)
        let forged = ControlRequest(id: 0, body: .heartbeat(Heartbeat(life: life)))
        electorate.handle(.request(forged, from: Electorate.peer(liar)), at: leader)
        #expect(evidence[Electorate.node(victim)] != nil)
        let former = NodeLife(
            node: life.node, incarnation: Incarnation(rawValue: life.incarnation.rawValue - 1),
            store: life.store)
        let late = ControlRequest(id: 0, body: .heartbeat(Heartbeat(life: former)))
        electorate.handle(.request(late, from: Electorate.peer(victim)), at: leader)
        #expect(evidence[Electorate.node(victim)] != nil)
        electorate.handle(.request(forged, from: Electorate.peer(victim)), at: leader)
        #expect(evidence[Electorate.node(victim)] == nil)
    }

    @Test("D35: complaints are of nodes that had no connection for half a second, and of suspects")
    mutating func observing() throws {
        var client = clients[leader]
        let (lost, suspect) = (Electorate.node((leader + 1) % 3), Electorate.node((leader + 2) % 3))
        let present = try #require(client.map?[suspect]?.incarnation)
        func complaints(ticks: Int, suspects: Incarnation?) -> [NodeID] {
            for _ in 0..<ticks {
                client.observe(
                    silences: [], isLinked: { $0 != lost },
                    seemsDown: { $0 == suspect && $1 == suspects })
                _ = client.handle(.tick)
            }
            return client.complaints.map(\.node)
        }
        #expect(complaints(ticks: 10, suspects: nil) == [])
        #expect(complaints(ticks: 1, suspects: nil) == [lost])
        #expect(complaints(ticks: 1, suspects: Incarnation(rawValue: present.rawValue + 1)) == [lost])
        #expect(Set(complaints(ticks: 1, suspects: present)) == [lost, suspect])
        // A connection that was made anew begins anew.
        client.observe(silences: [], isLinked: { _ in true }, seemsDown: { _, _ in false })
        #expect(client.complaints.isEmpty)
        #expect(complaints(ticks: 10, suspects: nil) == [])
    }

    @Test mutating func whoeverLeavesSaysSoAtOnce() {
        var client = clients[leader]
        while client.isHeartbeatDue { _ = client.handle(.tick) }
        client.condition.isLeaving = true
        #expect(client.isHeartbeatDue)
        _ = client.handle(.tick)
        #expect(!client.isHeartbeatDue)
    }
}
