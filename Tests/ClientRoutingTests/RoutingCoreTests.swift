import ClientProtocol
import Identifiers
import Testing

@testable import ClientRouting

@Suite("Where a client's requests go") struct RoutingCoreTests {
    @Test("A60: a request goes to its actor's owner, and through another node until there is a connection")
    func owner() throws {
        var (trial, first) = try RoutingTrial.started()
        let mine = trial.request(try RoutingTrial.actor(in: 0))
        #expect(trial.hear(first) == [.request(mine, sequence: 1, epoch: 1)])
        #expect(trial.connecting.isEmpty)
        let passedOn = trial.request(try RoutingTrial.actor(in: 1))
        #expect(trial.hear(first) == [.request(passedOn, sequence: 2, epoch: nil)])
        let (second, address) = try trial.nextConnection()
        #expect(address == "n2:1")
        trial.welcome(second)
        // Not before it has said who it is.
        let early = trial.request(try RoutingTrial.actor(in: 1))
        #expect(trial.hear(first) == [.request(early, sequence: 3, epoch: nil)])
        try trial.tellMap(RoutingTrial.map([], told: 2), from: second)
        _ = trial.hear(second)
        let direct = trial.request(try RoutingTrial.actor(in: 1))
        #expect(trial.hear(second) == [.request(direct, sequence: 4, epoch: 1)])
        #expect(trial.hear(first).isEmpty)
    }

    @Test("A60: a redirect is followed if its epoch and revision are newer, and else put off and passed on")
    func redirects() throws {
        var (trial, first, second) = try RoutingTrial.connectedToBoth()
        func redirect(_ epoch: UInt64, _ revision: UInt64, to owner: UInt64) -> ActorError {
            .redirect(
                to: RoutingMap.Entry(
                    partition: PartitionID(0), epoch: Epoch(rawValue: epoch), revision: revision,
                    owner: NodeID(rawValue: owner)), at: "n\(owner):1")
        }
        let id = trial.request(try RoutingTrial.actor(in: 0))
        #expect(trial.hear(first) == [.request(id, sequence: 1, epoch: 1)])
        trial.receive(.error(id: id, redirect(2, 1, to: 2)), from: first)
        #expect(trial.hear(second) == [.request(id, sequence: 1, epoch: 2)])
        for (epoch, revision) in [(1, 9), (2, 1)] as [(UInt64, UInt64)] {
            trial.receive(.error(id: id, redirect(epoch, revision, to: 1)), from: second)
            #expect(trial.hear(first).isEmpty && trial.hear(second).isEmpty)
            trial.wait(.seconds(1))
            #expect(trial.hear(second).filter { $0 != .ping } == [.request(id, sequence: 1, epoch: nil)])
        }
        #expect(trial.answers.isEmpty)
    }

    @Test("A60: after four redirects a request is passed on by whoever has it")
    func circles() throws {
        var (trial, first, second) = try RoutingTrial.connectedToBoth()
        let id = trial.request(try RoutingTrial.actor(in: 0))
        var epochs: [UInt64?] = []
        for hop in 0...4 {
            let here = hop % 2 == 0 ? first : second
            guard case .request(id, 1, let epoch)? = trial.hear(here).first else {
                Issue.record("hop \(hop) went elsewhere")
                return
            }
            epochs.append(epoch)
            let entry = RoutingMap.Entry(
                partition: PartitionID(0), epoch: Epoch(rawValue: UInt64(hop) + 2), revision: 1,
                owner: NodeID(rawValue: hop % 2 == 0 ? 2 : 1))
            guard hop < 4 else { break }
            trial.receive(.error(id: id, .redirect(to: entry, at: "n:1")), from: here)
        }
        #expect(epochs == [1, 2, 3, 4, nil])
    }

    @Test("A13: after a lost connection requests go to another node at once, in order, with their sequences")
    func failover() throws {
        var (trial, first, second) = try RoutingTrial.connectedToBoth()
        let actor = try RoutingTrial.actor(in: 1)
        let ids = [trial.request(actor), trial.request(actor, .get), trial.request(actor)]
        let subscription = trial.subscribe(actor)
        #expect(trial.hear(second).count == 4)
        trial.lose(second)
        #expect(
            trial.hear(first) == [
                .subscribe(subscription), .request(ids[0], sequence: 1, epoch: nil),
                .request(ids[1], sequence: nil, epoch: nil), .request(ids[2], sequence: 2, epoch: nil),
            ])
        // What the lost node has said is not heard any more, and its address rests for a while.
        trial.receive(.event(id: subscription, name: "e", payload: Payload("1")), from: second)
        #expect(trial.delivered.isEmpty && trial.connecting.isEmpty)
        trial.receive(.event(id: subscription, name: "e", payload: Payload("2")), from: first)
        #expect(trial.delivered == ["2"])
        #expect(trial.core.status == .connected)
        trial.wait(.seconds(1))
        _ = trial.request(actor)
        #expect(try trial.nextConnection().address == "n2:1")
    }

    @Test("A13: a reply at one node acknowledges for the session, and never what another node still has")
    func acknowledgement() throws {
        var (trial, first, second) = try RoutingTrial.connectedToBoth()
        let open = trial.request(try RoutingTrial.actor(in: 1))
        let done = trial.request(try RoutingTrial.actor(in: 0))
        trial.receive(.reply(id: done, .destroyed), from: first)
        #expect(trial.core.ledger.acknowledged == 0)
        trial.lose(second)
        #expect(trial.core.ledger.acknowledged == 0)
        trial.receive(.reply(id: open, .destroyed), from: first)
        #expect(trial.core.ledger.acknowledged == 2)
    }

    @Test("A7: a node that stops gets nothing new, and what it has refused goes elsewhere at once")
    func stopping() throws {
        var (trial, first, second) = try RoutingTrial.connectedToBoth()
        let actor = try RoutingTrial.actor(in: 1)
        let (refused, answered) = (trial.request(actor), trial.request(actor))
        trial.receive(.error(id: refused, .stopping), from: second)
        _ = trial.hear(second)
        #expect(trial.hear(first) == [.request(refused, sequence: 1, epoch: nil)])
        let later = trial.request(actor)
        #expect(trial.hear(first) == [.request(later, sequence: 3, epoch: nil)])
        trial.receive(.reply(id: answered, .destroyed), from: second)
        #expect(trial.answers == [.success(.destroyed)])
        #expect(trial.hear(second).isEmpty)
    }

    @Test("A7: a node that has passed a request on to one that stops serves others as before")
    func stoppingBehind() throws {
        var (trial, first, second) = try RoutingTrial.connectedToBoth()
        try trial.tellMap(RoutingTrial.map([1, 3], epoch: 2, version: 11), from: first)
        _ = (trial.hear(first), trial.hear(second))
        let behind = trial.request(try RoutingTrial.actor(in: 1))
        #expect(trial.hear(first) == [.request(behind, sequence: 1, epoch: nil)])
        trial.receive(.error(id: behind, .stopping), from: first)
        let mine = trial.request(try RoutingTrial.actor(in: 0))
        #expect(trial.hear(first) == [.request(mine, sequence: 2, epoch: 2)])
        // By way of another one, in case that it is the first node after all.
        trial.wait(.milliseconds(200))
        #expect(trial.hear(second) == [.request(behind, sequence: 1, epoch: nil)])
    }

    @Test(
        "A63: an unknown outcome, and an actor that nobody serves, are asked for again after a pause",
        arguments: [ActorError.moved, .startingInCluster, ActorError("unavailable", "", group: "node")])
    func later(_ error: ActorError) throws {
        var (trial, first) = try RoutingTrial.started()
        let actor = try RoutingTrial.actor(in: 0)
        let (id, subscription) = (trial.request(actor), trial.subscribe(actor))
        _ = trial.hear(first)
        trial.receive(.error(id: id, error), from: first)
        trial.receive(.error(id: subscription, error), from: first)
        #expect(trial.hear(first).isEmpty)
        trial.wait(.seconds(2))
        let again = trial.hear(first)
        #expect(again.contains { if case .request(id, 1, _) = $0 { true } else { false } })
        #expect(again.contains(.subscribe(subscription)))
        #expect(trial.answers.isEmpty && trial.failures.isEmpty)
    }

    @Test("A14: an actor's own error is the outcome, and ends a subscription")
    func outcomes() throws {
        var (trial, first) = try RoutingTrial.started()
        let actor = try RoutingTrial.actor(in: 0)
        let (id, subscription) = (trial.request(actor), trial.subscribe(actor))
        trial.receive(.error(id: id, ActorError("no", "")), from: first)
        trial.receive(.error(id: subscription, ActorError("no", "")), from: first)
        #expect(trial.answers == [.failure(.actor(ActorError("no", "")))])
        #expect(trial.failures == [.actor(ActorError("no", ""))])
    }

    @Test("A63: deadlines hold wherever a request is: under way, put off, or without a node")
    func deadlines() throws {
        var (trial, first) = try RoutingTrial.started()
        let actor = try RoutingTrial.actor(in: 0)
        let sent = trial.request(actor, within: .seconds(1))
        let putOff = trial.request(actor, within: .seconds(1))
        trial.receive(.error(id: putOff, .moved), from: first)
        _ = trial.hear(first)
        trial.wait(.milliseconds(990))
        #expect(trial.answers.isEmpty)
        trial.wait(.milliseconds(20))
        #expect(trial.answers == [.failure(.timedOut), .failure(.timedOut)])
        #expect(trial.hear(first).contains(.cancel(sent)))
        trial.lose(first)
        _ = trial.request(actor, within: .seconds(1))
        trial.wait(.milliseconds(1_010))
        #expect(trial.answers.count == 3)
        #expect(trial.core.waiting.isEmpty && trial.core.delayed.isEmpty)
    }

    @Test("A60 A63: two nodes that are both behind send nobody back and forth, and the call ends in its time")
    func bothBehind() throws {
        var (trial, first, second) = try RoutingTrial.connectedToBoth()
        try trial.tellMap(RoutingTrial.map([2, 2], epoch: 5, version: 20), from: first)
        _ = (trial.hear(first), trial.hear(second))
        let id = trial.request(try RoutingTrial.actor(in: 0), within: .seconds(5))
        // Each takes the other one for the owner, since an epoch that the client knows to be over.
        var sent = 0
        while trial.answers.isEmpty {
            for (link, other) in [(first, 2), (second, 1)] as [(LinkID, UInt64)] {
                let requests = trial.hear(link).filter {
                    if case .request(id, 1, _) = $0 { true } else { false }
                }
                sent += requests.count
                #expect(requests.count <= 1)
                guard !requests.isEmpty else { continue }
                let entry = RoutingMap.Entry(
                    partition: PartitionID(0), epoch: Epoch(rawValue: 2 + other), revision: 1,
                    owner: NodeID(rawValue: other))
                trial.receive(.error(id: id, .redirect(to: entry, at: "n\(other):1")), from: link)
                #expect(trial.hear(first).isEmpty && trial.hear(second).isEmpty)
            }
            trial.wait(.milliseconds(10))
        }
        #expect(trial.answers == [.failure(.timedOut)])
        #expect(trial.now <= .milliseconds(5_020))
        // With pauses that double up to a second.
        #expect((5...14).contains(sent), "\(sent) times in five seconds")
    }
}
