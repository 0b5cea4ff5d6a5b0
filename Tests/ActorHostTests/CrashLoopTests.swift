import ActorHost
import Apus
import Identifiers
import PartitionStore
import Testing
import WorkflowCore
import WorkflowTrials

/// W13: what kills the process is counted.
@Suite("Steps that take the process with them")
struct CrashLoopTests {
    /// A step that ends the process whenever it is tried, and the note of how it failed.
    static func deadly(_ policy: RetryPolicy) -> LabActor.Script {
        { workflow, log in
            do {
                try await workflow.step("deadly", retry: policy) { log.note("deadly") }
            } catch let failure as StepFailure {
                let text = [failure.type, "\(failure.attempts)", "\(failure.history.count)"]
                try await workflow.turn("note") { $0.state.notes = text }
            }
        }
    }

    private func lives(_ policy: RetryPolicy, deaths: Int = .max) async throws -> [String] {
        try await live(Self.deadly(policy)) { node in
            node.effects.when("deadly") { [weak node] in
                guard let node, node.effects.entries.count <= deaths else { return }
                node.crash()
            }
            try await node.create()
            let end = try await node.settle("lab", "a")
            let reason = end.reason.contains("quarantined") ? ["quarantined"] : []
            return [end.status, "\(node.effects.entries.count)", try await node.notes()] + reason
        }
    }

    @Test("W13: the budget is used up by crashes")
    func budget() async throws {
        #expect(try await lives(.upTo(3)) == ["completed", "4", #"["ProcessDied","4","4"]"#])
        #expect(try await lives(.upTo(1)) == ["completed", "2", #"["ProcessDied","2","2"]"#])
    }

    @Test("W13 W17: attempts that never returned are in the failure's history, in their place")
    func history() async throws {
        let seen = try await live { workflow, log in
            do {
                try await workflow.step("work", retry: .upTo(3)) {
                    log.note("work")
                    throw Oops("attempt \(StepAttempt.current?.number ?? 0)")
                }
            } catch let failure as StepFailure {
                let text = failure.history
                try await workflow.turn("note") { $0.state.notes = text }
            }
        } _: { node in
            node.effects.when("work") { [weak node] in
                guard let node, [2, 3].contains(node.effects.entries.count) else { return }
                node.crash()
            }
            try await node.create()
            return [try await node.end(), try await node.notes()]
        }
        let died = [2, 3].map {
            "\"ProcessDied: the process ended during attempt \($0); its outcome is unknown\""
        }
        let all = ["\"Oops: attempt 1\""] + died + ["\"Oops: attempt 4\""]
        #expect(seen == ["completed", "[" + all.joined(separator: ",") + "]"])
    }

    @Test("W13: what crashed twice and then works has worked")
    func recovers() async throws {
        #expect(try await lives(.upTo(3), deaths: 2) == ["completed", "3", "[]"])
    }

    @Test("W13: a step that must not be tried twice is not")
    func never() async throws {
        #expect(try await lives(.never) == ["completed", "1", #"["ProcessDied","1","1"]"#])
    }

    @Test(
        "W13: without a limit of retries, the run is quarantined after ten crashes, and stays so over actions"
    )
    func quarantine() async throws {
        #expect(try await lives(.forever) == ["stalled", "10", "[]", "quarantined"])
    }

    @Test("W7 W13: a quarantined actor that hibernated answers actions without trying again")
    func quarantineHolds() async throws {
        let (seen, _, _) = try await Trial { Lab($0, Self.deadly(.forever)) }.run(.hibernatedAtEveryWait) {
            node in
            node.effects.when("deadly") { [weak node] in node?.crash() }
            try await node.create()
            let end = try await node.settle("lab", "a")
            let tried = node.effects.entries.count
            for _ in 0..<5 { _ = try await node.call("lab", "a", "add", "1") }
            return [end.status, "\(node.effects.entries.count - tried)", try await node.end()]
        }
        #expect(seen == ["stalled", "0", "stalled"])
    }

    @Test("W13: no start of a node and no change of owner wakes a quarantined run", arguments: [false, true])
    func quarantineSleeps(asksIt: Bool) async throws {
        let (seen, _, _) = try await Trial { Lab($0, Self.deadly(.forever)) }.run(.hibernatedAtEveryWait) {
            node in
            node.effects.when("deadly") { [weak node] in node?.crash() }
            try await node.create()
            let end = try await node.settle("lab", "a")
            if asksIt {
                for _ in 0..<3 { _ = try await node.call("lab", "a", "add", "1") }
            }
            try await node.restart()
            let address = ActorAddress(kind: try ActorKind("lab"), key: try ActorKey(["a"]))
            let partition = node.store.identity.ring.partition(of: address)
            let wakes = node.store.dueActors(in: partition, through: .max, limit: 9).map { "\($0.wakeAt)" }
            return [end.status] + wakes
        }
        #expect(seen == ["stalled"])
    }

    @Test("W13: a `never` step is not failed by a crash before it began")
    func neverBegan() async throws {
        // The record of its start is the second; the crash takes that record.
        let (seen, effects, crashed) = try await Trial { Lab($0, Self.deadly(.never)) }
            .run(.crashedAfter(records: 1)) { node in
                try await node.create()
                return [try await node.end(), try await node.notes()]
            }
        #expect(crashed)
        #expect(seen == ["completed", "[]"])
        #expect(effects.count == 1)
    }

    @Test("W13: a crash while a step waits for its next attempt is no attempt")
    func crashWhileRetrying() async throws {
        let seen = try await live { workflow, log in
            try await workflow.step("work", retry: .upTo(1)) {
                log.note("work")
                if StepAttempt.current?.number == 1 { throw Oops("first") }
            }
        } _: { node in
            try await node.create()
            try await node.until("retrying") { try await node.describe("lab", "a").status == "retrying" }
            for _ in 0..<3 {
                // The restart comes after the time of the retry.
                node.clock.advance(by: .milliseconds(60))
                node.crash()
                _ = try await node.describe("lab", "a")
            }
            node.clock.advance(by: .seconds(10))
            node.crash()
            let end = try await node.settle("lab", "a")
            return [end.status, end.failure] + node.effects.names
        }
        #expect(seen == ["completed", "", "work", "work"])
    }

    /// Each attempt has a number of its own (W11), and the retries that the policy grants are left for the
    /// step's own errors.
    @Test("W13 W11: a stop in good order is no crash, however often it comes; its attempts count")
    func orderlyStops() async throws {
        let seen = try await live { workflow, log in
            try await workflow.step("long", retry: .upTo(2), timeout: nil) {
                let number = StepAttempt.current?.number ?? 0
                log.note("long \(number)")
                while number < 7 {
                    try Task.checkCancellation()
                    await Task.yield()
                }
                // The last of three is the last that the policy grants.
                if number < 9 { throw Oops("attempt \(number)") }
            }
        } _: { node in
            try await node.create()
            for life in 1...6 {
                try await node.until("life \(life)") { node.effects.names.last == "long \(life)" }
                try await node.restart()
            }
            let end = try await node.settle("lab", "a")
            let history = try await node.history("lab", "a")
            return [end.status, end.failure, "\(node.effects.names.count)", history]
        }
        #expect(seen.dropLast() == ["completed", "", "9"])
        let history = try #require(seen.last)
        #expect(history.contains(#""attempts":9"#), "\(history)")
        #expect(history.contains(#""message":"the node gave up attempt 6; its outcome is unknown""#))
    }

    @Test("W11: an attempt that a stop cut off is no free retry")
    func orderlyStopAndErrors() async throws {
        let seen = try await live { workflow, log in
            try await workflow.step("long", retry: .upTo(2), timeout: nil) {
                let number = StepAttempt.current?.number ?? 0
                log.note("long \(number)")
                guard number == 1 else { throw Oops("attempt \(number)") }
                while true {
                    try Task.checkCancellation()
                    await Task.yield()
                }
            }
        } _: { node in
            try await node.create()
            try await node.until("its start") { node.effects.names == ["long 1"] }
            try await node.restart()
            return [try await node.settle("lab", "a").status] + node.effects.names
        }
        #expect(seen == ["failed", "long 1", "long 2", "long 3", "long 4"])
    }

    @Test("W30 W13: a restart in good order does not wake who only waits")
    func restartWakesNobody() async throws {
        let seen = try await live { workflow, log in
            log.note("run")
            _ = try await workflow.next("wait", from: \.jobs)
        } _: { node in
            try await node.create()
            _ = try await node.end()
            try await node.restart()
            await node.host.ready()
            let awake = try await node.describe("lab", "a").isAwake
            return "\(awake) \(node.effects.entries.count)"
        }
        #expect(seen == "false 1")
    }
}
