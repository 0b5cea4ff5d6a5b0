import Identifiers
import PlacementCore
import Testing

@Suite("The in-sync set changes by consensus only")
struct InSyncTests {
    /// Partition 0 owned by node 1, with node 2 as a learner.
    private func withLearner() -> ControlPlane {
        var plane = ControlPlane(nodes: 3)
        plane.promote(0, to: 1)
        plane.addLearner(0, 2)
        return plane
    }

    @Test("R2: the owner adds a learner and drops a member, which stays a learner")
    func addAndDrop() {
        var plane = withLearner()
        #expect(plane.change(0, .add(plane.life(2))) == .accepted)
        #expect(plane.partition(0).inSync == [plane.life(1).replica, plane.life(2).replica])
        #expect(plane.partition(0).learners.isEmpty && !plane.map.isAtRisk(plane.partition(0)))
        #expect(plane.change(0, .drop(plane.life(2).replica)) == .accepted)
        #expect(plane.partition(0).inSync == [plane.life(1).replica])
        #expect(plane.partition(0).learners == [plane.life(2).replica])
        #expect(plane.map.isAtRisk(plane.partition(0)))
    }

    @Test("2.3.3: a change names epoch, revision, owner and member as they are, or nothing happens")
    func refusals() {
        var plane = withLearner()
        let (one, two, three) = (plane.life(1), plane.life(2), plane.life(3))
        let partition = plane.partition(0)
        let (epoch, revision) = (partition.epoch, partition.revision)
        let table: [(Int, Epoch, Revision, InSyncChange, Refusal)] = [
            (9, epoch, revision, .add(two), .unknownPartition),
            (0, Epoch(rawValue: 0), revision, .add(two), .staleEpoch(epoch)),
            (0, Epoch(rawValue: 2), revision, .add(two), .staleEpoch(epoch)),
            (0, epoch, Revision(rawValue: 1), .add(two), .staleRevision(revision)),
            (0, epoch, Revision(rawValue: 3), .add(two), .staleRevision(revision)),
            (1, Epoch(rawValue: 0), Revision(rawValue: 0), .add(two), .noOwner),
            (0, epoch, revision, .add(three), .notLearner),
            (0, epoch, revision, .add(one), .notLearner),
            (0, epoch, revision, .drop(one.replica), .isOwner),
            (0, epoch, revision, .drop(two.replica), .notInSync),
            (
                0, epoch, revision, .drop(ReplicaID(node: one.node, store: two.store)), .notInSync
            ),
        ]
        for (number, epoch, revision, change, refusal) in table {
            #expect(
                plane.run(.changeInSync(PartitionID(number), epoch, revision, change)) == .refused(refusal))
        }
        plane.down(2)
        #expect(plane.change(0, .add(two)) == .refused(.notUp))
    }

    @Test("D9, R8: an addition that was meant for an earlier life or disk is refused; with R8 off it is not")
    func staleAddition() {
        var plane = withLearner()
        let caughtUp = plane.life(2)
        plane.join(store: 2, last: 1)
        #expect(plane.partition(0).learners == [caughtUp.replica])
        var careless = plane
        #expect(plane.change(0, .add(caughtUp)) == .refused(.staleLife(plane.life(2))))
        careless.state.disabled = .identitiesInChanges
        #expect(careless.change(0, .add(caughtUp)) == .accepted)

        // The disk was replaced, and the controller made the empty one a learner again.
        plane.join(node: 2, store: 22)
        #expect(plane.partition(0).learners.isEmpty)
        #expect(plane.change(0, .add(caughtUp)) == .refused(.staleLife(plane.life(2))))
        plane.addLearner(0, 2)
        #expect(plane.change(0, .add(caughtUp)) == .refused(.staleLife(plane.life(2))))
        #expect(plane.change(0, .add(plane.life(2))) == .accepted)
    }

    @Test("R16: learners are live, on their registered disk, one copy a node, and bounded")
    func learners() {
        var plane = ControlPlane(nodes: 10)
        plane.promote(0, to: 1)
        #expect(plane.addLearner(0, 1) == .refused(.alreadyReplica))
        #expect(
            plane.run(
                .addLearner(
                    PartitionID(0), plane.partition(0).revision,
                    ReplicaID(node: NodeID(rawValue: 2), store: ControlPlane.store(3))))
                == .refused(.staleLife(plane.life(2))))
        #expect(
            plane.run(.addLearner(PartitionID(0), Revision(rawValue: 0), plane.life(2).replica))
                == .refused(.staleRevision(Revision(rawValue: 1))))
        plane.down(2)
        #expect(plane.addLearner(0, 2) == .refused(.notUp))
        for node in 3...9 { #expect(plane.addLearner(0, UInt64(node)) == .accepted) }
        #expect(plane.addLearner(0, 10) == .refused(.full))
    }

    @Test("R19, 2.8: only a learner's copy is deleted; who is in sync becomes one by the owner's request")
    func removal() {
        var plane = withLearner()
        func remove(_ node: UInt64) -> Command {
            .removeReplica(PartitionID(0), plane.partition(0).revision, plane.life(node).replica)
        }
        #expect(plane.run(remove(1)) == .refused(.isInSync))
        #expect(plane.run(remove(3)) == .refused(.notLearner))
        #expect(
            plane.run(.removeReplica(PartitionID(0), Revision(rawValue: 9), plane.life(2).replica))
                == .refused(.staleRevision(plane.partition(0).revision)))
        #expect(plane.run(remove(2)) == .accepted)
        plane.replicate(0, to: 2)
        #expect(plane.run(remove(2)) == .refused(.isInSync))
        plane.change(0, .drop(plane.life(2).replica))
        #expect(plane.run(remove(2)) == .accepted)
        #expect(plane.partition(0).inSync == [plane.life(1).replica] && plane.partition(0).learners.isEmpty)
        #expect(
            plane.run(.removeReplica(PartitionID(1), Revision(rawValue: 0), plane.life(1).replica))
                == .refused(.isInSync))
    }

    @Test("R19: whom the owner is to do without: the down, replaced disks, and copies nobody wants any more")
    func leaving() {
        var plane = withLearner()
        plane.change(0, .add(plane.life(2)))
        plane.addLearner(0, 3)
        func leaving() -> [UInt64] { plane.map.leaving(plane.partition(0)).map(\.node.rawValue) }
        #expect(leaving() == [])
        let targets = [1, 3].map { NodeID(rawValue: $0) }
        plane.run(.setTargets([.init(partition: PartitionID(0), nodes: targets)], plane.map.version))
        // Not before as many as wanted are in sync where they should be.
        #expect(leaving() == [])
        plane.change(0, .add(plane.life(3)))
        #expect(leaving() == [2])
        plane.change(0, .drop(plane.life(2).replica))
        #expect(leaving() == [2])
        plane.down(3)
        #expect(leaving() == [3])
        // Who starts again is there.
        plane.register(store: 3, last: 1)
        #expect(leaving() == [])
        let former = plane.life(3).replica
        plane.join(node: 3, store: 33)
        #expect(plane.map.leaving(plane.partition(0)) == [former])
        // Nobody is to do without itself.
        plane.down(1)
        plane.join(store: 1, last: 1)
        plane.promote(0, to: 1)
        #expect(plane.map.leaving(plane.partition(0)) == [former])
    }

    @Test("R19: a replaced disk stays in sync until the owner lets it go, and then the new one may learn")
    func replacedDisk() {
        var plane = withLearner()
        plane.change(0, .add(plane.life(2)))
        let former = plane.life(2).replica
        plane.join(node: 2, store: 22)
        #expect(plane.partition(0).inSync == [plane.life(1).replica, former])
        #expect(plane.map.isAtRisk(plane.partition(0)) && !plane.map.isOffline(plane.partition(0)))
        #expect(plane.addLearner(0, 2) == .refused(.alreadyReplica))
        #expect(plane.map[former.node]?.formerDisks.map(\.store) == [former.store])
        #expect(plane.change(0, .drop(former)) == .accepted)
        #expect(plane.partition(0).inSync == [plane.life(1).replica] && plane.partition(0).learners.isEmpty)
        #expect(plane.map[former.node]?.formerDisks == [])
        #expect(plane.addLearner(0, 2) == .accepted)
    }
}
