import ActorHost
import Apus
import ClientProtocol
import Identifiers
import Logging
import Synchronization
import Testing
import TimeAndChance
import WorkflowTrials

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite("A host without threads") struct SteppedHostTests {
    /// What user code did, and on how many threads.
    private final class Diary: Sendable {
        private let live = Mutex<(lines: [String], threads: Set<String>)>(([], []))
        func note(_ line: String) {
            live.withLock {
                $0.lines.append(line)
                $0.threads.insert("\(pthread_self())")
            }
        }
        var lines: [String] { live.withLock { $0.lines } }
        var threadCount: Int { live.withLock { $0.threads.count } }
    }

    private actor Scribe {
        func write(_ diary: Diary, _ line: String) { diary.note(line) }
    }

    /// Runs a workflow whose steps await tasks and actors of their own.
    private func diary(seed: UInt64) throws -> Diary {
        let diary = Diary()
        let script: LabActor.Script = { workflow, _ in
            try await workflow.step("crowd") {
                let scribe = Scribe()
                await withTaskGroup(of: Void.self) { group in
                    for name in ["a", "b", "c"] {
                        group.addTask {
                            for round in 0..<3 {
                                await scribe.write(diary, "\(name)\(round)")
                                await Task.yield()
                            }
                        }
                    }
                }
            }
            try await workflow.sleep("rest", for: .seconds(60))
            diary.note("rested")
            try await workflow.step("fails", retry: RetryPolicy(retries: 3, jitter: 1)) {
                diary.note("tried")
                if diary.lines.filter({ $0 == "tried" }).count < 3 { throw Oops("again") }
            }
            diary.note("done")
        }
        let clock = ManualClock()
        var settings = HostSettings(shards: 2)
        settings.steppedSeed = seed
        var logger = Logger(label: "stepped")
        logger.logLevel = .critical
        let host = ActorHost(
            kinds: try RegistryReader.kinds(of: Lab(EffectLog(), script)), store: MemoryStore(), clock: clock,
            settings: settings, logger: logger
        ) { _ in }
        let target = ActorAddress(kind: try ActorKind("lab"), key: try ActorKey(["a"]))
        let answers = Diary()
        host.submit(ActorRequest(target: target, operation: .action("add", input: Payload("2")))) { result in
            answers.note("\(result)")
        }
        #expect(answers.lines.isEmpty && diary.lines.isEmpty)
        while host.step() {}
        #expect(answers.lines.count == 1)
        #expect(!diary.lines.contains("rested"))
        var due: [UInt64] = []
        while !diary.lines.contains("done"), let next = host.nextDeadline() {
            due.append(next)
            clock.advance(to: next)
            repeat {} while host.step()
        }
        diary.note("\(due)")
        host.dissolve()
        return diary
    }

    @Test("User code runs inside of steps only, and all of it follows from the seed")
    func followsFromItsSeed() throws {
        let first = try diary(seed: 3)
        #expect(first.lines.contains("done"))
        #expect(first.threadCount == 1)
        #expect(try diary(seed: 3).lines == first.lines)
        // The order of tasks, and the jitter of retries.
        let others = try (4..<10).map { try diary(seed: $0).lines }
        #expect(Set(others.map { $0.prefix(9).joined() }).count > 1)
        #expect(Set(others.compactMap(\.last)).count > 1)
    }

    @Test("Equal states have equal bytes, so a turn that changes nothing records nothing")
    func statesHaveOneForm() throws {
        struct State: Codable, Equatable {
            var (alpha, beta, gamma, delta, epsilon, zeta) = (1, 2, 3, 4, 5, 6)
        }
        let forms = try (0..<200).map { _ in try PayloadCoding.encode(State()) }
        #expect(Set(forms).count == 1)
    }
}
