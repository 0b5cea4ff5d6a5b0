import Simulator
import Testing

/// The situations of docs/guarantees.md that a cluster can meet in the simulator, each once; nothing else
/// goes wrong in them. What must always be true is checked as in all runs.
@Suite("Named situations in virtual time") struct SituationTests {
    private static let begin: UInt64 = 6_000_000
    private static let end: UInt64 = 22_000_000
    private static let partitions = 4

    private static func settings(_ seed: UInt64, _ script: [ScriptedEvent]) -> SimulationSettings {
        var settings = SimulationSettings(seed: seed)
        settings.faults = .none
        settings.hasOperator = false
        settings.partitions = partitions
        settings.clients = 2
        settings.recordsHistory = true
        settings.faultyMicros = end + 2_000_000
        settings.script = script
        return settings
    }

    private static func cuts(_ pairs: [(from: [Int], to: [Int])]) -> [ScriptedEvent] {
        pairs.map { ScriptedEvent(.cut(from: $0.from, to: $0.to), atMicros: begin) }
            + [ScriptedEvent(.healNetwork, atMicros: end)]
    }

    /// Calls that began when the situation had lasted for a while, and were answered in it.
    private static func served(_ report: SimulationReport, after micros: UInt64) -> [SimulatedOperation] {
        report.history.filter { $0.calledAt > begin + micros && $0.answeredAt < end }
    }

    /// The first machine founds the cluster, leads it and owns most.
    static let situations: [(name: String, cuts: [(from: [Int], to: [Int])])] = [
        ("cut off", [(from: [0], to: [1, 2]), (from: [1, 2], to: [0])]),
        ("mute", [(from: [0], to: [1, 2])]), ("deaf", [(from: [1, 2], to: [0])]),
    ]

    /// A connection on which one side hears nothing is given up by that side, and no new one can be made.
    private static let brokenBothWays = [
        ScriptedEvent(.cut(from: [0], to: [1, 2]), atMicros: begin + 5_000_000),
        ScriptedEvent(.cut(from: [1, 2], to: [0]), atMicros: begin + 5_000_000),
    ]

    @Test("D24 D25: without a node that is cut off, mute or deaf the others serve every partition")
    func majorityGoesOn() throws {
        for (seed, (name, cuts)) in Self.situations.enumerated() {
            let script = Self.cuts(cuts) + Self.brokenBothWays
            let report = try Simulation.run(Self.settings(UInt64(seed), script))
            let served = Set(Self.served(report, after: 11_000_000).map(\.partition))
            #expect(served.count == Self.partitions, "\(name): only \(served.sorted()) are served")
        }
    }

    @Test("D24: in three parts nobody serves anything, and everything comes to rest afterwards")
    func thirds() throws {
        let report = try Simulation.run(Self.settings(1, Self.cuts([(from: [0, 1, 2], to: [0, 1, 2])])))
        #expect(Self.served(report, after: 0).isEmpty)
        #expect(report.history.contains { $0.calledAt < Self.begin })
        #expect(report.history.contains { $0.calledAt > Self.end })
    }

    @Test("D14: the power fails everywhere at once, and everything that was acknowledged is there again")
    func powerCut() throws {
        let all = [0, 1, 2]
        let report = try Simulation.run(
            Self.settings(
                1,
                [
                    ScriptedEvent(.stop(all), atMicros: Self.begin),
                    ScriptedEvent(.start(all), atMicros: Self.begin + 500_000),
                ]))
        #expect(report.history.contains { $0.calledAt < Self.begin })
        let served = Set(Self.served(report, after: 7_000_000).map(\.partition))
        #expect(served.count == Self.partitions, "only \(served.sorted()) are served")
    }

    @Test("D22: a node that was away until the journals of the others have forgotten gets snapshots")
    func longAbsence() throws {
        var settings = Self.settings(
            1,
            [
                ScriptedEvent(.stop([2]), atMicros: Self.begin),
                ScriptedEvent(.trim([0, 1]), atMicros: Self.end - 1),
                ScriptedEvent(.start([2]), atMicros: Self.end),
            ])
        settings.traces = true
        let report = try Simulation.run(settings)
        #expect(report.trace.contains { $0.contains("m2 installs a snapshot") })
        #expect(!Self.served(report, after: 7_000_000).isEmpty)
    }

    @Test("Machines that start at the same moment become one cluster")
    func sameMoment() throws {
        let all = [0, 1, 2]
        // Those that started by themselves end before they have done anything.
        let report = try Simulation.run(
            Self.settings(
                1,
                [
                    ScriptedEvent(.stop(all), atMicros: 100_001),
                    ScriptedEvent(.start(all), atMicros: 100_002),
                ]))
        #expect(Set(report.history.map(\.partition)).count == Self.partitions)
    }

    private static let givenUp: UInt64 = 14_000_000

    /// Founded at the first and the last machine at the same moment, at the first one twice and once more
    /// later. The second one joins the first; the last one gives its cluster up and joins, too.
    private static func startedTwice() -> SimulationSettings {
        var settings = settings(
            1,
            [
                ScriptedEvent(.initialize([0, 2, 0]), atMicros: 200_000),
                ScriptedEvent(.initialize([0]), atMicros: 3_000_000),
                ScriptedEvent(.join(1, at: 0), atMicros: begin),
                ScriptedEvent(.clear(2), atMicros: givenUp),
                ScriptedEvent(.join(2, at: 0), atMicros: givenUp + 500_000),
            ])
        settings.isFormed = false
        settings.traces = true
        return settings
    }

    @Test("D29: a cluster that is started twice is one; two that are started at once never count as one")
    func startedTwice() throws {
        let report = try Simulation.run(Self.startedTwice())
        let refused = report.trace.filter { $0.contains("m0 does not found a cluster: ") }
        #expect(refused.count == 2 && refused.allSatisfy { $0.contains("initialised already") }, "\(refused)")
        // Each has its own caller, and both are served as long as there are two.
        for client in 0...1 {
            let served = report.history.filter { $0.client == client && $0.calledAt < Self.givenUp }
            #expect(Set(served.map(\.partition)).count == Self.partitions)
            #expect(served.contains { $0.answeredAt > Self.givenUp - 500_000 })
        }
        // The members of one hear from those of the other, and say why they leave them alone.
        let said = report.trace.filter { $0.contains(" do not talk to each other: ") }
        #expect(said.count == 2 && said.allSatisfy { $0.contains("this node belongs to cluster") }, "\(said)")
        #expect(report.trace.contains { $0.contains("m2 is let into the cluster of m0") })
        let after = report.history.filter { $0.calledAt > Self.end }
        #expect(Set(after.map(\.client)) == [0, 1])
    }

    @Test("D29: if nobody asked which cluster a peer belongs to, the two would be mixed up")
    func startedTwiceWithoutHandshakes() {
        var settings = Self.startedTwice()
        settings.leaveOut(rule: "clusters-apart")
        do {
            _ = try Simulation.run(settings)
            Issue.record("nobody notices")
        } catch { #expect("\(error)".contains("D29") || "\(error)".contains("another cluster"), "\(error)") }
    }
}
