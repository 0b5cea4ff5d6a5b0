import ActorHost
import Apus
import ClientProtocol
import Foundation
import Identifiers
import Testing
import TimeAndChance
import WorkflowCore
import WorkflowTrials

@Suite("Turns and waiting")
struct WaitTests {
    @Test("W20: a turn that throws changes nothing, is recorded, and is thrown alike on each replay")
    func throwingTurn() async throws {
        let (seen, _) = try await inAllWays { workflow, log in
            var failure = ""
            do {
                try await workflow.turn("bad") { turn in
                    turn.state.count = 1_000
                    turn.send("never", to: \.jobs)
                    turn.broadcast(\.changed, 1)
                    throw Oops("half way")
                }
            } catch let error as StepFailure { failure = "\(error.type): \(error.message)" }
            log.note(failure)
            let value = try await workflow.turn("good") { turn in
                turn.state.count += 1
                return turn.state.count
            }
            _ = try await workflow.next("wait", from: \.jobs)
            try await workflow.turn("note") { [failure] in $0.state.notes = [failure, "\(value)"] }
        } _: { node in
            try await node.create()
            let first = try await node.end()
            node.crash()
            try await node.send("lab", "a", "jobs", #""go""#)
            let history = try await node.history("lab", "a").contains("half way")
            _ = try await node.end()
            #expect(Set(node.effects.entries.map(\.name)) == ["Oops: half way"])
            return [first, try await node.end(), try await node.notes(), "\(history)"]
        }
        #expect(seen == ["waiting", "completed", #"["Oops: half way","1"]"#, "true"])
    }

    @Test("W21: turns of the workflow and of actions are serial, and all of them count")
    func serialTurns() async throws {
        let (seen, _) = try await inAllWays { workflow, _ in
            for number in 0..<5 {
                try await workflow.turn("add \(number)") { turn in
                    let before = turn.state.count
                    turn.state.count = before + 1
                }
            }
        } _: { node in
            try await node.create()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<5 { group.addTask { _ = try await node.call("lab", "a", "add", "10") } }
                try await group.waitForAll()
            }
            return [try await node.end(), try await node.call("lab", "a", "count")]
        }
        #expect(seen == ["completed", "55"])
    }

    @Test(
        "W30: never early, a past deadline passes at once, a year and 300,000 years are lengths like others")
    func sleeping() async throws {
        let (seen, _) = try await inAllWays { workflow, _ in
            let start = workflow.now
            try await workflow.sleep("past", until: Timestamp(rawValue: 1))
            try await workflow.sleep("nothing", for: .zero)
            try await workflow.sleep("backwards", for: .seconds(-5))
            let atOnce = workflow.now.since(start) < .days(1)
            try await workflow.sleep("a-year", for: .days(365))
            let early = workflow.now.since(start) < .days(365)
            try await workflow.turn("note") { $0.state.notes = ["\(atOnce)", "\(early)"] }
            try await workflow.sleep("ages", for: .days(365 * 300_000))
            try await workflow.turn("never") { $0.state.notes = [] }
        } _: { node in
            try await node.create()
            // Requests order what the actor does, so the run is at its sleep after one.
            try await node.until("sleeping") { try await node.describe("lab", "a").status == "sleeping" }
            node.clock.advance(by: .days(364))
            await node.host.ready()
            let before = try await node.notes()
            for _ in 0..<8 where try await node.notes() == "[]" { node.clock.advance(by: .days(1)) }
            try await node.until("notes") { try await node.notes() != "[]" }
            try await node.until("ages") { try await node.describe("lab", "a").status == "sleeping" }
            let history = try await node.history("lab", "a").contains("ages")
            return [before, try await node.notes(), "\(history)"]
        }
        #expect(seen == ["[]", #"["true","false"]"#, "true"])
    }

    @Test("W30: the deadline is that of the first visit, not of a later life")
    func deadlineOfTheFirstVisit() async throws {
        let seen = try await live { workflow, _ in
            try await workflow.sleep("hour", for: .hours(1))
        } _: { node in
            try await node.create()
            for _ in 0..<4 {
                try await node.until("sleeping") { try await node.describe("lab", "a").status == "sleeping" }
                node.clock.advance(by: .minutes(14))
                node.crash()
            }
            try await node.until("sleeping") { try await node.describe("lab", "a").status == "sleeping" }
            node.clock.advance(by: .minutes(4))
            try await node.until("the end") { try await node.describe("lab", "a").status == "completed" }
            return 1
        }
        #expect(seen == 1)
    }

    @Test("W31 W32: two queues in order of arrival, batches, and nil after the time")
    func queues() async throws {
        let (seen, _) = try await inAllWays { workflow, _ in
            _ = try await workflow.next("begin", from: \.asks)
            var seen: [String] = []
            for number in 0..<4 {
                switch try await workflow.next("either \(number)", from: \.jobs, \.numbers) {
                case .first(let job): seen.append("job \(job.body)")
                case .second(let count): seen.append("number \(count.body)")
                }
            }
            let batch = try await workflow.batch("batch", from: \.jobs, upTo: 2)
            seen.append(batch.map(\.body).joined(separator: "+"))
            let rest = try await workflow.batch("rest", from: \.jobs, upTo: 10)
            seen.append(rest.map(\.body).joined(separator: "+"))
            let none = try await workflow.next("none", from: \.jobs, within: .seconds(10))
            let empty = try await workflow.batch("empty", from: \.numbers, upTo: 3, within: .seconds(10))
            seen.append("\(none?.body ?? "nil") \(empty.count)")
            try await workflow.turn("note") { [seen] in $0.state.notes = seen }
            let last = try await workflow.next("last", from: \.jobs, within: .days(10))
            try await workflow.turn("note last") { $0.state.notes.append(last?.body ?? "nil") }
        } _: { node in
            try await node.create()
            for body in ["a", "b"] { try await node.send("lab", "a", "jobs", #""\#(body)""#) }
            try await node.send("lab", "a", "numbers", "1")
            try await node.send("lab", "a", "jobs", #""c""#)
            for body in ["d", "e"] { try await node.send("lab", "a", "jobs", #""\#(body)""#) }
            node.clock.advance(by: .seconds(3))
            let full =
                try await node.refusal("lab", "a", .send(queue: "jobs", body: Payload(#""f""#))) ?? "taken"
            try await node.send("lab", "a", "asks", #""begin""#)
            try await node.until("room") { try await node.describe("lab", "a").status != "running" }
            try await node.send("lab", "a", "jobs", #""f""#)
            for _ in 0..<4 where try await node.notes() == "[]" {
                try await node.until("wait") { try await node.describe("lab", "a").status == "waiting" }
                node.clock.advance(by: .seconds(11))
                await node.host.ready()
            }
            try await node.until("notes") { try await node.notes() != "[]" }
            try await node.send("lab", "a", "jobs", #""g""#)
            return [full, try await node.end(), try await node.notes()]
        }
        #expect(
            seen == [
                "queue.full", "completed", #"["job a","job b","number 1","job c","d+e","f","nil 0","g"]"#,
            ])
    }

    @Test("W33: completed once, by `complete` or in a turn; the second time is an error, live and on replay")
    func completedOnce() async throws {
        let (seen, _) = try await inAllWays { workflow, log in
            var seen: [String] = []
            let first = try await workflow.next("first", from: \.asks)
            try await first.complete("one")
            do { try await first.complete("two") } catch { seen.append("\(type(of: error))") }
            let second = try await workflow.next("second", from: \.asks)
            let reply = try await workflow.turn("answer", answering: second) { turn in
                turn.state.count += 1
                return "turn \(turn.state.count)"
            }
            do { try await second.complete("three") } catch { seen.append("\(type(of: error))") }
            do {
                try await workflow.turn("again", answering: second) { turn in
                    turn.state.count += 1_000
                    turn.send("never", to: \.jobs)
                    return "four"
                }
            } catch { seen.append("refused") }
            let third = try await workflow.next("third", from: \.asks)
            do {
                try await workflow.turn("throws", answering: third) { turn in
                    turn.state.count += 1_000
                    throw Oops("no")
                }
            } catch { seen.append("thrown") }
            try await third.complete("after the error")
            log.note("\(seen)")
            _ = try await workflow.next("wait", from: \.jobs)
            try await workflow.turn("note") { [seen] in $0.state.notes = seen + [reply] }
        } _: { node in
            var seen: [String?] = []
            try await node.create()
            for number in 1...3 { seen.append(try await node.request("lab", "a", "asks", #""\#(number)""#)) }
            _ = try await node.end()
            node.crash()
            seen.append(try await node.call("lab", "a", "count"))
            try await node.send("lab", "a", "jobs", #""go""#)
            try await node.until("the end") { try await node.describe("lab", "a").status == "completed" }
            seen.append("completed")
            seen.append(try await node.notes())
            #expect(Set(node.effects.entries.map(\.name)).count == 1)
            return seen
        }
        #expect(
            seen == [
                #""one""#, #""turn 1""#, #""after the error""#, "1", "completed",
                #"["MessageAlreadyCompleted","MessageAlreadyCompleted","refused","thrown","turn 1"]"#,
            ])
    }

    @Test(
        "W33: asking again with the same identity gets the same answer, after a crash and hibernation"
    )
    func askingAgain() async throws {
        let (seen, _) = try await inAllWays { workflow, log in
            try await workflow.loop("asks") { loop in
                let ask = try await loop.next("take", from: \.asks)
                log.note("took \(ask.body)")
                try await loop.turn("answer", answering: ask) { turn in
                    turn.state.count += 1
                    return "\(ask.body) is \(turn.state.count)"
                }
            }
        } _: { node in
            var seen: [String] = []
            for identity in [
                RequestIdentity.key("k"), .session(SessionID(high: 9, low: 9), sequence: 3, acknowledged: 0),
            ] {
                let ask = ActorRequest.Operation.request(
                    queue: "asks", body: Payload(#""x""#), timeoutMillis: nil)
                for _ in 0..<3 {
                    guard case .completed(let reply) = try await node.perform("lab", "a", ask, as: identity)
                    else {
                        continue
                    }
                    seen.append(reply.text)
                    node.clock.advance(by: .minutes(1))
                    node.crash()
                }
            }
            return seen + [try await node.call("lab", "a", "count")]
        }
        let (one, two) = (#""x is 1""#, #""x is 2""#)
        #expect(seen == [one, one, one, two, two, two, "2"])
    }

    @Test("W33: a request whose time is over is answered so, and gets its answer by asking again")
    func timedOut() async throws {
        let seen = try await live { workflow, _ in
            _ = try await workflow.next("gate", from: \.jobs)
            let ask = try await workflow.next("take", from: \.asks)
            try await ask.complete("late")
        } _: { node in
            var seen: [String] = []
            for millis: UInt64? in [0, 0, nil] {
                if millis == nil { try await node.send("lab", "a", "jobs", #""go""#) }
                let reply = try await node.perform(
                    "lab", "a", .request(queue: "asks", body: Payload(#""x""#), timeoutMillis: millis),
                    as: .key("k"))
                if case .completed(let payload) = reply {
                    seen.append(payload.text)
                } else {
                    seen.append("\(reply)")
                }
            }
            return seen
        }
        #expect(seen == ["timedOut", "timedOut", #""late""#])
    }

    @Test("W35 A5: who only waits leaves memory; a message and a timer wake it")
    func hibernation() async throws {
        let (seen, _, _) = try await Trial { log in
            Lab(log) { workflow, _ in
                _ = try await workflow.next("wait", from: \.jobs)
                try await workflow.sleep("hour", for: .hours(1))
            }
        }.run(.hibernatedAtEveryWait) { node in
            var seen: [String] = []
            func asleep() async throws {
                try await node.until("asleep") { try await !node.describe("lab", "a").isAwake }
                let found = try await node.describe("lab", "a")
                seen += [found.status, found.waitingFor]
            }
            try await node.create()
            try await asleep()
            let status = await node.host.status().text
            seen.append("\(status.contains(#""actorsAwake":0"#)) \(status.contains(#""timers":0"#))")
            try await node.send("lab", "a", "jobs", #""go""#)
            try await asleep()
            let sleeping = await node.host.status().text
            seen.append("\(sleeping.contains(#""actorsAwake":0"#)) \(sleeping.contains(#""timers":1"#))")
            node.clock.advance(by: .hours(1))
            try await node.until("the end") { try await node.describe("lab", "a").status == "completed" }
            return seen
        }
        #expect(
            seen == ["waiting", #"a message in "jobs""#, "true true", "sleeping", "its time", "true true"])
    }

    @Test(
        "W34: who waits for a message that the failing run took is told, at once and when asking again"
    )
    func takenAndFailed() async throws {
        let (seen, _) = try await inAllWays { workflow, _ in
            let ask = try await workflow.next("take", from: \.asks)
            try await workflow.step("fails", retry: .never) { throw Oops(ask.body) }
        } _: { node in
            var seen: [String?] = []
            let ask = ActorRequest.Operation.request(
                queue: "asks", body: Payload(#""x""#), timeoutMillis: nil)
            for _ in 0..<3 {
                seen.append(try await node.refusal("lab", "a", ask, as: .key("k")))
                node.crash()
            }
            seen.append(try await node.refusal("lab", "a", ask, as: .key("other")))
            return seen + [try await node.end()]
        }
        #expect(
            seen == [
                "internal.internal_error", "internal.internal_error", "internal.internal_error",
                "actor.run_ended", "failed",
            ])
    }
}
