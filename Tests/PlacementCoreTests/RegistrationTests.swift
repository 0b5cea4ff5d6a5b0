import Identifiers
import PlacementCore
import Testing

@Suite("Nodes register")
struct RegistrationTests {
    @Test("2.1: numbers are issued once, and a life counts only once it is confirmed")
    func lives() {
        var plane = ControlPlane()
        #expect(plane.register(store: 1) == .refused(.notInitialized))
        let first = plane.life(of: plane.run(ControlPlane.initialization()))
        #expect(first.node.rawValue == 1 && first.incarnation.rawValue == 1)
        #expect(plane.map[first.node]?.liveness == .joining)
        #expect(plane.promote(0, to: 1) == .refused(.notUp))
        #expect(plane.run(.confirm(first)) == .accepted)
        #expect(plane.run(.confirm(first)) == .accepted)
        #expect(plane.map[first.node]?.isUp == true)

        let second = plane.join(store: 2)
        #expect(second.node.rawValue == 2)
        let again = plane.join(store: 2, last: 1)
        #expect(again.node == second.node && again.incarnation.rawValue == 2)
        #expect(plane.run(.confirm(second)) == .refused(.staleLife(again)))
        #expect(plane.join(node: 2, store: 2, last: 2).incarnation.rawValue == 3)
    }

    @Test("D29: a cluster is made once, and another cluster's nodes stay out")
    func oneCluster() {
        var plane = ControlPlane(nodes: 1)
        #expect(plane.run(ControlPlane.initialization()) == .refused(.alreadyInitialized))
        var registration = ControlPlane.registration(store: 9)
        registration.cluster = ClusterID(high: 9, low: 9)
        #expect(plane.run(.register(registration)) == .refused(.otherCluster(ControlPlane.cluster)))
    }

    @Test("D28, R16: whoever cannot read the cluster's formats stays out; constants never change")
    func oneMap() {
        var plane = ControlPlane(nodes: 1)
        var registration = ControlPlane.registration(store: 9)
        registration.formats = FormatVersions(journal: 1, map: 0)
        #expect(plane.run(.register(registration)) == .refused(.oldProgram))
        registration.formats = FormatVersions(journal: 2, map: 1)
        #expect(plane.life(of: plane.run(.register(registration))).node.rawValue == 2)
    }

    @Test("D19, R15: a disk that went back in time is refused, and without the rule it is not")
    func rolledBack() {
        var plane = ControlPlane(nodes: 1)
        plane.join(store: 2)
        plane.join(store: 2, last: 1)
        plane.join(store: 2, last: 2)
        let held = Incarnation(rawValue: 3)
        for last in 0...2 {
            #expect(plane.register(store: 2, last: UInt32(last)) == .refused(.rolledBack(held: held)))
            #expect(
                plane.register(node: 2, store: 2, last: UInt32(last)) == .refused(.rolledBack(held: held)))
        }
        #expect(plane.register(store: 2, last: 4) == .refused(.unknownStore))
        var careless = plane
        careless.state.disabled = .noGoingBack
        #expect(careless.join(store: 2, last: 1).incarnation.rawValue == 4)
        #expect(plane.join(store: 2, last: 3).incarnation.rawValue == 4)
    }

    @Test("R15: an answer that was lost, or never reached the disk, is no going back")
    func lostAnswer() {
        var plane = ControlPlane(nodes: 1)
        #expect(plane.life(of: plane.register(store: 2)).incarnation.rawValue == 1)
        #expect(plane.life(of: plane.register(store: 2)).incarnation.rawValue == 2)
        #expect(plane.life(of: plane.register(store: 2, last: 1)).incarnation.rawValue == 3)
        // The disk has shown that it held 1.
        #expect(
            plane.register(store: 2) == .refused(.rolledBack(held: Incarnation(rawValue: 1))))
        #expect(plane.map.nodes.count == 2)
    }

    @Test("D30: of two processes with one disk the later one lives; a copied disk has one node")
    func copiedDisk() {
        var plane = ControlPlane(nodes: 2)
        let one = plane.life(of: plane.register(store: 2, last: 1))
        let two = plane.life(of: plane.register(store: 2, last: 1))
        #expect(plane.run(.confirm(one)) == .refused(.staleLife(two)))
        #expect(plane.run(.confirm(two)) == .accepted)
        #expect(
            plane.register(node: 1, store: 2, last: 3)
                == .refused(.storeOfAnotherNode(NodeID(rawValue: 2))))
    }

    @Test("2.3.3: a disk that claims a past without being known, and a node that never was, are refused")
    func unknown() {
        var plane = ControlPlane(nodes: 1)
        #expect(plane.register(store: 7, last: 1) == .refused(.unknownStore))
        #expect(plane.register(node: 7, store: 7) == .refused(.unknownNode))
        #expect(plane.register(store: 7, weight: -1) == .refused(.invalid))
        #expect(plane.register(store: 7, zone: String(repeating: "z", count: 256)) == .refused(.invalid))
    }

    @Test("R5: a restart ends what the node owned and keeps what it has in sync")
    func restart() {
        var plane = ControlPlane(nodes: 2)
        plane.promote(0, to: 1)
        plane.replicate(0, to: 2)
        let before = plane.partition(0)
        let life = plane.life(of: plane.register(store: 1, last: 1))
        #expect(plane.partition(0).owner == nil && plane.partition(0).inSync == before.inSync)
        #expect(plane.partition(0).epoch == before.epoch && plane.partition(0).revision > before.revision)
        #expect(plane.partition(1).revision.rawValue == 0)
        // The old life's request comes late.
        #expect(
            plane.run(
                .changeInSync(
                    PartitionID(0), before.epoch, before.revision, .drop(plane.life(2).replica)))
                == .refused(.staleRevision(plane.partition(0).revision)))
        #expect(plane.promote(0, to: 1) == .refused(.notUp))
        plane.run(.confirm(life))
        #expect(plane.promote(0, to: 1) == .accepted)
        #expect(plane.partition(0).epoch.rawValue == before.epoch.rawValue + 1)
    }

    /// Partition 0 on nodes 1 and 2, owned by 2; partition 1 on node 2 alone; 2 on 1, with 2 as a learner.
    private static func withDisks(_ disabled: DisabledRules = []) -> ControlPlane {
        var plane = ControlPlane(nodes: 2)
        plane.state.disabled = disabled
        for number in 0..<3 { plane.promote(number, to: 1) }
        for number in 0..<2 {
            plane.replicate(number, to: 2)
            plane.promote(number, to: 2)
        }
        plane.change(1, .drop(plane.life(1).replica))
        plane.addLearner(2, 2)
        return plane
    }

    @Test("D10, D11, R11, R12, R19: another disk is in sync nowhere, owns nothing, learns nothing")
    func replacedDisk() {
        var plane = Self.withDisks()
        let old = plane.life(2)
        let life = plane.join(node: 2, store: 22)
        #expect(life.node == old.node && life.incarnation.rawValue == 2)
        // The old disk stays where it was: it may be whole, and node 1's may not.
        #expect(plane.partition(0).inSync == [plane.life(1).replica, old.replica])
        #expect(plane.partition(0).owner == nil && plane.promote(0, to: 2) == .refused(.notInSync))
        #expect(plane.partition(2).learners.isEmpty)
        // The only member: the partition waits for the old disk.
        #expect(plane.partition(1).inSync == [old.replica] && plane.partition(1).owner == nil)
        #expect(plane.map.isOffline(plane.partition(1)))
        #expect(plane.promote(1, to: 2) == .refused(.notInSync))
        #expect(plane.promote(1, to: 1) == .refused(.notInSync))
        #expect(plane.addLearner(1, 2) == .refused(.alreadyReplica))

        // It comes back, and the new one has had its time.
        let returned = plane.join(node: 2, store: 2, last: 1)
        #expect(returned.incarnation.rawValue == 3)
        #expect(plane.promote(1, to: 2) == .accepted)
        #expect(plane.map[old.node]?.formerDisks == [])
        #expect(plane.register(node: 2, store: 22, last: 2) == .refused(.unknownStore))
    }

    @Test("R15: a former disk is checked like any other")
    func formerDisk() {
        var plane = Self.withDisks()
        plane.join(node: 2, store: 2, last: 1)
        plane.join(node: 2, store: 22)
        #expect(plane.map[NodeID(rawValue: 2)]?.formerDisks.map(\.persisted.rawValue) == [2])
        #expect(
            plane.register(node: 2, store: 2, last: 1)
                == .refused(.rolledBack(held: Incarnation(rawValue: 2))))
        #expect(
            plane.register(node: 1, store: 2, last: 2)
                == .refused(.storeOfAnotherNode(NodeID(rawValue: 2))))
        #expect(plane.join(node: 2, store: 2, last: 2).incarnation.rawValue == 4)
    }

    @Test("R11 off: an empty disk inherits the grant, and the invariants say so")
    func inheritedGrant() {
        var plane = Self.withDisks(.grantsNameAStore)
        plane.join(node: 2, store: 22)
        #expect(plane.partition(0).owner == plane.life(2))
        #expect(plane.map.firstBreach() == "partition 0: the owner is not in sync (I4)")
    }

    @Test("R12 off: an empty disk counts as in sync and can be promoted")
    func inheritedMembership() {
        var plane = Self.withDisks(.membersAreStores)
        plane.join(node: 2, store: 22)
        #expect(plane.partition(0).inSync.contains(plane.life(2).replica))
        #expect(plane.promote(0, to: 2) == .accepted)
        var sound = Self.withDisks()
        sound.join(node: 2, store: 22)
        #expect(sound.promote(0, to: 2) == .refused(.notInSync))
    }

    @Test("2.3.2: there is a last number for nodes in a cluster")
    func full() {
        var plane = ControlPlane(nodes: 1, partitions: 1)
        let newcomers = (2...ClusterMap.nodesMax).map {
            Command.register(ControlPlane.registration(store: $0))
        }
        plane.run(newcomers)
        #expect(plane.map.nodes.count == ClusterMap.nodesMax)
        #expect(plane.register(store: 5000) == .refused(.full))
    }
}
