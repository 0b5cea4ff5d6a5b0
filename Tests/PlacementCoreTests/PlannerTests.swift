import Identifiers
import Testing
import TimeAndChance

@testable import PlacementCore

@Suite("The planner")
struct PlannerTests {
    @Test("2.4: random clusters settle, balanced within the bounds, with zones kept apart", arguments: 0..<20)
    func randomClusters(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let zones = Int.random(in: 1...4, using: &random)
        let nodes = (0..<Int.random(in: 1...12, using: &random)).map { _ in
            ("z\(Int.random(in: 0..<zones, using: &random))", Int.random(in: 1...3, using: &random))
        }
        var fleet = Fleet(
            nodes, partitions: [16, 64].randomElement(using: &random)!,
            replicationFactor: Int.random(in: 1...3, using: &random), seed: random.next())
        fleet.settle()
        #expect(fleet.complaints() == [])
        #expect(fleet.zoneViolations() == 0)
        #expect(fleet.planner.plan(fleet.map).isEmpty)
    }

    @Test("2.4: when a node dies, no more is copied than it held", arguments: [3, 4, 7, 10])
    func death(nodes: Int) {
        for replicationFactor in 2...min(3, nodes - 1) {
            var fleet = Fleet(nodes: nodes, partitions: 128, replicationFactor: replicationFactor)
            let victim = fleet.map.nodes[nodes / 2].id
            let held = fleet.load(victim)
            fleet.down(victim)
            let work = fleet.settle()
            #expect(work.copies <= held, "\(nodes) nodes, \(replicationFactor) copies")
            #expect(fleet.complaints() == [])
        }
    }

    @Test(
        "2.4: a node that joins draws about its fair share, and nobody else moves",
        arguments: [1, 2, 3, 5, 9])
    func join(nodes: Int) {
        for replicationFactor in 1...2 {
            var fleet = Fleet(nodes: nodes, partitions: 128, replicationFactor: replicationFactor)
            let before = fleet.map.partitions.map(\.inSync)
            let joined = fleet.join()
            let work = fleet.settle()
            let copies = min(replicationFactor, nodes + 1)
            let share = 128 * copies / (nodes + 1)
            #expect(work.copies <= share + 1, "\(nodes) nodes, \(replicationFactor) copies")
            #expect(fleet.load(joined) >= share - 1)
            for (old, new) in zip(before, fleet.map.partitions.map(\.inSync)) {
                #expect(new.allSatisfy { old.contains($0) || $0.node == joined })
            }
            #expect(fleet.complaints() == [])
        }
    }

    @Test("2.6.7: copies that were begun on nodes that went away leave room for the next one")
    func abandonedCopies() throws {
        var fleet = Fleet(nodes: 12, partitions: 1)
        let (id, before) = (PartitionID(0), fleet.map.partitions[0])
        let follower = try #require(before.inSync.first { $0.node != before.owner?.node })
        fleet.down(follower.node)
        for node in fleet.map.nodes where !before.holds(node.id) {
            guard !fleet.map.partitions[0].isFull else { break }
            fleet.run([.addLearner(id, fleet.map.partitions[0].revision, node.replica)])
            fleet.down(node.id)
        }
        #expect(fleet.map.isAtRisk(fleet.map.partitions[0]) && fleet.map.partitions[0].isFull)
        fleet.settle()
        #expect(!fleet.map.isAtRisk(fleet.map.partitions[0]))
        #expect(fleet.complaints() == [])
    }

    @Test("2.8: a drained node ends empty, may leave, and the rest is balanced")
    func drain() {
        var fleet = Fleet(nodes: 5, partitions: 64)
        let drained = fleet.map.nodes[0].id
        let held = fleet.load(drained)
        fleet.drain(drained)
        let work = fleet.settle()
        #expect(fleet.load(drained) == 0 && fleet.owned(drained) == 0)
        #expect(work.copies == held && work.removals == held)
        #expect(fleet.complaints() == [])
        let voters = fleet.map.voters
        fleet.run([.changeVoters(.addLearner(fleet.map.nodes[1].replica), voters.revision)])
        fleet.run([.changeVoters(.promote(fleet.map.nodes[1].replica), fleet.map.voters.revision)])
        fleet.run([.changeVoters(.remove(fleet.map.nodes[0].replica), fleet.map.voters.revision)])
        fleet.run([.leave(drained, fleet.map.nodes[0].incarnation)])
        #expect(fleet.map.nodes.count == 4 && fleet.planner.plan(fleet.map).isEmpty)
    }

    @Test("2.8: draining takes the ownership, but not the copies, where nobody else can have them")
    func drainOfTwo() {
        var fleet = Fleet(nodes: 2, partitions: 16)
        fleet.drain(fleet.map.nodes[1].id)
        let work = fleet.settle()
        #expect(fleet.owned(fleet.map.nodes[1].id) == 0 && fleet.owned(fleet.map.nodes[0].id) == 16)
        #expect(fleet.load(fleet.map.nodes[1].id) == 16 && work.copies == 0 && work.removals == 0)
    }

    @Test("2.3.4: a node that is expected back costs nothing; one that is given up is replaced")
    func awaited() {
        var fleet = Fleet(nodes: 4, partitions: 32)
        let node = fleet.map.nodes[2]
        let held = fleet.load(node.id)
        fleet.down(node.id)
        fleet.hints.awaited = [node.id]
        #expect(fleet.settle().copies == 0)
        // It returns with its data: its learners catch up, and it owns what it owned.
        fleet.hints.awaited = []
        fleet.hints.withoutOwnership = [node.id]
        var returned = fleet
        let registration = Registration(
            cluster: ControlPlane.cluster, node: node.id, store: node.store,
            lastIncarnation: node.incarnation, profile: node.profile, formats: ControlPlane.formats)
        returned.run([.register(registration)])
        returned.run([.confirm(returned.map[node.id]!.life)])
        let return1 = returned.settle()
        #expect(return1.copies == 0 && returned.load(node.id) == held && returned.owned(node.id) == 0)
        returned.hints.withoutOwnership = []
        #expect(returned.settle().copies == 0)
        #expect(returned.complaints() == [])
        #expect(fleet.settle().copies == held)
    }

    @Test("2.8: a partition without its copies is repaired and not moved, and one without any is left alone")
    func atRisk() {
        var fleet = Fleet(nodes: 3, partitions: 16)
        let (one, two) = (fleet.map.nodes[0].id, fleet.map.nodes[1].id)
        fleet.down(one)
        fleet.down(two)
        let targets = fleet.map.partitions.map(\.targets)
        let offline = fleet.map.partitions.indices.filter { fleet.map.isOffline(fleet.map.partitions[$0]) }
        fleet.settle()
        for number in offline {
            #expect(fleet.map.partitions[number].targets == targets[number])
            #expect(fleet.map.partitions[number].owner == nil)
        }
        #expect(!offline.isEmpty && offline.count < 16)
        // Nobody's data is deleted while there is one copy only.
        #expect(fleet.map.partitions.allSatisfy { $0.inSync.count + $0.learners.count >= 2 })
    }

    @Test("2.4: when another zone appears, copies move until no zone has both")
    func newZone() {
        var fleet = Fleet(
            Array(repeating: ("a", 1), count: 3), partitions: 32, replicationFactor: 2, seed: 4)
        fleet.settle()
        #expect(fleet.complaints() == [])
        for _ in 0..<3 { fleet.join(zone: "b") }
        let work = fleet.settle()
        #expect(fleet.zoneViolations() == 0 && fleet.complaints() == [])
        #expect(work.copies == 32)
    }

    @Test("2.4: above twenty nodes, a node shares partitions with few others, as far as balance allows")
    func scatter() {
        func settled(widthMax: Int) -> Fleet {
            var fleet = Fleet(Array(repeating: ("", 1), count: 24), partitions: 512)
            fleet.planner.limits.scatterWidthMax = widthMax
            fleet.planner.limits.promotionsMax = 512
            fleet.planner.limits.copiesPerNodeMax = 64
            fleet.planner.limits.copiesMax = 512
            fleet.settle()
            #expect(fleet.complaints() == [])
            return fleet
        }
        #expect(settled(widthMax: .max).scatterWidths().allSatisfy { $0 > 13 })
        var fleet = settled(widthMax: 10)
        func isNarrow() -> Bool {
            let widths = fleet.scatterWidths()
            return widths.reduce(0, +) <= 11 * widths.count && widths.allSatisfy { $0 <= 12 }
        }
        #expect(isNarrow(), "\(fleet.scatterWidths())")
        let victim = fleet.map.nodes[7].id
        let held = fleet.load(victim)
        fleet.down(victim)
        #expect(fleet.settle().copies <= held)
        fleet.join()
        fleet.settle()
        #expect(isNarrow(), "\(fleet.scatterWidths())")
        #expect(fleet.complaints() == [])
    }

    @Test("2.4: more or fewer copies are wanted")
    func replicationFactor() {
        var fleet = Fleet(nodes: 5, partitions: 32, replicationFactor: 3)
        func change(to factor: Int) {
            let settings = ClusterSettings(replicationFactor: factor)
            fleet.run([.changeSettings(settings, fleet.map.settingsRevision)])
        }
        change(to: 2)
        let fewer = fleet.settle()
        #expect(fewer.removals == 32 + fewer.copies && fleet.complaints() == [])
        change(to: 3)
        #expect(fleet.settle().copies <= 34)
        #expect(fleet.complaints() == [])
    }

    @Test("2.3.4: what a sick node owns goes to others, its copies stay")
    func withoutOwnership() {
        var fleet = Fleet(nodes: 4, partitions: 32)
        let sick = fleet.map.nodes[1].id
        fleet.hints.withoutOwnership = [sick]
        let work = fleet.settle()
        #expect(fleet.owned(sick) == 0 && work.copies == 0 && fleet.complaints() == [])
    }

    @Test("A plan for every map, even if nothing can be done")
    func total() {
        var plane = ControlPlane()
        plane.run(ControlPlane.initialization(partitions: 1))
        #expect(Planner().plan(plane.map).moves.isEmpty)
        let life = plane.life(1)
        plane.run(.confirm(life))
        plane.run(.drain(life.node, life.incarnation, true))
        #expect(Planner().plan(plane.map).isEmpty)
        plane.down(1)
        #expect(Planner().plan(plane.map).isEmpty)
    }

    @Test("Fair shares: by weight, no node twice in a partition, zones apart, the rest divided again")
    func shares() {
        func shares(_ weights: [Double], _ zones: [Int], _ copies: Int) -> [Double] {
            FairShares(weights: weights, zones: zones, partitions: 12, replicationFactor: copies).copies
        }
        let table: [(weights: [Double], zones: [Int], copies: Int, shares: [Double])] = [
            ([1, 1, 1], [0, 0, 0], 2, [8, 8, 8]),
            ([1, 2, 3], [0, 0, 0], 1, [2, 4, 6]),
            // Half of the weight, but one copy of a partition at most.
            ([4, 1, 1, 2], [0, 0, 0, 0], 2, [12, 3, 3, 6]),
            // Two zones of different size hold one copy each.
            ([1, 1, 1, 1], [0, 1, 1, 1], 2, [12, 4, 4, 4]),
            // Three copies in two zones: two in one of them.
            ([1, 1, 1, 1], [0, 0, 1, 1], 3, [9, 9, 9, 9]),
            ([1, 0, 1], [0, 0, 0], 3, [12, 0, 12]),
            ([], [], 2, []),
            ([0], [0], 2, [0]),
        ]
        for (weights, zones, copies, expected) in table {
            #expect(shares(weights, zones, copies) == expected)
        }
    }
}
