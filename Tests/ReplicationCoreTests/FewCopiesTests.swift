import Identifiers
import ReplicationCore
import Testing

/// `inSyncMin`: with fewer copies in sync nothing is acknowledged, and another copy can still be let in.
@Suite("Owners with fewer copies in sync than there must be") struct FewCopiesTests {
    typealias Pair = AdditionTests.Pair

    /// The control plane lets node 2 into the set, or out of it.
    private func change(_ pair: inout Pair, _ isInSync: Bool) {
        let other = Pair.life(2, 1).replica
        pair.configuration.revision += 1
        pair.configuration.inSync = [Pair.life(1, 1).replica] + (isInSync ? [other] : [])
        pair.configuration.learners = isInSync ? [] : [other]
        pair.handle(.configured(pair.configuration))
    }

    @Test("An owner whose set is too small commits nothing, until another copy is in")
    func shrunk() throws {
        var pair = Pair(inSyncMin: 2)
        pair.acknowledge(as: Pair.life(2, 1), pair.end.position)
        change(&pair, true)
        #expect(pair.owner.servingEpoch == pair.configuration.epoch)
        change(&pair, false)
        let committed = pair.owner.committed
        pair.append()
        #expect(pair.owner.committed == committed)
        pair.acknowledge(as: Pair.life(2, 1), pair.end.position)
        #expect(pair.owner.committed == committed, "it counts when the control plane has let it in")
        #expect(try #require(pair.requests(after: 2_000).first).change == .add(Pair.life(2, 1)))
        change(&pair, true)
        #expect(pair.owner.committed == pair.end.position)
    }

    @Test("An owner that takes over with too few lets another copy in, and serves then")
    func takenOver() throws {
        var pair = Pair(inSyncMin: 2)
        #expect(pair.owner.committed == .zero)
        // Without everything up to the epoch's first record it is no copy (R9).
        pair.acknowledge(as: Pair.life(2, 1), .zero)
        #expect(pair.requests(after: 2_000).isEmpty)
        pair.acknowledge(as: Pair.life(2, 1), pair.end.position)
        #expect(try #require(pair.requests(after: 2_000).first).change == .add(Pair.life(2, 1)))
        #expect(pair.owner.servingEpoch == nil)
        change(&pair, true)
        #expect(pair.owner.servingEpoch == pair.configuration.epoch)
        #expect(pair.owner.committed == pair.end.position)
    }

    @Test("The number may be changed while the owner serves")
    func changed() {
        var pair = Pair()
        pair.configuration.inSyncMin = 2
        pair.handle(.configured(pair.configuration))
        let committed = pair.owner.committed
        pair.append()
        #expect(pair.owner.committed == committed)
        pair.configuration.inSyncMin = 1
        pair.handle(.configured(pair.configuration))
        #expect(pair.owner.committed == pair.end.position)
    }
}
