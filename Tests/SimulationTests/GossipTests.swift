import MembershipCore
import Simulator
import Testing

@Suite("Failure detectors of whole clusters in virtual time") struct GossipTests {
    /// Bounds in virtual seconds: the round in which it is its turn, the failed probe, the time to object.
    @Test("Whoever falls silent is unreachable for all in bounded time", arguments: [(3, 8.0), (40, 17.0)])
    func detection(nodes: Int, limit: Double) {
        for isKilled in [true, false] {
            let report = GossipTrial(nodes: nodes, .crashes(count: 2, isKilled: isKilled), seed: 3).run()
            #expect(report.first.count == 2 && report.all.count == 2)
            #expect(report.all.allSatisfy { $0 < limit }, "\(report.all)")
            // Nobody is called unreachable before the time to object is over.
            #expect(report.first.allSatisfy { $0 >= 4 }, "\(report.first)")
            #expect(report.falsePositives == 0 && report.suspicions == 0 && report.damaged == 0)
        }
    }

    /// D33: suspicions are refuted, and a node that mistrusts itself accuses nobody.
    @Test(
        "No sound node is called unreachable, whatever the network loses and whoever stands still",
        arguments: [
            (3, GossipTrial.Condition.loss(percent: 20)), (3, .pauses(nodes: 1)), (3, .slow(nodes: 1)),
            (24, .loss(percent: 20)), (24, .pauses(nodes: 3)), (24, .slow(nodes: 2)),
        ])
    func falsePositives(nodes: Int, condition: GossipTrial.Condition) {
        let report = GossipTrial(nodes: nodes, condition, seconds: nodes == 3 ? 90 : 40, seed: 5).run()
        #expect(report.falsePositives == 0)
        switch condition {
        // Nothing is shown by a network that loses nothing, and by pauses that nobody notices.
        case .loss: #expect(report.suspicions > 0)
        case .pauses: #expect(report.stillCalledUnreachable > 0)
        default: break
        }
    }

    @Test(
        "D25: a node that is cut off in one direction is noticed, knows it, and convinces nobody of anything",
        arguments: [3, 24], [GossipTrial.Condition.mute, .deaf])
    func oneWay(nodes: Int, condition: GossipTrial.Condition) {
        let report = GossipTrial(nodes: nodes, condition, seconds: 20, seed: 7).run()
        #expect(report.all.count == 1)
        #expect(report.falsePositives == 0)
        #expect(report.isCutOffLonely && report.othersLonely == 0)
        #expect(report.isHealed)
    }

    @Test("A node that has nothing to say sends little", arguments: [3, 24])
    func idleCost(nodes: Int) {
        let report = GossipTrial(nodes: nodes, .loss(percent: 0), seconds: 20, seed: 1).run()
        #expect(report.messagesPerSecond > 1.9 && report.messagesPerSecond < 3)
        // The design allows 3 kB.
        #expect(report.bytesPerSecond < 200)
    }

    @Test func theSameSeedDoesTheSame() {
        func run(_ seed: UInt64) -> GossipReport {
            GossipTrial(nodes: 8, .loss(percent: 20), seconds: 20, seed: seed).run()
        }
        #expect(run(1) == run(1))
        #expect(run(1) != run(2))
    }
}
