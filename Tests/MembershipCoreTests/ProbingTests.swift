import Identifiers
import Testing

@testable import MembershipCore

@Suite("Probes of the failure detector")
struct ProbingTests {
    @Test("A ping is answered at once, by its number")
    func answers() {
        var bench = Bench(3)
        let sent = Bench.sent(bench.hear(2, .ping(77)))
        #expect(sent.map(\.body) == [.ack(77)])
        #expect(sent.map(\.to) == [Bench.node(2)])
    }

    @Test("Every member is probed once in each round, so none is forgotten")
    func rounds() {
        var bench = Bench(9)
        bench.tick(for: .seconds(16), answering: Set(2...9))
        let pinged = Bench.sent(bench.effects).compactMap { sent in
            if case .ping = sent.body { sent.to } else { nil }
        }
        #expect(pinged.count >= 16)
        #expect(Set(pinged.prefix(8)).count == 8)
        #expect(Set(pinged[8..<16]).count == 8)
    }

    @Test("A silent member: others are asked, then it is suspected, then unreachable, and nothing beyond")
    func silence() throws {
        var bench = Bench(3)
        let number = try bench.awaitPing(to: 2)
        let asked = Bench.sent(bench.tick(for: .milliseconds(300)))
        let request = SwimMessage.Body.pingRequest(number, target: Bench.node(2))
        #expect(asked.contains { $0.body == request && $0.to == Bench.node(3) })
        #expect(bench.state(2) == .alive)
        bench.hear(3, .nack(number))
        let doubted = try bench.awaitState(.suspect, of: 2, limit: .seconds(1))
        #expect(doubted == .milliseconds(700))
        // Four periods, for want of others who could confirm it.
        let suspected = bench.now
        while bench.state(2) == .suspect, bench.now - suspected < .seconds(60) {
            bench.tick(for: .milliseconds(100), answering: [3])
        }
        #expect(bench.now - suspected == .seconds(4))
        #expect(bench.state(2) == .unreachable)
        bench.tick(for: .seconds(60), answering: [3])
        #expect(bench.state(2) == .unreachable && bench.state(3) == .alive)
        #expect(bench.swim.members[Bench.node(2)]?.accusers == [Bench.me])
    }

    @Test("What a helper hears of the target counts, and what a stranger to the probe says does not")
    func indirect() throws {
        var bench = Bench(3)
        let number = try bench.awaitPing(to: 2)
        bench.hear(3, .ack(number))
        bench.tick(for: .milliseconds(300))
        #expect(!bench.swim.probes.isEmpty)
        bench.hear(3, .ack(number))
        #expect(bench.swim.probes.isEmpty)
        bench.tick(for: .seconds(1), answering: [2, 3])
        #expect(bench.state(2) == .alive)
    }

    @Test("Lifeguard: helpers that say nothing make a node mistrust itself, and nacks do not")
    func localHealth() throws {
        for (nacks, expected) in [(0, 3), (1, 2), (3, 0)] {
            var bench = Bench(8)
            let number = try bench.awaitPing(to: 2)
            let asked = Bench.sent(bench.tick(for: .milliseconds(400))).compactMap { sent in
                if case .pingRequest(number, _) = sent.body { sent.to } else { nil }
            }
            #expect(asked.count == 3)
            for helper in asked.prefix(nacks) { bench.hear(helper.rawValue, .nack(number)) }
            bench.tick(for: .milliseconds(600))
            #expect(bench.swim.localHealth == expected, "\(nacks) nacks")
        }
    }

    @Test("Local health stretches a node's own deadlines, falls with each answer, and has bounds")
    func stretching() throws {
        var bench = Bench(2)
        bench.swim.localHealth = 2
        let number = try bench.awaitPing(to: 2)
        let probe = try #require(bench.swim.probes[number])
        #expect(probe.directDeadline == bench.now + .milliseconds(900))
        #expect(probe.deadline == bench.now + .seconds(3))
        bench.hear(2, .ack(number))
        #expect(bench.swim.localHealth == 1)
        for _ in 0..<20 { bench.swim.changeLocalHealth(by: 3) }
        #expect(bench.swim.localHealth == 8)
        for _ in 0..<20 { bench.swim.changeLocalHealth(by: -1) }
        #expect(bench.swim.localHealth == 0)
    }

    @Test("A helper pings for others, and tells an answer, or in time that there was none")
    func helping() throws {
        var bench = Bench(4)
        bench.tick(for: .milliseconds(100))
        let pings = Bench.sent(bench.hear(2, .pingRequest(50, target: Bench.node(3))))
        guard case .ping(let own) = pings.first?.body else {
            Issue.record("\(pings)")
            return
        }
        #expect(pings.first?.to == Bench.node(3))
        let acks = Bench.sent(bench.hear(3, .ack(own), swim: 4))
        #expect(acks.map(\.body) == [.ack(50)] && acks.map(\.to) == [Bench.node(2)])
        // What the target says of itself goes along.
        #expect(acks.first?.rumours.first?.standing == Standing(.alive, Incarnation(rawValue: 1), 4))

        bench.hear(2, .pingRequest(51, target: Bench.node(3)))
        let nacks = Bench.sent(bench.tick(for: .milliseconds(300))).filter { $0.body == .nack(51) }
        #expect(nacks.map(\.to) == [Bench.node(2)])
        // Nobody pings whom it does not know.
        let refused = Bench.sent(bench.hear(2, .pingRequest(52, target: Bench.node(99))))
        #expect(refused.map(\.body) == [.nack(52)])
    }

    @Test("Pings for others are bounded")
    func relaysAreBounded() {
        var settings = SwimSettings()
        settings.relaysMax = 2
        var bench = Bench(4, settings: settings)
        for number in 1...3 as ClosedRange<UInt64> {
            bench.hear(2, .pingRequest(number, target: Bench.node(3)))
        }
        #expect(bench.swim.relays.count == 2)
        #expect(Bench.sent(bench.effects).last?.body == .nack(3))
    }

    @Test("A changed connection is looked at without waiting for the member's turn")
    func links() {
        var bench = Bench(9)
        let first = Bench.sent(bench.handle(.linkChanged(Bench.node(5))))
        #expect(first.map(\.to) == [Bench.node(5)])
        // The same question again, for the first may have been lost with the connection.
        let second = Bench.sent(bench.handle(.linkChanged(Bench.node(5))))
        #expect(first.map(\.body) == second.map(\.body))
        #expect(bench.swim.probes.count == 1)
        for number in 2...9 as ClosedRange<UInt64> { bench.handle(.linkChanged(Bench.node(number))) }
        #expect(bench.swim.probes.count == 8)
        let unknown = bench.handle(.linkChanged(Bench.node(99)))
        #expect(unknown.isEmpty)
    }

    @Test("Whoever is unreachable is looked at again, or both sides of a healed cut would wait for ever")
    func lookingAgain() {
        var bench = Bench(3)
        bench.hear(3, .gossip, [Bench.rumour(2, .unreachable(by: Bench.node(3)))])
        #expect(bench.state(2) == .unreachable)
        let sent = Bench.sent(bench.tick(for: .seconds(3))).filter { $0.to == Bench.node(2) }
        #expect(sent.count >= 2)
        // It is told what is thought of it, and comes back by its objection only.
        #expect(sent.allSatisfy { $0.rumours.first?.standing.state == .unreachable })
        guard case .ping(let number) = sent.last?.body else {
            Issue.record("\(sent)")
            return
        }
        bench.hear(2, .ack(number))
        #expect(bench.state(2) == .unreachable)
        bench.hear(2, .ack(number), swim: 1)
        #expect(bench.state(2) == .alive)
    }

    @Test("A probe of an earlier process does not accuse the next one")
    func earlierProcess() throws {
        var bench = Bench(2)
        _ = try bench.awaitPing(to: 2)
        bench.handle(.members([.init(Bench.node(2), Incarnation(rawValue: 2), isUp: true)]))
        bench.tick(for: .milliseconds(1_000))
        #expect(bench.state(2) == .alive)
    }
}
