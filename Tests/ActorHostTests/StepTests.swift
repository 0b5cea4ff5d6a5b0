import ActorHost
import Apus
import ClientProtocol
import Identifiers
import Testing
import TimeAndChance
import WorkflowCore
import WorkflowTrials

@Suite("Steps")
struct StepTests {
    @Test(
        "W10 W11: the key is the same over attempts and lives, and another for each step, iteration and actor"
    )
    func idempotencyKeys() async throws {
        let script: LabActor.Script = { workflow, log in
            try await workflow.step("flaky") {
                log.note("flaky")
                if (StepAttempt.current?.number ?? 0) < 3 { throw Oops("not yet") }
            }
            _ = try await workflow.loop("loop", state: 0) { loop, round in
                try await loop.step("flaky") { log.note("in loop") }
                round += 1
                return round == 2 ? .done(round) : .again
            }
        }
        try await inAllWays(script) { node in
            var seen: [String] = []
            for key in ["a", "b"] {
                try await node.create(key)
                seen.append(try await node.end(key))
            }
            let keys = node.effects.entries.reduce(into: [String: Set<String>]()) {
                $0[$1.idempotencyKey, default: []].insert($1.step)
            }
            #expect(keys.count == 6)
            for (key, steps) in keys {
                #expect(steps.count == 1)
                #expect(key.count == 32 && key.allSatisfy(\.isHexDigit))
            }
            return seen
        }
    }

    @Test("W11: the key of a step is not that of the same step in the actor's next life")
    func keysOfTheNextActor() async throws {
        try await live { workflow, log in
            try await workflow.step("s") { log.note("s") }
        } _: { node in
            for _ in 0..<2 {
                try await node.create()
                _ = try await node.end()
                _ = try await node.perform("lab", "a", .destroy)
            }
            #expect(Set(node.effects.entries.map(\.idempotencyKey)).count == 2)
            return 0
        }
    }

    /// Times of the attempts since the first, in milliseconds.
    private func attemptTimes(
        _ policy: RetryPolicy, effect: @escaping @Sendable (Int) throws -> Void
    ) async throws -> [Int] {
        try await withoutCrashes { workflow, log in
            do {
                try await workflow.step("work", retry: policy, retryIf: { "\($0)" != "final" }) {
                    log.note("work")
                    try effect(StepAttempt.current?.number ?? 0)
                }
            } catch is StepFailure {}
        } _: { node in
            var times: [Int] = []
            try await node.create()
            var elapsed = 0
            for _ in 0..<200_000 {
                while node.effects.entries.count > times.count { times.append(elapsed) }
                let status = try await node.describe("lab", "a").status
                if status == "completed" || status == "failed" { break }
                guard node.effects.entries.count == times.count else { continue }
                if status == "retrying" {
                    node.clock.advance(by: .milliseconds(1))
                    elapsed += 1
                    // The step is tried before the next request is looked at.
                    await node.host.ready()
                }
            }
            while node.effects.entries.count > times.count { times.append(elapsed) }
            return times.map { $0 / 10 * 10 }
        }
    }

    @Test("W12: by default three retries, after 200, 400 and 800 ms")
    func defaultPolicy() async throws {
        let times = try await attemptTimes(.default) { _ in throw Oops("no") }
        #expect(times.count == 4)
        let waits = zip(times.dropFirst(), times).map { $0 - $1 }
        for (wait, expected) in zip(waits, [200, 400, 800]) {
            #expect(abs(wait - expected) <= 20, "\(waits)")
        }
    }

    @Test("W12: initial, factor, cap, retry-after, and what is final")
    func policies() {
        let policy = RetryPolicy(retries: 9, initial: .milliseconds(10), factor: 3, cap: .milliseconds(200))
        #expect(
            (1...5).map { policy.delay(after: $0, chance: 0.5) }.map(\.wholeMicroseconds) == [
                30_000, 90_000, 200_000, 200_000, 200_000,
            ])
        #expect(RetryPolicy.default.delay(after: 40, chance: 0).wholeMicroseconds == 30_000_000)
        #expect(
            (1...3).map { RetryPolicy.default.delay(after: $0, chance: 1).wholeMicroseconds } == [
                200_000, 400_000, 800_000,
            ])
        var random = SplitMix64(seed: 5)
        let jittered = RetryPolicy(jitter: 1)
        for _ in 0..<100 {
            let wait = jittered.delay(after: 2, chance: Double.random(in: 0..<1, using: &random))
                .wholeMicroseconds
            #expect(wait >= 0 && wait <= 400_000)
        }
        #expect(RetryPolicy.forever.isExhausted(after: .max) == false)
        #expect(RetryPolicy.never.isExhausted(after: 1))
        #expect(!RetryPolicy.upTo(2).isExhausted(after: 2) && RetryPolicy.upTo(2).isExhausted(after: 3))
        #expect(RetryPolicy.forever.delay(after: .max, chance: 0).wholeMicroseconds == 30_000_000)
    }

    @Test("W12: an error's own time to retry, and the predicate that makes one final")
    func errorsThatKnow() async throws {
        let after = try await attemptTimes(.upTo(5)) { number in
            if number == 1 { throw RetryAfter(.milliseconds(1_500)) }
            if number == 2 { throw Oops("final") }
        }
        #expect(after.count == 2)
        #expect(abs(after[1] - after[0] - 1_500) <= 20, "\(after)")
    }

    @Test("W13: the count of attempts survives crashes between them")
    func attemptsSurvive() async throws {
        let (seen, effects) = try await inAllWays { workflow, log in
            do {
                try await workflow.step("work", retry: .upTo(4)) {
                    log.note("work \(StepAttempt.current?.number ?? 0)")
                    throw Oops("no \(StepAttempt.current?.number ?? 0)")
                }
            } catch let failure as StepFailure {
                let text = ["\(failure.attempts)", failure.step, "\(failure.timedOut)"]
                try await workflow.turn("note") { $0.state.notes = text }
            }
        } _: { node in
            try await node.create()
            return [try await node.end(), try await node.notes()]
        }
        #expect(seen == ["completed", #"["5","work","false"]"#])
        #expect(effects.map(\.attempt) == [1, 2, 3, 4, 5])
    }

    @Test("W16 W17: the terminal failure is recorded with its history and thrown alike on each replay")
    func terminalFailure() async throws {
        let seen = try await withoutCrashes { workflow, log in
            var seen: [String] = []
            do {
                _ = try await workflow.step("card", retry: .upTo(2)) { () -> Int in
                    log.note("card")
                    throw Oops("declined \(StepAttempt.current?.number ?? 0)")
                }
            } catch let failure as StepFailure {
                seen = [failure.step, failure.type, failure.message, "\(failure.attempts)"] + failure.history
            }
            do {
                try await workflow.step("hopeless", retry: .forever) {
                    log.note("hopeless")
                    throw Unretryable("no such card")
                }
            } catch let failure as StepFailure {
                seen += [failure.type, failure.message, "\(failure.attempts)", "\(failure)"]
            }
            log.note("after \(seen)")
            _ = try await workflow.next("wait", from: \.jobs)
            try await workflow.turn("note") { [seen] in $0.state.notes = seen }
        } _: { node in
            try await node.create()
            _ = try await node.end()
            node.crash()
            try await node.send("lab", "a", "jobs", #""go""#)
            _ = try await node.end()
            let status = try await node.end()
            #expect(Set(node.effects.entries.map(\.name)).count == 3)
            #expect(node.effects.entries.filter { $0.name == "hopeless" }.count == 1)
            return [status, try await node.notes()]
        }
        #expect(
            seen == [
                "completed",
                #"["card","Oops","declined 3","3","Oops: declined 1","Oops: declined 2","Oops: declined 3","#
                    + #""Unretryable","no such card","1","#
                    + #""step \"hopeless\" failed after 1 attempt: no such card"]"#,
            ])
    }

    @Test("W16 W17: a step that failed for good is not tried again in any later life")
    func failedForGood() async throws {
        let (seen, effects) = try await inAllWays { workflow, log in
            for number in 0..<3 {
                do {
                    try await workflow.step("hopeless \(number)", retry: .forever) {
                        log.note("hopeless \(number)")
                        throw Unretryable("no such card")
                    }
                } catch is StepFailure {
                    try await workflow.turn("count \(number)") { $0.state.count += 1 }
                }
            }
        } _: { node in
            try await node.create()
            return [try await node.end(), try await node.call("lab", "a", "count")]
                + node.effects.distinctNames
        }
        #expect(seen == ["completed", "3", "hopeless 0", "hopeless 1", "hopeless 2"])
        #expect(effects.count == 3)
    }

    @Test("W18: the commit turn runs once, together with the record; one that throws fails the step")
    func commitTurns() async throws {
        let (seen, _) = try await inAllWays { workflow, log in
            for number in 1...3 {
                _ = try await workflow.step("pay \(number)") {
                    log.note("pay")
                    return number
                } commit: { turn, value in
                    turn.state.count += value
                    turn.send("paid \(value)", to: \.jobs)
                    turn.broadcast(\.changed, value)
                }
            }
            do {
                _ = try await workflow.step("bad") {
                    1_000
                } commit: { turn, value in
                    turn.state.count += value
                    turn.send("never", to: \.jobs)
                    throw Oops("commit refused")
                }
            } catch let failure as StepFailure {
                try await workflow.turn("note") { $0.state.notes = [failure.type, failure.message] }
            }
            let jobs = try await workflow.batch("jobs", from: \.jobs, upTo: 9)
            let bodies = jobs.map(\.body)
            try await workflow.turn("note jobs") { $0.state.notes += bodies }
        } _: { node in
            try await node.create()
            return [try await node.end(), try await node.call("lab", "a", "count"), try await node.notes()]
        }
        #expect(seen == ["completed", "6", #"["Oops","commit refused","paid 1","paid 2","paid 3"]"#])
    }

    @Test("W14 W15 W80: a running attempt is seen running; its time ends it, cancelled or not")
    func timeouts() async throws {
        let seen = try await withoutCrashes { workflow, log in
            for (name, again) in [("terminal", false), ("again", true)] {
                do {
                    var policy = RetryPolicy.upTo(1)
                    policy.retryOnTimeout = again
                    try await workflow.step(name, retry: policy, timeout: .seconds(5)) {
                        log.note("begin \(name)")
                        do { try await Task.sleep(for: .seconds(3_600)) } catch {
                            log.note("cancelled \(name)")
                            throw error
                        }
                    }
                } catch let failure as StepFailure {
                    let text = "\(name) \(failure.type) \(failure.timedOut) \(failure.attempts)"
                    try await workflow.turn("note \(name)") { $0.state.notes.append(text) }
                }
            }
            try await workflow.step("patient", timeout: nil) {
                log.note("begin patient")
                while !log.entries.contains(where: { $0.name == "release" }) { await Task.yield() }
            }
        } _: { node in
            try await node.create()
            var seen: [String] = []
            for (step, attempt) in [("terminal", 1), ("again", 1), ("again", 2)] {
                let detail = "step \"\(step)\", attempt \(attempt)"
                try await node.until(detail) { try await node.describe("lab", "a").waitingFor == detail }
                seen.append(try await node.describe("lab", "a").status)
                node.clock.advance(by: .milliseconds(4_999))
                await node.host.ready()
                seen.append(try await node.describe("lab", "a").waitingFor == detail ? "still" : "early")
                node.clock.advance(by: .milliseconds(2))
                try await node.until("cancellation") {
                    node.effects.entries.filter { $0.name == "cancelled \(step)" }.count == attempt
                }
                if (step, attempt) == ("again", 1) {
                    try await node.until("retrying") {
                        try await node.describe("lab", "a").status == "retrying"
                    }
                    node.clock.advance(by: .milliseconds(200))
                }
            }
            let detail = "step \"patient\", attempt 1"
            try await node.until(detail) { try await node.describe("lab", "a").waitingFor == detail }
            node.clock.advance(by: .days(300))
            await node.host.ready()
            seen.append(try await node.describe("lab", "a").status)
            node.effects.note("release")
            try await node.until("the end") { try await node.describe("lab", "a").status == "completed" }
            return seen + [try await node.notes()]
        }
        let running = ["running", "still"]
        #expect(
            seen == running + running + running + [
                "running", #"["terminal TimedOut true 1","again TimedOut true 2"]"#,
            ])
    }

    @Test("W15: a body that ignores its cancellation holds nobody back, and its late result is dropped")
    func deafBody() async throws {
        let seen = try await withoutCrashes { workflow, log in
            do {
                try await workflow.step("deaf", timeout: .seconds(5)) {
                    log.note("begin")
                    while !log.entries.contains(where: { $0.name == "release" }) { await Task.yield() }
                    log.note("late")
                }
            } catch let failure as StepFailure {
                try await workflow.turn("note") { $0.state.notes = ["\(failure.timedOut)"] }
            }
            _ = try await workflow.next("wait", from: \.jobs)
        } _: { node in
            try await node.create()
            try await node.until("begin") { node.effects.names == ["begin"] }
            node.clock.advance(by: .seconds(6))
            try await node.until("waiting") { try await node.describe("lab", "a").status == "waiting" }
            node.effects.note("release")
            try await node.until("late") { node.effects.names.contains("late") }
            await node.host.ready()
            try await node.send("lab", "a", "jobs", #""go""#)
            return [try await node.notes(), try await node.end(), try await node.call("lab", "a", "count")]
        }
        #expect(seen == [#"["true"]"#, "completed", "0"])
    }
}
