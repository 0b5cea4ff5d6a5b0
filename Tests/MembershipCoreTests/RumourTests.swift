import Identifiers
import Testing

@testable import MembershipCore

@Suite("What the failure detector believes, and passes on")
struct RumourTests {
    private static let first = Incarnation(rawValue: 1)
    private static let second = Incarnation(rawValue: 2)

    @Test("Statements have one order, so those who heard the same agree")
    func order() {
        let ascending: [Standing] = [
            Standing(.alive, Self.first, 0), Standing(.suspect, Self.first, 0),
            Standing(.unreachable, Self.first, 0), Standing(.alive, Self.first, 1),
            Standing(.suspect, Self.first, 1), Standing(.unreachable, Self.first, 1),
            Standing(.left, Self.first, 0), Standing(.left, Self.first, 1), Standing(.alive, Self.second, 0),
            Standing(.suspect, Self.second, 0),
        ]
        for (place, earlier) in ascending.enumerated() {
            for later in ascending[(place + 1)...] { #expect(earlier < later && !(later < earlier)) }
            #expect(!(earlier < earlier))
        }
    }

    @Test("In whatever order statements come, the same one holds in the end")
    func convergence() {
        let said = [
            Bench.rumour(2, .alive(NodeMeta())), Bench.suspect(2, by: 3),
            Bench.rumour(2, .unreachable(by: Bench.node(3))), Bench.rumour(2, .alive(NodeMeta()), swim: 1),
            Bench.suspect(2, by: 4, swim: 1), Bench.rumour(2, .alive(NodeMeta()), swim: 2),
        ]
        for rotation in 0..<said.count {
            for isReversed in [false, true] {
                var bench = Bench(5)
                var rumours = Array(said[rotation...] + said[..<rotation])
                if isReversed { rumours.reverse() }
                for rumour in rumours { bench.hear(5, .gossip, [rumour]) }
                #expect(bench.swim.members[Bench.node(2)]?.standing == Standing(.alive, Self.first, 2))
                #expect(bench.swim.suspicions.isEmpty)
            }
        }
    }

    @Test("The time to object shrinks with independent confirmations")
    func suspicion() throws {
        // By the formulas of the design: 4 x max(1, log10 N) periods, and up to six times that.
        let table: [(size: UInt64, confirmations: Int, seconds: Double)] = [
            (3, 0, 4), (3, 1, 4), (10, 0, 24), (10, 1, 11.38), (10, 2, 4), (10, 3, 4), (100, 0, 48),
            (100, 2, 8), (1_000, 0, 72), (1_000, 1, 34.14), (1_000, 2, 12),
        ]
        for row in table {
            var suspicion = Suspicion(
                start: .seconds(5), clusterSize: Int(row.size), settings: SwimSettings())
            for _ in 0..<row.confirmations { suspicion.confirm() }
            let seconds = (suspicion.deadline - .seconds(5)) / .seconds(1)
            #expect(abs(seconds - row.seconds) < 0.01, "\(row)")
        }
    }

    @Test("Nobody believes a suspicion of others without having asked the suspect")
    func askingBeforeBelieving() {
        var bench = Bench(10)
        bench.swim.nextProbe = bench.now + .seconds(60)
        bench.hear(3, .gossip, [Bench.suspect(2, by: 3)])
        let sent = Bench.sent(bench.tick(for: .seconds(23))).filter { sent in
            if case .ping = sent.body { sent.to == Bench.node(2) } else { false }
        }
        #expect(sent.count == 1)
        #expect(sent.first?.rumours.first?.standing.state == .suspect)
        bench.tick(for: .seconds(2))
        #expect(bench.state(2) == .unreachable)
        // Nor if confirmations come so late that the time would be over at once.
        bench = Bench(10)
        bench.swim.nextProbe = bench.now + .seconds(60)
        bench.hear(3, .gossip, [Bench.suspect(2, by: 3)])
        bench.tick(for: .seconds(15))
        for accuser in 4...5 as ClosedRange<UInt64> {
            bench.hear(accuser, .gossip, [Bench.suspect(2, by: accuser)])
        }
        let asked = Bench.sent(bench.tick(for: .milliseconds(100)))
        #expect(asked.contains { $0.to == Bench.node(2) } && bench.state(2) == .suspect)
        bench.tick(for: .milliseconds(900))
        #expect(bench.state(2) == .suspect)
        bench.hear(2, .gossip, swim: 1)
        bench.tick(for: .seconds(5))
        #expect(bench.state(2) == .alive)
    }

    @Test("One accuser counts once, however often it accuses, and its word is passed on once")
    func independence() {
        var bench = Bench(10)
        bench.hear(3, .gossip, [Bench.suspect(2, by: 3)])
        for _ in 0..<3 { bench.hear(4, .gossip, [Bench.suspect(2, by: 3)]) }
        #expect(bench.swim.suspicions[Bench.node(2)]?.confirmations == 0)
        for _ in 0..<3 { bench.hear(4, .gossip, [Bench.suspect(2, by: 5)]) }
        #expect(bench.swim.suspicions[Bench.node(2)]?.confirmations == 1)
        bench.hear(4, .gossip, [Bench.suspect(2, by: 6)])
        #expect(bench.swim.members[Bench.node(2)]?.accusers == [3, 5, 6].map { Bench.node($0) })
        bench.tick(for: .seconds(4), answering: Set(3...10))
        #expect(bench.state(2) == .unreachable)
    }

    @Test("A suspect that objects is alive; one that only repeats itself is not")
    func refutation() {
        var bench = Bench(3)
        bench.hear(3, .gossip, [Bench.suspect(2, by: 3)])
        bench.hear(3, .gossip, [Bench.rumour(2, .alive(NodeMeta()))])
        bench.hear(2, .ping(1))
        #expect(bench.state(2) == .suspect)
        bench.hear(3, .gossip, [Bench.rumour(2, .alive(NodeMeta()), swim: 1)])
        #expect(bench.state(2) == .alive)
        // The old accusation comes too late.
        bench.hear(3, .gossip, [Bench.rumour(2, .unreachable(by: Bench.node(3)))])
        #expect(bench.state(2) == .alive)
    }

    @Test("A process that is accused objects, tells it first to who doubts, and mistrusts itself a little")
    func objection() {
        for accusation in [Bench.suspect(1, by: 3), Bench.rumour(1, .unreachable(by: Bench.node(3)))] {
            var bench = Bench(3)
            let effects = bench.hear(2, .ping(9), [accusation])
            #expect(effects.contains(.accused(by: Bench.node(3))))
            #expect(bench.swim.presence.swimIncarnation == 1)
            #expect(bench.swim.localHealth == 1)
            guard case .send(let answer, _) = effects.last else {
                Issue.record("\(effects)")
                return
            }
            #expect(answer.sender.swimIncarnation == 1)
            // What it has objected to already needs no other objection.
            bench.hear(2, .ping(10), [accusation])
            #expect(bench.swim.presence.swimIncarnation == 1)
            // The others hear of it, too.
            let rumours = Bench.sent(bench.tick(for: .milliseconds(400))).flatMap(\.rumours)
            #expect(rumours.contains { $0.standing == Standing(.alive, Self.first, 1) })
        }
    }

    @Test("Whoever is doubted is told with the next message, of whatever kind")
    func buddies() {
        var bench = Bench(10)
        bench.hear(3, .gossip, [Bench.suspect(2, by: 3)])
        for _ in 0..<40 { bench.hear(3, .ping(1)) }
        let sent = Bench.sent(bench.hear(2, .ping(5)))
        #expect(sent.first?.rumours.first == Bench.suspect(2, by: 3))
    }

    @Test("A new process is alive whatever was said of the earlier one, whose words count no more")
    func nextProcess() {
        var bench = Bench(3)
        bench.hear(3, .gossip, [Bench.rumour(2, .left)])
        bench.hear(2, .ping(1), swim: 5)
        #expect(bench.state(2) == .left)
        bench.hear(2, .ping(1), incarnation: 2)
        #expect(bench.swim.members[Bench.node(2)]?.standing == Standing(.alive, Self.second, 0))
        let late = bench.hear(2, .ping(1), swim: 9)
        #expect(late.isEmpty)
        // The map tells the same.
        bench.hear(3, .gossip, [Bench.rumour(2, .unreachable(by: Bench.node(3)), incarnation: 2)])
        #expect(bench.state(2) == .unreachable)
        bench.handle(
            .members([
                .init(Bench.node(2), Incarnation(rawValue: 3), isUp: true),
                .init(Bench.node(3), Incarnation(rawValue: 1), isUp: true),
            ]))
        #expect(bench.state(2) == .alive)
        // Gossip about a later process of this node changes nothing here: that is for the control plane.
        let effects = bench.hear(2, .gossip, [Bench.rumour(1, .left, incarnation: 4)], incarnation: 3)
        #expect(effects.contains(.succeeded(by: Incarnation(rawValue: 4))))
        #expect(bench.swim.presence.incarnation == Self.first)
    }

    @Test("A process that ends in order says so, and says nothing more")
    func leaving() {
        var bench = Bench(5)
        let sent = Bench.sent(bench.handle(.leave))
        #expect(Set(sent.map(\.to)).count == 4)
        #expect(sent.allSatisfy { $0.rumours == [Bench.rumour(1, .left)] })
        let after = bench.tick(for: .seconds(5)) + bench.hear(2, .ping(1))
        #expect(after.isEmpty)
    }

    @Test("A rumour is sent a bounded number of times, those sent least first, and a message holds so many")
    func dissemination() {
        var settings = SwimSettings()
        settings.rumoursPerMessage = 2
        var bench = Bench(12, settings: settings)
        for number in 3...7 as ClosedRange<UInt64> {
            bench.hear(2, .gossip, [Bench.rumour(number, .left)])
        }
        var counts: [NodeID: Int] = [:]
        for _ in 0..<60 {
            let rumours = Bench.sent(bench.hear(2, .ping(1))).flatMap(\.rumours)
            #expect(rumours.count <= 2)
            for rumour in rumours { counts[rumour.node, default: 0] += 1 }
            let spread = (3...7).map { counts[Bench.node($0)] ?? 0 }
            #expect((spread.max() ?? 0) - (spread.min() ?? 0) <= 1)
        }
        // 4 x ceil(log10 13), at 12 nodes.
        #expect(counts == Dictionary(uniqueKeysWithValues: (3...7).map { (Bench.node($0), 8) }))
        #expect(bench.swim.queue.isEmpty)
    }

    @Test("Rumours go to three nodes every 200 ms while there are some, and not without")
    func fanOut() {
        var bench = Bench(12)
        bench.swim.nextProbe = bench.now + .seconds(60)
        bench.swim.nextPushPull = bench.now + .seconds(60)
        let without = bench.tick(for: .seconds(1))
        #expect(without.isEmpty)
        bench.hear(2, .gossip, [Bench.rumour(3, .left)])
        let sent = Bench.sent(bench.tick(for: .milliseconds(400)))
        #expect(sent.count == 6 && sent.allSatisfy { $0.body == .gossip && $0.to != Bench.node(3) })
        #expect(sent.allSatisfy { $0.rumours == [Bench.rumour(3, .left)] })
    }

    @Test("Changes of health are news for all; what changes all the time rides along with own messages")
    func facts() {
        var bench = Bench(5)
        bench.handle(.facts(mapVersion: 9, health: 0, backlog: 3))
        #expect(bench.swim.queue.isEmpty && bench.swim.presence.meta.mapVersion == 9)
        bench.handle(.facts(mapVersion: 9, health: 7, backlog: 3))
        #expect(bench.swim.queue.count == 1 && bench.swim.presence.meta.revision == 2)
        bench.handle(.facts(mapVersion: 9, health: 200, backlog: 3))
        #expect(bench.swim.presence.meta.health == NodeMeta.healthMax)
        // At a receiver: the newer one is kept, and only news are passed on.
        var meta = NodeMeta(mapVersion: 4, health: 6)
        meta.revision = 8
        bench = Bench(5)
        bench.hear(2, .gossip, [Bench.rumour(3, .alive(meta))])
        #expect(bench.swim.members[Bench.node(3)]?.meta == meta && bench.swim.queue.count == 1)
        var older = NodeMeta(health: 1)
        older.revision = 7
        bench.hear(2, .gossip, [Bench.rumour(3, .alive(older))])
        #expect(bench.swim.members[Bench.node(3)]?.meta == meta)
    }

    @Test("A full exchange answers with everything, and what it says against somebody is a suspicion first")
    func exchange() {
        var bench = Bench(5)
        bench.hear(4, .gossip, [Bench.rumour(5, .left)])
        let sent = Bench.sent(bench.hear(2, .pull, [Bench.rumour(3, .unreachable(by: Bench.node(2)))]))
        #expect(sent.map(\.body) == [.push] && sent.map(\.to) == [Bench.node(2)])
        #expect(sent.first?.rumours.map(\.node.rawValue) == [2, 3, 4, 5])
        #expect(sent.first?.rumours.map(\.standing.state) == [.alive, .suspect, .alive, .left])
        #expect(bench.state(3) == .suspect)
    }

    @Test("A new process asks for everything until it has it, and then seldom")
    func synchronizing() {
        var bench = Bench(5)
        func pulls(_ effects: [Swim.Effect]) -> Int { Bench.sent(effects).count { $0.body == .pull } }
        let first = bench.tick(for: .seconds(5))
        #expect(pulls(first) >= 4)
        bench.hear(2, .push)
        bench.tick(for: .seconds(2), answering: Set(2...5))
        bench.swim.localHealth = 0
        let count = bench.effects.count
        bench.tick(for: .seconds(60), answering: Set(2...5))
        #expect(1...3 ~= pulls(Array(bench.effects[count...])))
    }
}
