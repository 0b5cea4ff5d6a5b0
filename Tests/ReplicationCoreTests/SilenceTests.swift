import Identifiers
import ReplicationCore
import Testing

/// What an owner does for a learner that does not answer, perhaps for hours and for every partition.
@Suite("Silent learners") struct SilenceTests {
    private typealias Pair = AdditionTests.Pair

    /// An owner that keeps no records in memory, with a learner that was never heard of.
    private static func pair() -> Pair {
        var settings = Pair.settings
        settings.tailBytesMax = 0
        settings.windowBytesMax = 1 << 10
        var pair = Pair(settings)
        for _ in 0..<8 { pair.append() }
        return pair
    }

    private static func appends(_ effects: [ReplicaEffect]) -> [Append] {
        effects.compactMap { if case .send(.append(let append), _) = $0 { append } else { nil } }
    }

    private static func reads(_ effects: [ReplicaEffect]) -> [LogPosition] {
        effects.compactMap { if case .readLog(_, let position, _) = $0 { position } else { nil } }
    }

    /// The connection comes and goes, and time passes.
    private static func wait(_ pair: inout Pair) {
        for round in 0..<60 {
            if round % 10 == 0 { pair.handle(.linkChanged(NodeID(rawValue: 2))) }
            pair.now += 600_000
            pair.handle(.tick)
        }
    }

    @Test func nothingIsReadForALearnerThatDoesNotAnswer() throws {
        var pair = Self.pair()
        pair.effects = []
        Self.wait(&pair)
        #expect(Self.reads(pair.effects).isEmpty)
        let probes = Self.appends(pair.effects)
        #expect(probes.count >= 60, "it is asked again and again")
        #expect(probes.allSatisfy { $0.records.isEmpty })

        // It is there, and has nothing.
        let probe = try #require(probes.last)
        pair.effects = []
        pair.handle(
            .received(
                .mismatch(epoch: probe.epoch, probe: probe.probe, end: .zero, epochs: []),
                from: Pair.life(2, 1)))
        #expect(Self.reads(pair.effects) == [.zero])
    }

    @Test func whatWasOnTheWayIsAskedForBeforeItIsSentAgain() throws {
        var pair = Self.pair()
        pair.acknowledge(as: Pair.life(2, 1), pair.end.position)
        let known = pair.end
        pair.append()
        pair.effects = []
        Self.wait(&pair)
        #expect(Self.reads(pair.effects).isEmpty)
        let probes = Self.appends(pair.effects)
        #expect(!probes.isEmpty && probes.allSatisfy { $0.records.isEmpty })
        let probe = try #require(probes.last)
        #expect(probe.previous == pair.end, "what is in memory")

        pair.effects = []
        let start = EpochStart(epoch: probe.epoch, first: LogPosition(rawValue: 1))
        pair.handle(
            .received(
                .mismatch(epoch: probe.epoch, probe: probe.probe, end: known.position, epochs: [start]),
                from: Pair.life(2, 1)))
        #expect(Self.reads(pair.effects) == [known.position])
    }

    /// A learner whose disk is slow would otherwise get everything twice, and be slower still.
    @Test func whatIsOnTheWayToASlowLearnerIsNotSentAgain() throws {
        var pair = Pair()
        pair.acknowledge(as: Pair.life(2, 1), pair.end.position)
        let known = pair.end
        for _ in 0..<3 { pair.append() }
        pair.effects = []
        for _ in 0..<4 {
            pair.now += 600_000
            pair.handle(.tick)
            // It is there, and its disk has not yet what came.
            pair.acknowledge(as: Pair.life(2, 1), known.position)
        }
        let probes = Self.appends(pair.effects)
        #expect(!probes.isEmpty && probes.allSatisfy { $0.records.isEmpty })
        #expect(probes.allSatisfy { $0.previous == pair.end })

        // What has not arrived is sent again.
        pair.now += 600_000
        pair.effects = []
        pair.handle(.tick)
        let probe = try #require(Self.appends(pair.effects).last)
        pair.effects = []
        let start = EpochStart(epoch: probe.epoch, first: LogPosition(rawValue: 1))
        pair.handle(
            .received(
                .mismatch(epoch: probe.epoch, probe: probe.probe, end: known.position, epochs: [start]),
                from: Pair.life(2, 1)))
        #expect(Self.appends(pair.effects).flatMap(\.records).count == 3)
    }
}
