import Identifiers
import PlacementCore
import Testing

@Suite("2.3.4: who is declared down")
struct FailureTests {
    private var plane: ControlPlane
    private var controller: Controller
    private let voters: Int

    init() { self.init(nodes: 3) }

    private init(nodes: Int, voters: Int = 3) {
        plane = ControlPlane(nodes: nodes)
        self.voters = voters
        controller = Controller(me: plane.life(1).replica)
    }

    private func evidence(
        _ node: UInt64, reporters: [UInt64], silent: [UInt64], lives: Int = 0
    ) -> [NodeID: Evidence] {
        let life = plane.life(node)
        let incarnation = Incarnation(rawValue: life.incarnation.rawValue - UInt32(lives))
        return [
            life.node: Evidence(
                incarnation: incarnation, reporters: reporters.map(NodeID.init), silentTicks: silent)
        ]
    }

    /// - Returns: who is declared down and why, and who is spared.
    private mutating func decide(
        _ evidence: [NodeID: Evidence], ticks: Int = 1
    ) -> (down: [UInt64: DownEvidence], spared: [UInt64]) {
        var (down, spared) = ([UInt64: DownEvidence](), [UInt64]())
        let group = Controller.Group(
            voters: (1...UInt64(voters)).map { plane.life($0).replica }, learners: [])
        for _ in 0..<ticks {
            for decision in controller.tick(plane.map, group: group, isLeader: true, evidence: evidence) {
                if case .spare(let nodes) = decision { spared += nodes.map(\.rawValue) }
                guard case .propose(let commands) = decision else { continue }
                for case .nodeDown(let node, _, let evidence) in commands { down[node.rawValue] = evidence }
                plane.run(commands)
            }
        }
        return (down, spared)
    }

    @Test("Fast: silent for two seconds at most voters, and out of reach for two, the leader one of them")
    mutating func fast() {
        #expect(decide(evidence(3, reporters: [1, 2], silent: [40, 39])).down.isEmpty)
        #expect(decide(evidence(3, reporters: [1], silent: [40, 40])).down.isEmpty)
        #expect(decide(evidence(3, reporters: [2, 4], silent: [40, 40])).down.isEmpty)
        #expect(decide(evidence(3, reporters: [], silent: [119, 119, 119])).down.isEmpty)
        #expect(decide(evidence(3, reporters: [1, 2], silent: [40, 40])).down == [3: .unreachable])
    }

    @Test("Slow: silent for six seconds at most voters, whoever reaches it")
    mutating func slow() {
        #expect(decide(evidence(2, reporters: [], silent: [500, 119])).down.isEmpty)
        #expect(decide(evidence(2, reporters: [], silent: [120, 120])).down == [2: .silent])
    }

    @Test("Of two nodes, the leader's word is enough")
    func pair() {
        var pair = FailureTests(nodes: 2, voters: 1)
        #expect(pair.decide(pair.evidence(2, reporters: [], silent: [40])).down.isEmpty)
        #expect(pair.decide(pair.evidence(2, reporters: [1], silent: [40])).down == [2: .unreachable])
    }

    @Test("D7: what is said of an earlier life counts for nothing")
    mutating func staleLife() {
        #expect(decide(evidence(2, reporters: [1, 3], silent: [400, 400], lives: 1)).down.isEmpty)
    }

    @Test("What was proposed is not proposed again at once, and is when nothing came of it")
    mutating func patience() {
        let evidence = evidence(3, reporters: [1, 2], silent: [40, 40])
        let before = plane.map
        #expect(decide(evidence).down.count == 1)
        // The proposal was lost.
        let group = Controller.Group(voters: [plane.life(1).replica], learners: [])
        var proposals = 0
        for _ in 0..<Int(controller.settings.patienceTicks) {
            for decision in controller.tick(before, group: group, isLeader: true, evidence: evidence) {
                guard case .propose(let commands) = decision else { continue }
                proposals += commands.count { if case .nodeDown = $0 { true } else { false } }
            }
        }
        #expect(proposals == 1)
    }

    @Test("D33: one fifth of the nodes at the most in half a minute; the others are named, and come later")
    func breaker() {
        var cluster = FailureTests(nodes: 10)
        let all = (4...10 as ClosedRange<UInt64>).map {
            cluster.evidence($0, reporters: [1, 2], silent: [60, 60, 60])
        }
        let evidence = all.reduce(into: [:]) { $0.merge($1) { $1 } }
        var (down, spared) = cluster.decide(evidence)
        #expect(down.count == 2)
        #expect(spared.count == 5)
        // The same again says nothing new.
        (down, spared) = cluster.decide(evidence, ticks: 500)
        #expect(down.isEmpty && spared.isEmpty)
        (down, spared) = cluster.decide(evidence, ticks: 200)
        #expect(down.count == 2)
    }

    @Test("Who came back does not count: of three nodes, one after the other may die")
    mutating func comesBack() {
        #expect(decide(evidence(3, reporters: [1, 2], silent: [40, 40])).down == [3: .unreachable])
        #expect(decide(evidence(2, reporters: [1], silent: [120, 120])).spared == [2])
        plane.join(node: 3, store: 3, last: plane.life(3).incarnation.rawValue)
        #expect(decide([:], ticks: 50).down.isEmpty)
        #expect(decide(evidence(2, reporters: [1, 3], silent: [40, 40])).down == [2: .unreachable])
    }

    @Test("Without settings for it, only an operator declares nodes down")
    mutating func byHand() {
        var settings = Controller.Settings()
        settings.failures = nil
        controller = Controller(me: plane.life(1).replica, settings: settings)
        #expect(decide(evidence(3, reporters: [1, 2], silent: [900, 900])).down.isEmpty)
    }
}
