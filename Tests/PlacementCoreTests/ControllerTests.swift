import Identifiers
import Testing

@testable import PlacementCore

@Suite("The controller")
struct ControllerTests {
    /// A control plane with a controller on node 1, which leads unless a test says otherwise, and a consensus
    /// group that does what it is told.
    private struct Cluster {
        var plane: ControlPlane
        var controller: Controller
        var group: Controller.Group
        var decisions: [Controller.Decision] = []
        /// Whether owners that are asked to hand over do so.
        var ownersObey = true
        var asked: [Handover] = []

        init(nodes: Int, partitions: Int = 4, settings: ClusterSettings = ClusterSettings()) {
            plane = ControlPlane(nodes: nodes, partitions: partitions, settings: settings)
            var times = Controller.Settings()
            (times.patienceTicks, times.planTicks, times.awaitTicks, times.stableTicks) = (5, 2, 20, 10)
            times.handoverTicks = 8
            controller = Controller(me: plane.life(1).replica, settings: times)
            group = Controller.Group(voters: [plane.life(1).replica], learners: [])
        }

        /// Decides, and does what was decided unless it gets lost.
        @discardableResult
        mutating func tick(_ count: Int = 1, isLost: Bool = false) -> [Controller.Decision] {
            decisions = []
            for _ in 0..<count {
                let new = controller.tick(plane.map, group: group, isLeader: true)
                decisions += new
                guard !isLost else { continue }
                for decision in new { perform(decision) }
                catchUp()
            }
            return decisions
        }

        private mutating func perform(_ decision: Controller.Decision) {
            switch decision {
            case .propose(let commands):
                for (command, outcome) in zip(commands, plane.run(commands)) {
                    if case .refused(let refusal) = outcome { Issue.record("\(refusal): \(command)") }
                }
            case .ask(let owner, let handovers):
                #expect(handovers.allSatisfy { plane.map[$0.partition]?.owner?.node == owner })
                asked += handovers
                guard ownersObey else { break }
                for handover in handovers { #expect(plane.run([handover.command]) == [.accepted]) }
            case .changeVoters(.addLearner(let member)): group.learners.insertSorted(member)
            case .changeVoters(.promote(let member)):
                group.learners.removeAll { $0 == member }
                group.voters.insertSorted(member)
            case .changeVoters(.remove(let member)):
                #expect(member != controller.me, "a leader cannot be removed")
                group.learners.removeAll { $0 == member }
                group.voters.removeAll { $0 == member }
            case .spare(let nodes): Issue.record("nobody is suspected, and \(nodes) are spared")
            case .handOver(let voter):
                #expect(group.voters.contains(voter))
                controller = Controller(me: voter, settings: controller.settings)
            }
        }

        /// What owners do.
        private mutating func catchUp() {
            for (number, partition) in plane.map.partitions.enumerated() where partition.owner != nil {
                let leaving = plane.map.leaving(partition)
                if let member = partition.inSync.first(where: leaving.contains) {
                    plane.change(number, .drop(member))
                } else if let learner = partition.learners.first(where: {
                    plane.map.isLive($0) && !leaving.contains($0)
                }) {
                    plane.change(number, .add(plane.map[learner.node]!.life))
                }
            }
        }

        var grants: Int {
            decisions.reduce(0) { count, decision in
                guard case .propose(let commands) = decision else { return count }
                return count + commands.count { if case .promote = $0 { true } else { false } }
            }
        }

        var voters: [UInt64] { group.voters.map(\.node.rawValue) }
        func owners() -> [UInt64?] { plane.map.partitions.map { $0.owner?.node.rawValue } }
        var isRecorded: Bool {
            plane.map.voters.voters == group.voters && plane.map.voters.learners == group.learners
        }
    }

    @Test("2.3.4: all partitions of a dead node are granted in one entry, spread over those who have them")
    func grants() {
        var cluster = Cluster(nodes: 3, settings: ClusterSettings(replicationFactor: 3))
        cluster.tick(100)
        #expect(cluster.plane.map.partitions.allSatisfy { $0.inSync.count == 3 && $0.owner != nil })
        cluster.plane.down(1)
        let orphans = cluster.owners().count { $0 == nil }
        #expect(orphans > 0)
        guard case .propose(let commands)? = cluster.tick().first else {
            Issue.record("nothing is proposed")
            return
        }
        #expect(commands.count == orphans)
        #expect(cluster.owners().allSatisfy { $0 != nil && $0 != 1 })
        #expect(Set(cluster.owners()).count == 2)
    }

    @Test("2.8: an owner that lives is asked to hand over; one that does not do it in time is relieved")
    func handovers() throws {
        for obey in [true, false] {
            var cluster = Cluster(nodes: 3)
            cluster.tick(100)
            cluster.asked = []
            cluster.ownersObey = obey
            let before = cluster.plane.map
            let owned = before.partitions.count { $0.owner?.node == NodeID(rawValue: 2) }
            #expect(owned > 0)
            let second = cluster.plane.life(2)
            let drained = cluster.plane.run([.drain(second.node, second.incarnation, true)])
            #expect(drained == [.accepted])
            var granted = 0
            // Less than an owner has, besides the ticks until the plans.
            for _ in 0..<8 {
                cluster.tick()
                granted += cluster.grants
            }
            #expect(granted == 0)
            #expect(Set(cluster.asked.map(\.partition)).count == owned)
            for handover in cluster.asked {
                let entry = try #require(before[handover.partition])
                #expect(entry.owner?.node == NodeID(rawValue: 2))
                #expect(handover.epoch == entry.epoch)
                #expect(handover.successor.node != NodeID(rawValue: 2))
            }
            let left = cluster.plane.map.partitions.count { $0.owner?.node == second.node }
            #expect((left == 0) == obey)
            // Nobody is asked twice.
            let count = cluster.asked.count
            for _ in 0..<12 {
                cluster.tick()
                granted += cluster.grants
            }
            #expect(cluster.asked.count == count)
            #expect(granted == (obey ? 0 : owned))
            #expect(cluster.plane.map.partitions.allSatisfy { $0.owner?.node != NodeID(rawValue: 2) })
        }
    }

    @Test("Nothing is proposed twice while it may still be under way, and again when it seems lost")
    func patience() {
        var cluster = Cluster(nodes: 1, partitions: 2)
        #expect(cluster.controller.tick(cluster.plane.map, group: cluster.group, isLeader: false).isEmpty)
        cluster.tick(isLost: true)
        #expect(cluster.grants == 2)
        cluster.tick(4, isLost: true)
        #expect(cluster.grants == 0)
        cluster.tick(isLost: true)
        #expect(cluster.grants == 2)
        // One is decided after all; the other is still waited for.
        cluster.plane.promote(0, to: 1)
        cluster.plane.join(store: 1, last: 1)
        cluster.tick(isLost: true)
        #expect(cluster.grants == 1)
    }

    @Test("R4: nobody outside of the in-sync set is granted anything, however long it takes")
    func offline() {
        var cluster = Cluster(nodes: 3)
        cluster.tick(50)
        for node in 1...3 { cluster.plane.down(UInt64(node)) }
        cluster.tick(50)
        #expect(cluster.grants == 0)
        cluster.plane.join(store: 2, last: 1)
        cluster.tick()
        for (number, owner) in cluster.owners().enumerated() {
            let isHeld = cluster.plane.partition(number).inSync.holds(NodeID(rawValue: 2))
            #expect(owner == (isHeld ? 2 : nil))
        }
    }

    @Test("2.4: the plan is followed to its end, but not while a partition waits for an owner")
    func plans() {
        var cluster = Cluster(nodes: 3, partitions: 8)
        let first = cluster.tick(2, isLost: true)
        #expect(first.count == 2, "the grants, and a learner of the group: \(first)")
        cluster.tick(200)
        #expect(cluster.plane.map.partitions.allSatisfy { $0.inSync.count == 2 && $0.learners.isEmpty })
        #expect(Set(cluster.owners()).count == 3)
        #expect(cluster.tick(100).isEmpty)
    }

    @Test("D32: who was away gets ownership back after a while, twice as long the next time")
    func flapping() {
        var cluster = Cluster(nodes: 2, partitions: 8)
        cluster.tick(100)
        #expect(cluster.owners().contains(2))
        var waits: [Int] = []
        for life in 1...3 {
            cluster.plane.down(2)
            cluster.tick(3)
            #expect(cluster.owners().allSatisfy { $0 == 1 })
            cluster.plane.join(store: 2, last: UInt32(life))
            var ticks = 0
            while !cluster.owners().contains(2), ticks < 1_000 {
                cluster.tick()
                ticks += 1
            }
            waits.append(ticks)
            cluster.tick(5)
        }
        #expect(waits[0] >= 10 && waits[1] >= 20 && waits[2] >= 40 && waits[2] < 60, "\(waits)")
    }

    @Test("2.6.7: a node that is away is waited for before its copies are made elsewhere")
    func awaited() {
        var cluster = Cluster(nodes: 3, partitions: 8)
        cluster.tick(100)
        cluster.plane.down(3)
        cluster.tick(19)
        #expect(cluster.plane.map.partitions.contains { $0.targets.contains(NodeID(rawValue: 3)) })
        cluster.tick(30)
        #expect(!cluster.plane.map.partitions.contains { $0.targets.contains(NodeID(rawValue: 3)) })
        #expect(cluster.plane.map.partitions.allSatisfy { $0.inSync.count == 2 })
    }

    @Test(
        "2.1: one voter before there are three nodes, then as many as wanted, and the record in step",
        arguments: [(1, 1), (2, 1), (3, 3), (4, 3), (9, 3), (10, 5), (12, 5)])
    func voters(nodes: Int, wanted: Int) {
        var cluster = Cluster(nodes: nodes)
        cluster.tick(60)
        #expect(cluster.group.voters.count == wanted && cluster.group.learners.isEmpty)
        #expect(cluster.isRecorded)
    }

    @Test("R12: a voter whose disk was replaced leaves, and the new disk learns before it votes")
    func lostVoter() {
        var cluster = Cluster(nodes: 3)
        cluster.tick(60)
        cluster.plane.join(node: 2, store: 22)
        var steps: [Controller.Decision] = []
        for _ in 0..<40 {
            steps += cluster.tick().filter { if case .changeVoters = $0 { true } else { false } }
        }
        let former = ReplicaID(node: NodeID(rawValue: 2), store: ControlPlane.store(2))
        let fresh = cluster.plane.life(2).replica
        #expect(
            steps == [.remove(former), .addLearner(fresh), .promote(fresh)].map { .changeVoters($0) })
        #expect(cluster.voters == [1, 2, 3] && cluster.isRecorded)
    }

    @Test("A change of voters waits for the one before it, and is asked for again when it seems lost")
    func oneChange() {
        var cluster = Cluster(nodes: 3, partitions: 1)
        cluster.plane.promote(0, to: 1)
        func changes(_ ticks: Int) -> Int {
            cluster.tick(ticks, isLost: true).count { if case .changeVoters = $0 { true } else { false } }
        }
        #expect(changes(1) == 1)
        #expect(changes(4) == 0)
        #expect(changes(1) == 1)
    }

    @Test("A voter that stays away gives way to a node that is there, which comes first")
    func absentVoter() {
        var cluster = Cluster(nodes: 4)
        cluster.tick(60)
        #expect(cluster.voters == [1, 2, 3])
        cluster.plane.down(2)
        cluster.tick(15)
        #expect(cluster.voters == [1, 2, 3])
        var sizes: Set<Int> = []
        for _ in 0..<60 {
            cluster.tick()
            sizes.insert(cluster.group.voters.count)
        }
        #expect(cluster.voters == [1, 3, 4] && sizes == [3, 4] && cluster.isRecorded)
    }

    @Test("Of three nodes, one that is away keeps its vote: without a substitute its removal helps nobody")
    func nobodyElse() {
        var cluster = Cluster(nodes: 3)
        cluster.tick(60)
        cluster.plane.down(3)
        cluster.tick(200)
        #expect(cluster.voters == [1, 2, 3])
    }

    @Test("2.8: a node that drains loses its vote, also when it leads")
    func draining() {
        var cluster = Cluster(nodes: 4)
        cluster.tick(60)
        let one = cluster.plane.life(1)
        cluster.plane.run(.drain(one.node, one.incarnation, true))
        cluster.tick(200)
        #expect(cluster.voters == [2, 3, 4] && cluster.isRecorded && cluster.controller.me.node != one.node)
        cluster.plane.run(.drain(one.node, one.incarnation, false))
        cluster.tick(100)
        #expect(cluster.voters == [2, 3, 4])
    }

    @Test("Fewer voters when fewer are wanted")
    func fewer() {
        var cluster = Cluster(nodes: 5, settings: ClusterSettings(voterTarget: 5))
        cluster.tick(60)
        #expect(cluster.group.voters.count == 5)
        cluster.plane.run(.changeSettings(ClusterSettings(voterTarget: 3), Revision(rawValue: 0)))
        cluster.tick(60)
        #expect(cluster.group.voters.count == 3 && cluster.isRecorded)
    }

    @Test("Zones: voters are spread")
    func zones() {
        var cluster = Cluster(nodes: 1)
        for (number, zone) in ["", "", "a", "b"].enumerated() {
            cluster.plane.join(store: number + 2, zone: zone)
        }
        cluster.tick(60)
        #expect(cluster.voters == [1, 4, 5])
    }

    @Test("Zones: voters that came before the zones did move apart, one at a time, and then stay")
    func lateZones() {
        var cluster = Cluster(nodes: 1)
        for (number, zone) in ["", "a"].enumerated() { cluster.plane.join(store: number + 2, zone: zone) }
        cluster.tick(60)
        #expect(cluster.voters == [1, 2, 3])
        for (number, zone) in ["a", "b", "b"].enumerated() {
            cluster.plane.join(store: number + 4, zone: zone)
        }
        var steps: [Controller.Decision] = []
        for _ in 0..<200 {
            steps += cluster.tick().filter { if case .changeVoters = $0 { true } else { false } }
        }
        let (two, five) = (cluster.plane.life(2).replica, cluster.plane.life(5).replica)
        #expect(steps == [.addLearner(five), .promote(five), .remove(two)].map { .changeVoters($0) })
        #expect(cluster.voters == [1, 3, 5] && cluster.isRecorded)
        // Not as long as one of them is away, which comes back or is replaced.
        cluster.plane.down(5)
        cluster.tick(15)
        #expect(cluster.voters == [1, 3, 5])
    }
}
