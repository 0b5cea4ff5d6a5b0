import ActorHost
import Apus
import ClientProtocol
import Foundation
import Testing
import WorkflowCore
import WorkflowTrials

@Suite("Loops and what is told of a run")
struct LoopTests {
    private func iterations(_ node: TrialNode<Lab>) async throws -> (count: Int, numbers: Set<Int>) {
        let text = try await node.history("lab", "a")
        let json = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let entries = try #require(json["entries"] as? [[String: Any]])
        var numbers: Set<Int> = []
        for entry in entries {
            let parts = (entry["path"] as? String ?? "").split(separator: "/")
            if parts.count > 1, parts[1].hasPrefix("#"), let number = Int(parts[1].dropFirst()) {
                numbers.insert(number)
            }
        }
        return (entries.count, numbers)
    }

    @Test("W40: the state goes from iteration to iteration, and the value of the last is the loop's")
    func stateAndValue() async throws {
        let (seen, effects) = try await inAllWays { workflow, log in
            let sum = try await workflow.loop("sum", state: [0]) { loop, list in
                let next = list.count
                let value = try await loop.step("square") {
                    log.note("square \(next)")
                    return next * next
                }
                list.append(value)
                return list.count == 5 ? .done(list.reduce(0, +)) : .again
            }
            _ = try await workflow.next("wait", from: \.jobs)
            try await workflow.turn("note") { $0.state.count = sum }
        } _: { node in
            try await node.create()
            _ = try await node.end()
            node.crash()
            try await node.send("lab", "a", "jobs", #""go""#)
            return [try await node.end(), try await node.call("lab", "a", "count")]
        }
        #expect(seen == ["completed", "30"])
        #expect(effects.count == 4)
    }

    @Test("W40: a loop of 200 iterations keeps the last 20, and a replay goes on in the current one")
    func pruning() async throws {
        let options = ActorOptions(historyMax: 100)
        let seen = try await withoutCrashes(options: options) { workflow, log in
            try await workflow.loop("rounds") { loop in
                let job = try await loop.next("take", from: \.numbers)
                try await loop.step("work") {
                    log.note("\(job.body)")
                } commit: {
                    $0.state.count += 1
                }
            }
        } _: { node in
            for number in 0..<200 {
                try await node.send("lab", "a", "numbers", "\(number)")
                if number % 61 == 60 {
                    _ = try await node.end()
                    node.crash()
                }
            }
            try await node.until("all") { try await node.call("lab", "a", "count") == "200" }
            node.crash()
            let status = try await node.end()
            let (count, numbers) = try await iterations(node)
            #expect(node.effects.entries.map(\.name) == (0..<200).map(String.init))
            return [
                status, "\(count <= 45)",
                "\((179...180).contains(numbers.min() ?? -1)) \(numbers.max() ?? -1)",
            ]
        }
        #expect(seen == ["waiting", "true", "true 199"])
    }

    @Test("W40: crashes at each record around the pruning line leave the same history")
    func pruningWithCrashes() async throws {
        let options = ActorOptions(retainedIterations: 2)
        try await inAllWays(options: options) { workflow, log in
            _ = try await workflow.loop("rounds", state: 0) { loop, round in
                try await loop.step("work") { [round] in log.note("\(round)") }
                _ = try await loop.loop("inner", state: 0) { inner, count in
                    try await inner.turn("turn") { $0.state.count += 1 }
                    count += 1
                    return count == 2 ? .done(count) : .again
                }
                round += 1
                return round == 6 ? .done(round) : .again
            }
            _ = try await workflow.next("wait", from: \.jobs)
        } _: { node in
            try await node.create()
            let status = try await node.end()
            let (count, numbers) = try await iterations(node)
            return [status, "\(count)", "\(numbers.sorted())", try await node.call("lab", "a", "count")]
        }
    }

    @Test("W40: no iterations are kept if none are to be kept, and a loop without operations ends")
    func extremes() async throws {
        let (seen, _) = try await inAllWays(options: ActorOptions(retainedIterations: 0)) { workflow, _ in
            let rounds = try await workflow.loop("idle", state: 0) { _, round in
                round += 1
                return round == 500 ? .done(round) : .again
            }
            _ = try await workflow.loop("busy", state: 0) { loop, round in
                _ = try await loop.step("s") { 1 }
                round += 1
                return round == 3 ? .done(round) : .again
            }
            try await workflow.turn("note") { $0.state.count = rounds }
        } _: { node in
            try await node.create()
            let status = try await node.end()
            return [
                status, try await node.call("lab", "a", "count"), "\(try await iterations(node).numbers)",
            ]
        }
        #expect(seen == ["completed", "500", "[]"])
    }

    @Test("W80: each state has its name, its since, and says what it waits for")
    func states() async throws {
        let seen = try await withoutCrashes { workflow, log in
            try await workflow.step("hold", timeout: nil) {
                while !log.entries.contains(where: { $0.name == "release" }) { await Task.yield() }
            }
            try await workflow.sleep("nap", for: .seconds(50))
            _ = try await workflow.next("take", from: \.jobs, \.numbers)
            do {
                try await workflow.step("flaky", retry: .upTo(1)) { throw Oops("no") }
            } catch is StepFailure {}
            throw Oops("the end")
        } _: { node in
            var seen: [String] = []
            func note(_ status: String) async throws {
                try await node.until(status) { try await node.describe("lab", "a").status == status }
                let found = try await node.describe("lab", "a")
                seen.append("\(found.status): \(found.waitingFor)\(found.failure)")
            }
            try await node.create()
            try await note("running")
            node.effects.note("release")
            try await note("sleeping")
            node.clock.advance(by: .seconds(50))
            try await note("waiting")
            try await node.send("lab", "a", "jobs", #""go""#)
            try await note("retrying")
            node.clock.advance(by: .seconds(1))
            try await note("failed")
            return seen
        }
        #expect(
            seen == [
                #"running: step "hold", attempt 1"#, "sleeping: its time",
                #"waiting: a message in "jobs" or "numbers""#,
                #"retrying: the next attempt of step "flaky""#, "failed: the end",
            ])
    }

    @Test("W80: since is when the state began, awake and asleep")
    func since() async throws {
        try await withoutCrashes { workflow, _ in
            try await workflow.sleep("nap", for: .hours(1))
            _ = try await workflow.next("take", from: \.jobs)
        } _: { node in
            func since() async throws -> String {
                guard case .document(let payload) = try await node.perform("lab", "a", .describe),
                    let range = payload.text.range(of: #""since":"#)
                else { return "" }
                return String(payload.text[range.upperBound...].prefix { $0 != "," })
            }
            try await node.create()
            try await node.until("sleeping") { try await node.describe("lab", "a").status == "sleeping" }
            let first = try await since()
            node.clock.advance(by: .minutes(30))
            _ = try await node.call("lab", "a", "count")
            let later = try await since()
            #expect(first == later)
            node.clock.advance(by: .minutes(30))
            try await node.until("waiting") { try await node.describe("lab", "a").status == "waiting" }
            return "\(try await since() != first)"
        }
    }
}
