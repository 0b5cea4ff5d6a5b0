import ClientProtocol
import Identifiers
import Testing

@testable import ClientRouting

@Suite("Which nodes a client is connected to") struct RoutingLinkTests {
    @Test("A60: of several nodes one is enough, and one that does not answer does not hold the client up")
    func seeds() throws {
        var trial = RoutingTrial(["a:1", "b:1", "c:1"])
        trial.connect()
        let first = try trial.nextConnection()
        trial.lose(first.link)
        // Refused: another one at once.
        let second = try trial.nextConnection()
        #expect(second.address != first.address)
        // Silent: another one soon.
        trial.wait(.milliseconds(490))
        #expect(trial.connecting.isEmpty)
        trial.wait(.milliseconds(20))
        let third = try trial.nextConnection()
        #expect(Set([first.address, second.address, third.address]).count == 3)
        let id = trial.request(counter("a"))
        trial.welcome(third.link)
        #expect(trial.hear(third.link).contains(.request(id, sequence: 1, epoch: nil)))
        #expect(trial.statuses == [.connecting, .connected])
    }

    @Test("Many clients with the same list do not all begin with its first node")
    func spread() throws {
        let begun = try (1...40).map { number in
            var trial = RoutingTrial(["a:1", "b:1", "c:1"], session: UInt64(number))
            trial.connect()
            return try trial.nextConnection().address
        }
        #expect(Set(begun).count == 3)
    }

    @Test("A63: when all nodes are gone each is tried again after its pause, also those of the map")
    func allGone() throws {
        var (trial, first) = try RoutingTrial.started()
        trial.lose(first)
        let ends = [try trial.nextConnection().address]
        #expect(["n2:1", "n3:1"].contains(ends[0]))
        var tried = Set(ends)
        for _ in 0..<6 {
            trial.wait(.seconds(1))
            while let next = trial.connecting.first {
                tried.insert(next.address)
                trial.connecting.removeFirst()
                trial.lose(next.link)
            }
        }
        #expect(tried == ["n1:1", "n2:1", "n3:1"])
    }

    @Test("A node that runs alone is served by one connection, and takes requests with its welcome")
    func alone() throws {
        var trial = RoutingTrial(["n1:1"])
        trial.connect()
        let (link, _) = try trial.nextConnection()
        let id = trial.request(counter("a"))
        trial.welcome(link)
        #expect(trial.hear(link).contains(.request(id, sequence: 1, epoch: nil)))
        try trial.refuseMap(ActorError("alone", "", group: "cluster"), from: link)
        trial.wait(.seconds(5))
        #expect(trial.hear(link).isEmpty && trial.connecting.isEmpty)
        #expect(trial.core.status == .connected)
    }

    @Test("A node of an older version is not asked for what it does not know")
    func olderNode() throws {
        var trial = RoutingTrial(["n1:1"])
        trial.connect()
        let (link, _) = try trial.nextConnection()
        trial.welcome(link, version: 1)
        let id = trial.request(counter("a"))
        trial.wait(.seconds(5))
        #expect(trial.hear(link) == [.hello, .request(id, sequence: 1, epoch: nil)])
    }

    @Test("Behind a translation of addresses everything goes through the node that can be reached")
    func unreachable() throws {
        var (trial, first) = try RoutingTrial.started()
        let actor = try RoutingTrial.actor(in: 1)
        var attempts = 0
        for number in 1...20 {
            let id = trial.request(actor)
            #expect(trial.hear(first).contains(.request(id, sequence: UInt64(number), epoch: nil)))
            trial.receive(.reply(id: id, .destroyed), from: first)
            while !trial.connecting.isEmpty {
                attempts += 1
                trial.lose(trial.connecting.removeFirst().link)
            }
            trial.wait(.milliseconds(100))
        }
        #expect(trial.answers.count == 20)
        // The pauses grow, so that an address that leads nowhere costs little.
        #expect(2...6 ~= attempts)
    }

    @Test("An address of the map that leads into another cluster gets no request")
    func foreignNode() throws {
        var (trial, first) = try RoutingTrial.started()
        let actor = try RoutingTrial.actor(in: 1)
        _ = trial.request(actor)
        let (second, _) = try trial.nextConnection()
        trial.welcome(second)
        // Even if nobody else is there.
        trial.lose(first)
        let other = RoutingTrial.map([2, 2], told: 2, cluster: ClusterID(high: 9, low: 9))
        try trial.tellMap(other, from: second)
        #expect(trial.closing == [second])
        _ = trial.request(actor)
        #expect(!trial.hear(second).contains { if case .request = $0 { true } else { false } })
    }

    @Test("Addresses that lead to a node that is there already need no second connection")
    func sameNode() throws {
        var (trial, _) = try RoutingTrial.started()
        _ = trial.request(try RoutingTrial.actor(in: 1))
        let (second, _) = try trial.nextConnection()
        trial.welcome(second)
        try trial.tellMap(RoutingTrial.map([], told: 1), from: second)
        #expect(trial.closing == [second])
        #expect(trial.core.links.count == 1)
    }

    @Test("A cluster made anew under the same addresses is taken when nothing of the old one is left")
    func madeAnew() throws {
        var (trial, first) = try RoutingTrial.started()
        trial.lose(first)
        let id = trial.request(try RoutingTrial.actor(in: 0))
        var anew: LinkID?
        for _ in 0..<20 where anew == nil {
            trial.wait(.milliseconds(100))
            while !trial.connecting.isEmpty {
                let next = trial.connecting.removeFirst()
                if next.address == "n1:1" { anew = next.link } else { trial.lose(next.link) }
            }
        }
        let link = try #require(anew)
        trial.welcome(link)
        #expect(!trial.hear(link).contains(.request(id, sequence: 1, epoch: nil)))
        let other = RoutingTrial.map([1, 1], epoch: 5, cluster: ClusterID(high: 9, low: 9))
        try trial.tellMap(other, from: link)
        #expect(trial.hear(link).contains(.request(id, sequence: 1, epoch: 5)))
    }

    @Test("The map is asked for news all the time, at one node, and at another one when that is gone")
    func news() throws {
        var (trial, first, second) = try RoutingTrial.connectedToBoth()
        #expect(trial.core.links[first]?.question != nil && trial.core.links[second]?.question == nil)
        try trial.tellMap(RoutingTrial.map([2], epoch: 2, version: 11), from: first)
        guard case .map(_, after: 11, waits: true)? = trial.hear(first).last else {
            Issue.record("it is not asked again")
            return
        }
        let moved = trial.request(try RoutingTrial.actor(in: 0))
        #expect(trial.hear(second) == [.request(moved, sequence: 1, epoch: 2)])
        trial.lose(first)
        trial.wait(.seconds(2))
        #expect(trial.core.links[second]?.question != nil)
    }

    @Test("What an older map says does not take back what is known")
    func olderMap() throws {
        var (trial, first, second) = try RoutingTrial.connectedToBoth()
        try trial.tellMap(RoutingTrial.map([2], epoch: 2, version: 11), from: first)
        try trial.tellMap(RoutingTrial.map([1], epoch: 1, version: 9), from: first)
        _ = (trial.hear(first), trial.hear(second))
        let id = trial.request(try RoutingTrial.actor(in: 0))
        #expect(trial.hear(second) == [.request(id, sequence: 1, epoch: 2)])
    }

    @Test("A63: a node that says nothing is left while requests wait, if there is another one")
    func silence() throws {
        var (trial, first, second) = try RoutingTrial.connectedToBoth()
        let id = trial.request(try RoutingTrial.actor(in: 1))
        _ = trial.hear(second)
        for _ in 0..<50 {
            trial.wait(.milliseconds(100))
            if trial.hear(first).contains(.ping) { trial.receive(.pong(id: 0), from: first) }
            if trial.core.ledger.pending[id]?.link == first { break }
        }
        #expect(trial.core.ledger.pending[id]?.link == first)
        #expect(trial.closing == [second])
        #expect(trial.now < .seconds(5))
    }

    @Test("Bounds: connections to owners end when they are idle, and are not more than allowed")
    func bounds() throws {
        var settings = RoutingCore.Settings()
        settings.connectionsMax = 2
        var (trial, first, second) = try RoutingTrial.connectedToBoth(settings)
        try trial.tellMap(RoutingTrial.map([3], epoch: 2, version: 11), from: first)
        _ = trial.hear(first)
        let id = trial.request(try RoutingTrial.actor(in: 0))
        #expect(trial.connecting.isEmpty)
        #expect(trial.hear(first) == [.request(id, sequence: 1, epoch: nil)])
        for _ in 0..<70 {
            trial.wait(.seconds(1))
            for link in [first, second] where trial.hear(link).contains(.ping) {
                trial.receive(.pong(id: 0), from: link)
            }
        }
        #expect(trial.closing == [second])
        #expect(trial.core.links.keys.sorted() == [first])
    }

    @Test("The clock is set for whatever is due, and not while nothing is")
    func clock() throws {
        var trial = RoutingTrial(["n1:1"])
        #expect(trial.core.nextTick(after: trial.now) == nil)
        trial.connect()
        let (link, _) = try trial.nextConnection()
        #expect(trial.core.nextTick(after: trial.now) == .seconds(10))
        trial.welcome(link)
        try trial.refuseMap(ActorError("alone", "", group: "cluster"), from: link)
        // Nothing but its silence.
        #expect(trial.core.nextTick(after: trial.now) == .seconds(30))
        let id = trial.request(counter("a"))
        #expect(trial.core.nextTick(after: trial.now) == .milliseconds(100))
        trial.receive(.reply(id: id, .destroyed), from: link)
        trial.lose(link)
        let retry = try #require(trial.core.nextTick(after: trial.now))
        #expect(.milliseconds(125) <= retry && retry <= .milliseconds(250))
        trial.act { core, _, effects in core.close(&effects) }
        #expect(trial.core.nextTick(after: trial.now) == nil)
    }
}
