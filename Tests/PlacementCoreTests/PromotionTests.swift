import Identifiers
import PlacementCore
import Testing

@Suite("Owners are granted")
struct PromotionTests {
    /// Partition 0 on nodes 1, 2 and 3, owned by 1; node 4 is a learner, 5 has nothing.
    private func withThreeCopies() -> ControlPlane {
        var plane = ControlPlane(nodes: 5, settings: ClusterSettings(replicationFactor: 3))
        plane.promote(0, to: 1)
        plane.replicate(0, to: 2)
        plane.replicate(0, to: 3)
        plane.addLearner(0, 4)
        return plane
    }

    @Test("D4, R4: only a member of the in-sync set is promoted; with R4 off, anybody")
    func membersOnly() {
        var plane = withThreeCopies()
        let epoch = plane.partition(0).epoch
        #expect(plane.promote(0, to: 4) == .refused(.notInSync))
        #expect(plane.promote(0, to: 5) == .refused(.notInSync))
        var careless = plane
        careless.state.disabled = .promoteFromInSyncOnly
        #expect(
            careless.promote(0, to: 5) == .accepted)
        #expect(careless.partition(0).owner == careless.life(5))
        #expect(plane.promote(0, to: 2) == .accepted)
        #expect(plane.partition(0).owner == plane.life(2))
        #expect(plane.partition(0).epoch.rawValue == epoch.rawValue + 1)
    }

    @Test("2.3.3: a promotion names revision and life as they are, or nothing happens")
    func refusals() {
        var plane = withThreeCopies()
        let partition = plane.partition(0)
        let revision = partition.revision
        var dead = plane.life(2)
        plane.join(store: 2, last: 1)
        let id = PartitionID(0)
        #expect(
            plane.run(.promote(id, revision, to: dead))
                == .refused(.staleLife(plane.life(2))))
        dead.store = ControlPlane.store(7)
        #expect(
            plane.run(.promote(id, revision, to: dead))
                == .refused(.staleLife(plane.life(2))))
        let three = plane.life(3)
        #expect(
            plane.run(.promote(id, Revision(rawValue: 1), to: three))
                == .refused(.staleRevision(revision)))
        #expect(
            plane.run(.promote(PartitionID(4), revision, to: three))
                == .refused(.unknownPartition))
        let registered = plane.life(of: plane.register(store: 3, last: 1))
        #expect(plane.run(.promote(id, revision, to: registered)) == .refused(.notUp))
    }

    @Test(
        "R19: after a promotion everybody is in sync who was, up or down, until the new owner says otherwise")
    func keeping() {
        var plane = withThreeCopies()
        let (members, learners) = (plane.partition(0).inSync, plane.partition(0).learners)
        plane.down(1)
        plane.down(3)
        #expect(plane.promote(0, to: 2) == .accepted)
        #expect(plane.partition(0).inSync == members && plane.partition(0).learners == learners)
        #expect(plane.map.isAtRisk(plane.partition(0)))
        #expect(plane.change(0, .drop(plane.life(3).replica)) == .accepted)
        #expect(plane.partition(0).inSync == members.dropLast())
    }

    @Test("D14, R13: the longest log first, epoch before position; whoever lost records is no candidate")
    func candidates() {
        var plane = withThreeCopies()
        plane.join(store: 1, last: 1)
        func report(
            _ node: UInt64, _ epoch: UInt64, _ position: UInt64, acknowledged: UInt64? = nil
        )
            -> LogReport
        {
            func end(_ position: UInt64) -> LogReport.End {
                .init(epoch: Epoch(rawValue: epoch), position: LogPosition(rawValue: position))
            }
            return LogReport(
                life: plane.life(node), end: end(position), acknowledged: acknowledged.map(end))
        }
        func order(_ reports: [LogReport], excluding: Set<NodeID> = []) -> [UInt64] {
            plane.map.promotionCandidates(for: PartitionID(0), reports: reports, excluding: excluding)
                .map(\.node.rawValue)
        }
        #expect(order([report(1, 1, 5), report(2, 1, 9), report(3, 1, 7)]) == [2, 3, 1])
        #expect(order([report(1, 2, 5), report(2, 1, 9), report(3, 1, 7)]) == [1, 2, 3])
        #expect(order([report(3, 1, 1)]) == [3, 1, 2])
        #expect(order([report(2, 1, 6, acknowledged: 8), report(3, 1, 7, acknowledged: 7)]) == [3, 1])
        #expect(order([report(2, 1, 9), report(4, 1, 99)], excluding: [NodeID(rawValue: 2)]) == [1, 3])
        // A report of an earlier life says nothing.
        var old = report(2, 9, 9)
        old.life.incarnation = Incarnation(rawValue: 7)
        #expect(order([old, report(1, 1, 1)]) == [1, 2, 3])
        // Among equals: who does not drain, who owns less.
        plane.promote(1, to: 1)
        #expect(order([]) == [2, 3, 1])
        plane.run(.drain(NodeID(rawValue: 2), plane.life(2).incarnation, true))
        #expect(order([]) == [3, 1, 2])
        plane.down(3)
        #expect(order([]) == [1, 2])
        #expect(plane.map.promotionCandidates(for: PartitionID(99), reports: []).isEmpty)
    }

    @Test("2.3.3: the batch after a node's death: each promotion on its own, a stale one holds up nobody")
    func batch() {
        var plane = ControlPlane(nodes: 2)
        for number in 0..<4 {
            plane.promote(number, to: 1)
            plane.replicate(number, to: 2)
        }
        var commands: [Command] = [.nodeDown(NodeID(rawValue: 1), plane.life(1).incarnation, .unreachable)]
        for number in 0..<4 {
            // The death itself adds one to the revision.
            let revision = plane.partition(number).revision.rawValue + (number == 2 ? 0 : 1)
            commands.append(
                .promote(PartitionID(number), Revision(rawValue: revision), to: plane.life(2)))
        }
        let outcomes = plane.run(commands)
        let stale = Outcome.refused(.staleRevision(plane.partition(2).revision))
        #expect(outcomes == [.accepted, .accepted, .accepted, stale, .accepted])
        #expect((0..<4).map { plane.partition($0).owner != nil } == [true, true, false, true])
        let promotion = plane.map.promotion(of: PartitionID(2), to: plane.life(2))
        #expect(promotion.map { plane.run($0) } == .accepted)
    }

    @Test("D13: only an operator who accepts the loss revives a partition without its in-sync set")
    func force() {
        var plane = withThreeCopies()
        func force(_ node: UInt64, accepts: Bool = true) -> Command {
            .forcePromote(
                PartitionID(0), plane.partition(0).revision, to: plane.life(node), acceptsDataLoss: accepts)
        }
        #expect(plane.run(force(4)) == .refused(.notOffline))
        for node in 1...3 { plane.down(UInt64(node)) }
        #expect(plane.map.isOffline(plane.partition(0)))
        #expect(plane.partition(0).inSync == [1, 2, 3].map { plane.life($0).replica })
        #expect(plane.run(force(4, accepts: false)) == .refused(.dataLossNotAccepted))
        #expect(plane.run(force(3)) == .refused(.notUp))
        // A member of the in-sync set that just starts is worth waiting for.
        plane.register(store: 3, last: 1)
        #expect(plane.run(force(4)) == .refused(.notOffline))
        plane.down(3)
        #expect(plane.run(force(4)) == .accepted)
        #expect(plane.partition(0).owner == plane.life(4))
        #expect(plane.partition(0).inSync == [plane.life(4).replica])
        #expect(plane.partition(0).learners == [1, 2, 3].map { plane.life($0).replica })
        #expect(plane.partition(0).dataLossGeneration == 1)
        #expect(
            plane.state.audit.last?.event
                == .dataLossAccepted(PartitionID(0), plane.life(4), generation: 1))
    }

    @Test("D11: an empty disk in place of the only copy owns it only by force")
    func forceOntoReplacedDisk() {
        var plane = ControlPlane(nodes: 2)
        plane.promote(0, to: 1)
        plane.join(node: 1, store: 11)
        #expect(plane.promote(0, to: 1) == .refused(.notInSync))
        for number in 0..<4 {
            #expect(
                plane.run(
                    .forcePromote(
                        PartitionID(number), plane.partition(number).revision, to: plane.life(1),
                        acceptsDataLoss: true)) == .accepted)
        }
        #expect(plane.partition(0).inSync == [plane.life(1).replica])
        // Nothing waits for the old disk any more.
        #expect(plane.map[NodeID(rawValue: 1)]?.formerDisks == [])
    }
}
