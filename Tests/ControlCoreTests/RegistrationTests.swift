import ConsensusCore
import ControlCore
import Identifiers
import PlacementCore
import Testing

@Suite("A process comes to its life") struct RegistrationTests {
    static let peer = Electorate.peer(0)

    static func client(_ registration: Registration) -> ControlClient {
        ControlClient(registration: registration, voters: Electorate.peers, seed: 1)
    }

    /// Registers through all steps.
    static func bringUp(
        _ electorate: inout Electorate, _ registration: Registration, at peer: ControlPeer = peer
    ) throws -> ControlClient {
        var client = client(registration)
        let effect = electorate.wait(for: &client, at: peer) {
            if case .persistIncarnation = $0 { true } else { false }
        }
        guard case .persistIncarnation(let life) = try #require(effect) else { return client }
        let said = electorate.run(client.handle(.incarnationPersisted), of: &client, at: peer)
        if said.contains(.registered(life)) { return client }
        let registered = electorate.wait(for: &client, at: peer) { $0 == .registered(life) }
        #expect(registered != nil)
        return client
    }

    /// R5, R12, R15: the life is on the disk before it is confirmed, and in the map before it is used.
    @Test func theLifeIsPersistedThenConfirmedThenSeenInTheMap() throws {
        var electorate = try Electorate()
        var client = Self.client(Electorate.registration(node: 0, store: 1))
        let effect = electorate.wait(for: &client, at: Self.peer) {
            if case .persistIncarnation = $0 { true } else { false }
        }
        guard case .persistIncarnation(let life) = try #require(effect) else { return }
        #expect(life.incarnation == Incarnation(rawValue: 2))
        #expect(client.life == nil)
        // Before it is on the disk, nothing more happens, however long it takes.
        for _ in 0..<50 {
            electorate.tick()
            let said = electorate.run(client.handle(.tick), of: &client, at: Self.peer)
            #expect(!said.contains(.registered(life)))
        }
        #expect(electorate.servers[electorate.elect()].state.map?[life.node]?.isUp == false)

        var said = electorate.run(client.handle(.incarnationPersisted), of: &client, at: Self.peer)
        if !said.contains(.registered(life)) {
            said +=
                electorate.wait(for: &client, at: Self.peer) { $0 == .registered(life) }.map { [$0] } ?? []
        }
        #expect(said.contains(.registered(life)))
        #expect(client.life == life)
        #expect(client.map?[life.node]?.life == life)
        #expect(client.map?[life.node]?.isUp == true)
    }

    struct Refused: Sendable {
        var registration: Registration
        var refusal: Refusal
    }

    /// R15 and D9: a disk that is not what it says is refused, and the process stops asking.
    @Test(arguments: [
        Refused(
            registration: Electorate.registration(node: 0, store: 1, last: 1),
            refusal: .rolledBack(held: Incarnation(rawValue: 2))),
        Refused(registration: Electorate.registration(node: 0, store: 9, last: 4), refusal: .unknownStore),
        Refused(
            registration: Electorate.registration(node: 1, store: 1, last: 2),
            refusal: .storeOfAnotherNode(NodeID(rawValue: 1))),
    ])
    func aDiskThatLiesIsRefused(example: Refused) throws {
        var electorate = try Electorate()
        _ = try Self.bringUp(&electorate, Electorate.registration(node: 0, store: 1))
        var client = Self.client(example.registration)
        let effect = electorate.wait(for: &client, at: Electorate.peer(1)) {
            if case .refused = $0 { true } else { false }
        }
        #expect(effect == .refused(example.refusal))
        for _ in 0..<100 { #expect(client.handle(.tick).isEmpty) }
        #expect(client.life == nil)
    }

    /// I19: another process of the node registers, and the first one stops as soon as its map says so.
    @Test func aLifeThatWasSucceededStops() throws {
        var electorate = try Electorate()
        var first = try Self.bringUp(&electorate, Electorate.registration(node: 0, store: 1))
        let later = Electorate.peer(1)
        let second = try Self.bringUp(
            &electorate, Electorate.registration(node: 0, store: 1, last: 2), at: later)
        let life = try #require(second.life)
        #expect(life.incarnation == Incarnation(rawValue: 3))
        let effect = electorate.wait(for: &first, at: Self.peer) {
            if case .refused(.staleLife) = $0 { true } else { false }
        }
        #expect(effect == .refused(.staleLife(life)))
        #expect(first.life == nil)
    }

    @Test func aLifeThatWasDeclaredDownStops() throws {
        var electorate = try Electorate()
        var client = try Self.bringUp(&electorate, Electorate.registration(node: 0, store: 1))
        let life = try #require(client.life)
        let down = ControlRequest(
            id: 1 << 40, body: .commands([.nodeDown(life.node, life.incarnation, .operator)]))
        electorate.handle(.request(down, from: Electorate.peer(2)), at: electorate.elect())
        let effect = electorate.wait(for: &client, at: Self.peer) {
            if case .refused = $0 { true } else { false }
        }
        #expect(effect == .refused(.staleLife(life)))
    }

    /// A voter goes by what it has applied itself, whoever answers its questions about the map (R15): a
    /// leader that does not know yet whose disk went back would count it.
    @Test func aVoterFollowsWhatItHasApplied() throws {
        var electorate = try Electorate()
        var client = try Self.bringUp(&electorate, Electorate.registration(node: 0, store: 1))
        let old = try #require(client.map)
        _ = try Self.bringUp(
            &electorate, Electorate.registration(node: 1, store: 2), at: Electorate.peer(1))
        let applied = try #require(electorate.servers[electorate.elect()].state.map)
        #expect(applied.version > old.version)
        #expect(client.handle(.applied(applied)) == [.mapChanged])
        #expect(client.map == applied)
        #expect(client.handle(.applied(old)).isEmpty)
        #expect(client.map == applied)

        let life = try #require(client.life)
        let down = ControlRequest(
            id: 1 << 40, body: .commands([.nodeDown(life.node, life.incarnation, .operator)]))
        electorate.handle(.request(down, from: Electorate.peer(2)), at: electorate.elect())
        let over = try #require(electorate.servers[electorate.elect()].state.map)
        #expect(client.handle(.applied(over)) == [.mapChanged, .refused(.staleLife(life))])
        #expect(client.life == nil)
    }

    /// The answer to the confirmation comes after the map that shows the end of the life.
    @Test func aLifeThatWasDeclaredDownBeforeItBeganNeverBegins() throws {
        var electorate = try Electorate()
        var client = Self.client(Electorate.registration(node: 0, store: 1))
        let effect = electorate.wait(for: &client, at: Self.peer) {
            if case .persistIncarnation = $0 { true } else { false }
        }
        guard case .persistIncarnation(let life) = try #require(effect) else { return }
        let confirm = client.handle(.incarnationPersisted)
        guard case .send(let request, let voter) = try #require(confirm.first) else { return }
        let leader = electorate.elect()
        electorate.handle(.request(request, from: Self.peer), at: leader)
        let late = electorate.takeReplies().filter { $0.reply.id == request.id }
        let down = ControlRequest(
            id: 1 << 40, body: .commands([.nodeDown(life.node, life.incarnation, .operator)]))
        electorate.handle(.request(down, from: Electorate.peer(2)), at: leader)
        let end = electorate.servers[leader].state.map?.version
        var version: MapVersion?
        for _ in 0..<100 where version != end {
            electorate.tick()
            _ = electorate.run(electorate.deliver(to: &client, at: Self.peer), of: &client, at: Self.peer)
            _ = electorate.run(client.handle(.tick), of: &client, at: Self.peer)
            version = client.map?.version
        }
        #expect(version == end)
        let said = late.flatMap { client.handle(.reply($0.reply, from: voter)) }
        #expect(said == [.refused(.staleLife(life))])
        #expect(client.life == nil)
    }
}
