import Identifiers
import Testing

@testable import MembershipCore

@Suite("Whom the failure detector watches, and when it does not trust itself")
struct MembersTests {
    @Test("D33: a process that stood still accuses nobody of what it did not hear")
    func stall() throws {
        var bench = Bench(3)
        bench.hear(3, .gossip, [Bench.suspect(2, by: 3)])
        _ = try bench.awaitPing(to: 3)
        #expect(!bench.swim.probes.isEmpty)
        bench.now += .seconds(20)
        let effects = bench.handle(.tick)
        #expect(effects.contains(.stalled(.seconds(20))))
        #expect(bench.state(2) == .suspect && bench.state(3) == .alive)
        #expect(bench.swim.probes.isEmpty && bench.swim.localHealth >= 1)
        // There is time to read the objections that wait in the sockets.
        bench.tick(for: .milliseconds(200))
        #expect(bench.state(2) == .suspect && bench.state(3) == .alive)
        bench.hear(2, .gossip, swim: 1)
        #expect(bench.state(2) == .alive)
    }

    @Test("D25 D33: a node that nobody answers says so, and keeps what it thinks of the others to itself")
    func loneliness() throws {
        var bench = Bench(8)
        while !bench.swim.isLonely, bench.now < .seconds(200) { bench.tick(for: .milliseconds(100)) }
        #expect(bench.effects.contains(.loneliness(true)))
        // What it found out before is on its way already.
        let later = (2...8 as ClosedRange<UInt64>).filter { bench.state($0) == .alive }
        // What others say it passes on, and does not confirm.
        let other = try #require(later.first)
        bench.hear(other == 8 ? 7 : 8, .gossip, [Bench.suspect(other, by: 99)])
        let sent = Bench.sent(bench.tick(for: .seconds(120))).filter { $0.body != .pull }
        #expect(later.count > 1 && later.allSatisfy { bench.state($0) == .unreachable })
        for (_, receiver, rumours) in sent {
            for rumour in rumours where rumour.node != receiver && later.contains(rumour.node.rawValue) {
                #expect(rumour == Bench.suspect(other, by: 99))
            }
        }
        // Pings of others are no answers: perhaps they do not hear this node.
        bench.hear(2, .ping(1), swim: 8)
        bench.tick(for: .milliseconds(100))
        #expect(bench.swim.isLonely)
        bench.tick(for: .seconds(20), answering: [2])
        #expect(!bench.swim.isLonely && bench.effects.contains(.loneliness(false)))
    }

    @Test("One silent member makes nobody lonely")
    func company() {
        var bench = Bench(3)
        bench.tick(for: .seconds(60), answering: [3])
        #expect(bench.state(2) == .unreachable && !bench.swim.isLonely)
    }

    @Test("A node that the map does not know is learnt, marked, not probed, and forgotten again")
    func strangers() {
        var settings = SwimSettings()
        settings.strangersMax = 2
        var bench = Bench(3, settings: settings)
        for number in 50...59 as ClosedRange<UInt64> {
            bench.hear(2, .gossip, [Bench.rumour(number, .alive(NodeMeta()))])
        }
        #expect(bench.swim.members.values.count { !$0.isListed } == 2)
        bench.tick(for: .seconds(20), answering: [2, 3])
        #expect(Bench.sent(bench.effects).allSatisfy { $0.to.rawValue < 50 })
        // A stranger's ping is answered: this node's map may be the older one.
        let answer = Bench.sent(bench.hear(50, .ping(3)))
        #expect(answer.map(\.body) == [.ack(3)])
        bench.handle(.members(Bench.listed(1...3) + Bench.listed(50...50)))
        #expect(bench.swim.members[Bench.node(50)]?.isListed == true)
        bench.tick(for: .seconds(300), answering: [2, 3, 50])
        #expect(Set(bench.swim.members.keys.map(\.rawValue)) == [2, 3, 50])
    }

    @Test("Who left the map is forgotten, whatever was said of it")
    func removal() {
        var bench = Bench(5)
        bench.hear(3, .gossip, [Bench.suspect(2, by: 3)])
        bench.handle(.linkChanged(Bench.node(2)))
        bench.handle(.members(Bench.listed(3...5)))
        #expect(bench.swim.members.count == 3)
        #expect(bench.swim.suspicions.isEmpty && bench.swim.queue.isEmpty && bench.swim.probes.isEmpty)
        #expect(!bench.swim.round.contains(Bench.node(2)) && !bench.swim.activeView.contains(Bench.node(2)))
    }

    @Test("A node that the map does not call up is unreachable until its process starts to take part")
    func notUp() {
        var bench = Bench(2)
        let zero = Incarnation(rawValue: 0)
        let (second, third) = (Bench.listed(2...2)[0], Bench.node(3))
        bench.handle(.members([second, .init(third, zero, isUp: false)]))
        #expect(bench.state(3) == .unreachable)
        bench.handle(.members([second, .init(third, Incarnation(rawValue: 1), isUp: true)]))
        #expect(bench.state(3) == .alive)
        // That the control plane calls it down afterwards is not gossip's opinion.
        bench.handle(.members([second, .init(third, Incarnation(rawValue: 1), isUp: false)]))
        #expect(bench.state(3) == .alive)
    }

    @Test("Above 64 nodes rumours go to a few, who stay the same while they are there")
    func activeView() throws {
        #expect(Bench(64).swim.activeView.count == 63)
        var bench = Bench(1_000)
        let view = bench.swim.activeView
        #expect(view.count == 13 && Set(view).count == 13)
        bench.handle(.members(Bench.listed(1...1_001)))
        #expect(bench.swim.activeView == view)
        let lost = try #require(view.first)
        bench.hear(view[1].rawValue, .gossip, [Bench.rumour(lost.rawValue, .left)])
        #expect(bench.swim.activeView.count == 13 && !bench.swim.activeView.contains(lost))
        #expect(Set(view.dropFirst()).isSubset(of: bench.swim.activeView))
        let told = Bench.sent(bench.tick(for: .seconds(1))).filter { $0.body == .gossip }.map(\.to)
        #expect(!told.isEmpty && Set(told).isSubset(of: bench.swim.activeView))
    }

    @Test("Who comes back gets into as many active views as anybody, or no rumours would reach it")
    func returning() {
        var bench = Bench(100)
        var count = 0
        for time in 0..<200 as Range<UInt64> {
            bench.hear(3, .gossip, [Bench.rumour(2, .unreachable(by: Bench.node(3)), swim: time)])
            bench.hear(2, .gossip, swim: time + 1)
            if bench.swim.activeView.contains(Bench.node(2)) { count += 1 }
        }
        // 10 of 99 are expected in the mean.
        #expect(8...40 ~= count)
        #expect(bench.swim.activeView.count == 10)
    }

    @Test("The same seed does the same")
    func determinism() {
        func run(_ seed: UInt64) -> [Swim.Effect] {
            var bench = Bench(20, seed: seed)
            bench.tick(for: .seconds(30))
            return bench.effects
        }
        #expect(run(3) == run(3))
        #expect(run(3) != run(4))
    }
}
