import Identifiers
import PlacementCore
import Testing
import TimeAndChance

@Suite("Nodes go down, drain and leave")
struct NodeTests {
    private func shared() -> ControlPlane {
        var plane = ControlPlane(nodes: 3)
        for number in 0..<3 { plane.promote(number, to: 1) }
        plane.replicate(0, to: 2)
        plane.replicate(1, to: 2)
        plane.promote(1, to: 2)
        return plane
    }

    @Test("R19: the down own nothing, and stay in sync until an owner lets them go; with R19 off they leave")
    func down() {
        var plane = shared()
        var careless = plane
        let (one, two) = (plane.life(1), plane.life(2))
        #expect(plane.down(1) == .accepted)
        #expect(plane.map[one.node]?.liveness == .down)
        #expect(plane.partition(0).owner == nil && plane.partition(1).owner == two)
        for number in 0..<2 { #expect(plane.partition(number).inSync == [one.replica, two.replica]) }
        #expect(plane.partition(2).inSync == [one.replica] && plane.map.isOffline(plane.partition(2)))
        careless.state.disabled = .ownerShrinks
        careless.down(1)
        #expect(
            careless.partition(0).inSync == [two.replica] && careless.partition(0).learners == [one.replica])
        #expect(careless.partition(3).inSync == [one.replica])
    }

    @Test("R19: one disk is lost and nobody has noticed, and the other copy's node is declared down")
    func unnoticedLoss() {
        var plane = shared()
        // Node 1's disk is gone; the map does not know.
        plane.down(2)
        plane.join(store: 2, last: 1)
        plane.join(node: 1, store: 11)
        #expect(plane.promote(0, to: 2) == .accepted)
        let former = ReplicaID(node: NodeID(rawValue: 1), store: ControlPlane.store(1))
        #expect(plane.change(0, .drop(former)) == .accepted)
        #expect(plane.partition(0).inSync == [plane.life(2).replica])
    }

    @Test("I19: a life that was declared down never comes back; the next one does")
    func fenced() {
        var plane = shared()
        let one = plane.life(1)
        plane.down(1)
        #expect(plane.down(1) == .refused(.notUp))
        #expect(plane.run(.confirm(one)) == .refused(.notUp))
        #expect(plane.promote(2, to: 1) == .refused(.notUp))
        let next = plane.join(store: 1, last: 1)
        #expect(plane.run(.nodeDown(one.node, one.incarnation, .operator)) == .refused(.staleLife(next)))
        #expect(
            plane.run(.nodeDown(NodeID(rawValue: 9), one.incarnation, .silent)) == .refused(.unknownNode))
        #expect(plane.promote(2, to: 1) == .accepted)
    }

    @Test("D14: when all go down together, nobody who has everything is dropped")
    func powerLoss() {
        var plane = shared()
        let members = plane.partition(0).inSync
        // Both are starting again when they are declared down.
        plane.register(store: 1, last: 1)
        plane.register(store: 2, last: 1)
        plane.down(1)
        plane.down(2)
        #expect(plane.partition(0).inSync == members)
        plane.join(store: 2, last: 2)
        #expect(plane.promote(0, to: 2) == .accepted)
    }

    @Test("2.8: draining is an intent, survives a restart, and can be taken back")
    func drain() {
        var plane = shared()
        let two = plane.life(2)
        #expect(plane.run(.drain(two.node, two.incarnation, true)) == .accepted)
        let version = plane.map.version
        #expect(plane.run(.drain(two.node, two.incarnation, true)) == .accepted)
        #expect(plane.map.version == version)
        plane.join(store: 2, last: 1)
        #expect(plane.map[two.node]?.isDraining == true && plane.map[two.node]?.isUp == true)
        #expect(plane.run(.drain(two.node, two.incarnation, false)) == .refused(.staleLife(plane.life(2))))
        #expect(plane.run(.drain(two.node, plane.life(2).incarnation, false)) == .accepted)
        #expect(plane.map[two.node]?.isDraining == false)
    }

    @Test("2.8: a node leaves when it holds nothing and is nobody's target; its number is not given again")
    func leave() {
        var plane = shared()
        let (one, two, three) = (plane.life(1), plane.life(2), plane.life(3))
        #expect(plane.run(.leave(two.node, two.incarnation)) == .refused(.holdsReplicas))
        let wanted = [TargetAssignment(partition: PartitionID(0), nodes: [one.node, three.node])]
        #expect(plane.run(.setTargets(wanted, plane.map.version)) == .accepted)
        #expect(plane.run(.leave(three.node, three.incarnation)) == .refused(.holdsReplicas))
        let others = [TargetAssignment(partition: PartitionID(0), nodes: [one.node])]
        plane.run(.setTargets(others, plane.map.version))
        #expect(plane.run(.leave(three.node, Incarnation(rawValue: 9))) == .refused(.staleLife(three)))
        #expect(plane.run(.changeVoters(.addLearner(three.replica), Revision(rawValue: 0))) == .accepted)
        #expect(plane.run(.leave(three.node, three.incarnation)) == .refused(.isVoter))
        #expect(plane.run(.changeVoters(.remove(three.replica), Revision(rawValue: 1))) == .accepted)
        #expect(plane.run(.leave(three.node, three.incarnation)) == .accepted)
        #expect(plane.map.nodes.count == 2)
        #expect(plane.register(store: 3, last: 1) == .refused(.unknownStore))
        #expect(plane.join(store: 33).node.rawValue == 4)
    }

    @Test("2.4: targets are distinct nodes of the cluster, as many as wanted, for this version of the map")
    func targets() {
        var plane = shared()
        let version = plane.map.version
        func set(_ partition: Int, _ nodes: [UInt64], _ version: MapVersion) -> Outcome {
            plane.run(
                .setTargets(
                    [.init(partition: PartitionID(partition), nodes: nodes.map(NodeID.init))], version))
        }
        #expect(set(0, [1, 9], version) == .refused(.unknownNode))
        #expect(set(0, [1, 1], version) == .refused(.invalid))
        #expect(set(0, [1, 2, 3], version) == .refused(.invalid))
        #expect(set(9, [1, 2], version) == .refused(.unknownPartition))
        #expect(set(0, [1, 2], MapVersion(rawValue: 1)) == .refused(.staleVersion(version)))
        #expect(set(0, [2, 1], version) == .accepted)
        #expect(plane.partition(0).targets.map(\.rawValue) == [2, 1])
        #expect(set(0, [1, 2], version) == .refused(.staleVersion(plane.map.version)))
    }

    @Test("2.1: a voter is a disk; changes are recorded one at a time, and one voter always stays")
    func voters() {
        var plane = ControlPlane(nodes: 3)
        var revision: Revision { plane.map.voters.revision }
        let (one, two) = (plane.life(1).replica, plane.life(2).replica)
        #expect(plane.map.voters.voters == [one])
        #expect(plane.run(.changeVoters(.remove(one), revision)) == .refused(.lastVoter))
        #expect(plane.run(.changeVoters(.promote(two), revision)) == .refused(.notLearner))
        let other = ReplicaID(node: two.node, store: ControlPlane.store(9))
        #expect(plane.run(.changeVoters(.addLearner(other), revision)) == .refused(.staleLife(plane.life(2))))
        #expect(plane.run(.changeVoters(.addLearner(two), revision)) == .accepted)
        #expect(plane.run(.changeVoters(.addLearner(two), revision)) == .refused(.isVoter))
        #expect(
            plane.run(.changeVoters(.promote(two), Revision(rawValue: 0)))
                == .refused(.staleRevision(Revision(rawValue: 1))))
        #expect(plane.run(.changeVoters(.promote(two), revision)) == .accepted)
        #expect(plane.map.voters.voters == [one, two])
        // The disk is replaced: the record stays until consensus removed the old voter.
        plane.join(node: 2, store: 22)
        #expect(plane.map.voters.voters == [one, two])
        #expect(
            plane.run(.changeVoters(.addLearner(plane.life(2).replica), revision)) == .refused(.isVoter))
        #expect(plane.run(.changeVoters(.remove(two), revision)) == .accepted)
        #expect(plane.run(.changeVoters(.remove(two), revision)) == .refused(.notVoter))
        #expect(plane.run(.changeVoters(.addLearner(plane.life(2).replica), revision)) == .accepted)
    }

    @Test("Settings change as long as they make sense")
    func settings() {
        var plane = ControlPlane(nodes: 1)
        let first = Revision(rawValue: 0)
        for settings in [
            ClusterSettings(replicationFactor: 0), ClusterSettings(replicationFactor: 6),
            ClusterSettings(inSyncMin: 0), ClusterSettings(inSyncMin: 3), ClusterSettings(voterTarget: 2),
            ClusterSettings(voterTarget: 7),
        ] {
            #expect(plane.run(.changeSettings(settings, first)) == .refused(.invalid))
        }
        let three = ClusterSettings(replicationFactor: 3, inSyncMin: 2, voterTarget: 5)
        #expect(plane.run(.changeSettings(three, first)) == .accepted)
        #expect(plane.map.settings == three)
        #expect(
            plane.run(.changeSettings(ClusterSettings(), first))
                == .refused(.staleRevision(Revision(rawValue: 1))))
    }

    @Test("What operators want to know is remembered, up to a bound")
    func audit() {
        var plane = ControlPlane(nodes: 1)
        for last in 1...300 { plane.join(store: 1, last: UInt32(last)) }
        #expect(plane.state.audit.count == AuditEntry.tailMax)
        #expect(plane.state.audit.last?.event == .registered(plane.life(1)))
        #expect(plane.state.audit.last?.index == plane.index - 1)
    }

    @Test("An entry that was applied before does nothing again")
    func replayed() {
        var plane = ControlPlane(nodes: 2)
        let before = plane.state
        let entry = ClusterEntry(
            time: .distantFuture, commands: [.register(ControlPlane.registration(store: 5))])
        for index in [0, 1, plane.index] {
            let applied = plane.state.apply(entry, at: index)
            #expect(applied.outcomes == [.refused(.staleVersion(before.map!.version))])
            #expect(applied.update == nil && plane.state == before)
        }
    }
}
