import ConsensusCore
import ControlCore
import Identifiers
import PlacementCore
import Testing

@Suite("Commands and the map") struct CommandTests {
    static let peer = Electorate.peer(0)

    private func down(_ life: NodeLife) -> Command { .nodeDown(life.node, life.incarnation, .operator) }

    /// A voter that does not lead has done nothing, so the leader is asked at once.
    @Test func aCommandGoesOnToTheLeader() throws {
        var electorate = try Electorate()
        var client = try RegistrationTests.bringUp(
            &electorate, Electorate.registration(node: 0, store: 1))
        let life = try #require(client.life)
        let leader = electorate.elect()
        // Begins with whoever is first in a new list.
        client.setVoters([Electorate.peer(leader)])
        client.setVoters((0..<3).map { Electorate.peer((leader + 1 + $0) % 3) })
        let said = electorate.run(
            client.handle(.propose(token: 7, [down(life)])), of: &client, at: Self.peer)
        #expect(said.contains(.outcomes(token: 7, [.accepted])))
    }

    @Test func aCommandWaitsForTheNextLeader() throws {
        var electorate = try Electorate()
        var client = try RegistrationTests.bringUp(
            &electorate, Electorate.registration(node: 0, store: 1))
        let life = try #require(client.life)
        let old = electorate.elect()
        electorate.isolated = [old]
        client.setVoters((0..<3).map { Electorate.peer((old + 1 + $0) % 3) })
        // The others still take the isolated one for the leader; what it does not answer is told as unknown,
        // and proposed again.
        var effects = client.handle(.propose(token: 1, [down(life)]))
        var outcome: [Outcome]?
        for round in 0..<300 where outcome == nil {
            var said = electorate.run(effects, of: &client, at: Self.peer)
            electorate.tick()
            said += electorate.run(client.handle(.tick), of: &client, at: Self.peer)
            effects = []
            for effect in said {
                switch effect {
                case .outcomes(_, let outcomes): outcome = outcomes
                case .unknown: effects += client.handle(.propose(token: UInt64(round + 2), [down(life)]))
                default: break
                }
            }
        }
        #expect(outcome == [.accepted])
        #expect(electorate.elect() != old)
    }

    /// As many requests as there are voters (a command, the registration and the map) fail together, and must
    /// not lead around in a circle.
    @Test func requestsThatFailTogetherTurnToTheNextVoter() throws {
        var client = RegistrationTests.client(Electorate.registration(node: 0, store: 1))
        var asked: Set<ControlPeer> = []
        for round in 0..<20 as Range<UInt64> {
            var requests: [(id: UInt64, peer: ControlPeer)] = []
            let effects =
                round == 0 ? client.handle(.propose(token: 1, [])) : client.handle(.tick)
            for effect in effects {
                if case .send(let request, let peer) = effect { requests.append((request.id, peer)) }
            }
            asked.formUnion(requests.map(\.peer))
            for (id, peer) in requests {
                _ = client.handle(.reply(ControlReply(id: id, body: .notLeader(nil)), from: peer))
            }
        }
        #expect(asked == Set(Electorate.peers))
    }

    /// The second voter was removed long ago and still names the first one, which knows nobody.
    @Test func anOldHintDoesNotKeepTheAskerFromTheOthers() {
        var client = RegistrationTests.client(Electorate.registration(node: 0, store: 1))
        var asked: Set<ControlPeer> = []
        var effects = client.handle(.propose(token: 1, []))
        for _ in 0..<12 {
            while let effect = effects.popLast() {
                guard case .send(let request, let peer) = effect else { continue }
                asked.insert(peer)
                guard peer != Electorate.peer(2) else { continue }
                let hint = peer == Electorate.peer(1) ? Electorate.node(0) : nil
                let reply = ControlReply(id: request.id, body: .notLeader(hint))
                effects += client.handle(.reply(reply, from: peer))
            }
            effects = client.handle(.tick)
        }
        #expect(asked.contains(Electorate.peer(2)))
    }

    /// An answer that was lost leaves the outcome open, and says so.
    @Test func anUnansweredCommandBecomesUnknown() throws {
        var client = RegistrationTests.client(Electorate.registration(node: 0, store: 1))
        let life = NodeLife(
            node: Electorate.node(0), incarnation: Incarnation(rawValue: 2), store: Electorate.store(1))
        #expect(client.handle(.propose(token: 5, [down(life)])).count == 1)
        #expect(client.isProposing)
        let said = (0..<100).flatMap { _ in client.handle(.tick) }
        #expect(said.count { $0 == .unknown(token: 5) } == 1)
        #expect(!client.isProposing)
    }

    @Test func theConnectionsOfAPeerEndWithIt() throws {
        var client = RegistrationTests.client(Electorate.registration(node: 0, store: 1))
        let life = NodeLife(
            node: Electorate.node(0), incarnation: Incarnation(rawValue: 2), store: Electorate.store(1))
        _ = client.handle(.propose(token: 5, [down(life)]))
        #expect(client.handle(.gone(Electorate.peer(1))).isEmpty)
        #expect(client.handle(.gone(Electorate.peer(0))) == [.unknown(token: 5)])
        // The next request goes elsewhere.
        let next = client.handle(.propose(token: 6, [down(life)]))
        guard case .send(_, let peer) = try #require(next.first) else { return }
        #expect(peer != Electorate.peer(0))
    }

    /// Else the only copy in sync might be on a node that everybody hears and that hears nobody (D25).
    @Test func whoDropsACopyMustHearTheLeaderFirst() throws {
        var electorate = try Electorate()
        var client = try RegistrationTests.bringUp(
            &electorate, Electorate.registration(node: 0, store: 1))
        let life = try #require(client.life)
        client.setVoters([Electorate.peer(electorate.elect())])
        let replica = ReplicaID(node: life.node, store: life.store)
        let drop = Command.changeInSync(
            PartitionID(0), Epoch(rawValue: 1), Revision(rawValue: 1), .drop(replica))
        let first = client.handle(.propose(token: 3, [drop]))
        guard case .send(let request, _) = try #require(first.first) else { return }
        #expect(request.body == .commands([]))
        #expect(client.isProposing)
        // Deaf, it says nothing more, and what it wanted counts as lost.
        var deaf = client
        var said: [ControlClient.Effect] = []
        for _ in 0..<100 { said += deaf.handle(.tick) }
        #expect(said.contains(.unknown(token: 3)))
        #expect(
            !said.contains {
                if case .send(let request, _) = $0 { request.body == .commands([drop]) } else { false }
            })
        #expect(
            electorate.run(first, of: &client, at: Self.peer).contains { effect in
                if case .outcomes(token: 3, let outcomes) = effect { outcomes.count == 1 } else { false }
            })
    }

    // MARK: The map

    @Test func theMapIsAnsweredWhenItChanges() throws {
        var electorate = try Electorate()
        let leader = electorate.elect()
        let version = try #require(electorate.servers[leader].state.map?.version)
        let asker = ControlPeer(rawValue: 50)
        electorate.handle(
            .request(ControlRequest(id: 1, body: .map(after: version)), from: asker), at: leader)
        #expect(electorate.takeReplies().isEmpty)
        let register = Command.register(Electorate.registration(node: 1, store: 2))
        electorate.handle(
            .request(ControlRequest(id: 2, body: .commands([register])), from: asker), at: leader)
        let bodies = electorate.takeReplies().filter { $0.reply.id == 1 }.map(\.reply.body)
        guard case .map(let updates) = try #require(bodies.first) else {
            Issue.record("not a map: \(bodies)")
            return
        }
        #expect(updates.last?.version == electorate.servers[leader].state.map?.version)
    }

    @Test func withoutAChangeTheAnswerIsEmptyAfterAWhile() throws {
        var electorate = try Electorate()
        let leader = electorate.elect()
        let version = try #require(electorate.servers[leader].state.map?.version)
        let asker = ControlPeer(rawValue: 50)
        electorate.handle(
            .request(ControlRequest(id: 1, body: .map(after: version)), from: asker), at: leader)
        for _ in 0..<40 { electorate.tick() }
        #expect(electorate.takeReplies().map(\.reply.body) == [.map([])])
    }

    /// Whoever waits at a voter that hears no leader would wait for ever.
    @Test func aVoterThatIsCutOffSendsItsWatchersAway() throws {
        var electorate = try Electorate()
        let leader = electorate.elect()
        let version = try #require(electorate.servers[leader].state.map?.version)
        let alone = (leader + 1) % 3
        electorate.isolated = [alone]
        for _ in 0..<60 { electorate.tick() }
        let asker = ControlPeer(rawValue: 50)
        electorate.handle(.request(ControlRequest(id: 1, body: .map(after: version)), from: asker), at: alone)
        #expect(electorate.takeReplies().map(\.reply.body) == [.unavailable(nil)])
    }

    @Test func aPeerThatIsGoneWaitsForNothing() throws {
        var electorate = try Electorate()
        let leader = electorate.elect()
        let version = try #require(electorate.servers[leader].state.map?.version)
        let asker = ControlPeer(rawValue: 50)
        electorate.handle(
            .request(ControlRequest(id: 1, body: .map(after: version)), from: asker), at: leader)
        electorate.handle(.gone(asker), at: leader)
        for _ in 0..<40 { electorate.tick() }
        #expect(electorate.takeReplies().isEmpty)
    }

    // MARK: Bounds

    @Test func anAskerHoldsABoundedNumberOfRequests() {
        var client = RegistrationTests.client(Electorate.registration(node: 0, store: 1))
        var refused = 0
        for token in 0..<5_000 as Range<UInt64> {
            let said = client.handle(.propose(token: token, []))
            if said == [.unknown(token: token)] { refused += 1 }
        }
        #expect(refused == 5_000 - 4_096)
    }

    @Test func aLeaderHoldsABoundedNumberOfRequests() throws {
        var electorate = try Electorate()
        let leader = electorate.elect()
        // Alone, it leads for a while, and commits nothing.
        electorate.isolated = [leader]
        let asker = ControlPeer(rawValue: 50)
        for id in 0..<4_200 as Range<UInt64> {
            electorate.handle(.request(ControlRequest(id: id, body: .commands([])), from: asker), at: leader)
        }
        let refused = electorate.takeReplies().count {
            if case .unavailable = $0.reply.body { true } else { false }
        }
        #expect(refused == 4_200 - 4_096)
    }
}
