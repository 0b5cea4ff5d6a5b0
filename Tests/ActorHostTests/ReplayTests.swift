import ActorHost
import Apus
import ClientProtocol
import Foundation
import Identifiers
import Testing
import TimeAndChance
import WorkflowTrials

@Suite("Records and replay")
struct ReplayTests {
    @Test("W1: a name is unique in its scope only, and the record is found by its path")
    func names() async throws {
        let (seen, _) = try await inAllWays { workflow, log in
            let first = try await workflow.step("same") { () -> String in
                log.note("root")
                return "root"
            }
            let all = try await workflow.loop("outer", state: [first]) { outer, all in
                let inner = try await outer.loop("same", state: 0) { inner, count in
                    let text = try await inner.step("same") { [count] in "inner \(count)" }
                    count += 1
                    return count == 2 ? .done(text) : .again
                }
                all.append(inner)
                all.append(try await outer.step("step") { "outer" })
                return all.count == 5 ? .done(all) : .again
            }
            try await workflow.turn("note") { $0.state.notes = all }
        } _: { node in
            try await node.create()
            return [try await node.end(), try await node.notes()]
        }
        #expect(seen == ["completed", #"["root","inner 1","outer","inner 1","outer"]"#])
    }

    @Test("W2 W3 W5: values come back from the record, also no value, and a replay executes nothing")
    func values() async throws {
        let (seen, effects) = try await inAllWays { workflow, log in
            let number: Int? = try await workflow.step("number") {
                log.note("number")
                return 7
            }
            let nothing: Int? = try await workflow.step("nothing") {
                log.note("nothing")
                return nil
            }
            try await workflow.step("void") { log.note("void") }
            let list = try await workflow.step("list") {
                log.note("list")
                return ["a", "ü\n\"", ""]
            }
            let job = try await workflow.next("wait", from: \.jobs)
            try await workflow.turn("note") {
                $0.state.notes =
                    ["\(String(describing: number))", "\(String(describing: nothing))"] + list + [job.body]
            }
        } _: { node in
            try await node.create()
            _ = try await node.end()
            // Three replays more.
            for _ in 0..<3 { node.crash() }
            try await node.send("lab", "a", "jobs", #""go""#)
            _ = try await node.end()
            return [try await node.end(), try await node.notes()]
        }
        #expect(seen[0] == "completed")
        let notes = try JSONDecoder().decode([String].self, from: Data(seen[1].utf8))
        #expect(notes == ["Optional(7)", "nil", "a", "ü\n\"", "", "go"])
        #expect(effects.map(\.name) == ["number", "nothing", "void", "list"])
    }

    @Test("W4: an operation starts after the record of the one before; an ephemeral one does not wait")
    func recordBeforeNext() async throws {
        let script: LabActor.Script = { workflow, log in
            let ephemeral = workflow.key.parts[0] == "ephemeral"
            _ = try await workflow.step("one", ephemeral: ephemeral) {
                log.note("one")
                return 1
            }
            try await workflow.step("two") { log.note("two") }
        }
        // The creation is record 1; the crash comes with the record of the first step, which is lost.
        for (key, names) in [("plain", ["one", "one", "two"]), ("ephemeral", ["one", "two", "one", "two"])] {
            let (_, effects, crashed) = try await Trial { Lab($0, script) }.run(.crashedAfter(records: 1)) {
                node in
                try await node.create(key)
                return try await node.end(key)
            }
            #expect(crashed)
            let attempts = Set(effects.filter { $0.name == "one" }.map(\.attempt))
            #expect(effects.map(\.name) == names, "\(key): \(attempts)")
        }
        try await inAllWays(script) { node in
            try await node.create("ephemeral")
            return [try await node.end("ephemeral")] + node.effects.distinctNames
        }
    }

    @Test("W3 W10: the first effect starts after the actor's creation is durable")
    func creationBeforeEffect() async throws {
        let (_, effects, crashed) = try await Trial { log in
            Lab(log) { workflow, log in try await workflow.step("effect") { log.note("effect") } }
        }.run(.crashedAfter(records: 0)) { node in
            try await node.create()
            return try await node.end()
        }
        #expect(crashed)
        #expect(effects.map(\.life) == [1])
    }

    @Test("W6: a run that has ended is never executed again, and its outcome stays readable")
    func ended() async throws {
        let script: LabActor.Script = { workflow, log in
            log.note("run")
            let fails = workflow.key.parts[0] == "fails"
            try await workflow.step("step") { log.note("step") }
            if fails { throw Oops("on purpose") }
        }
        try await inAllWays(script) { node in
            var seen: [String] = []
            for key in ["works", "fails"] {
                try await node.create(key)
                _ = try await node.end(key)
                let runs = node.effects.entries.count
                for _ in 0..<3 {
                    node.crash()
                    seen.append(try await node.call("lab", key, "add", "1"))
                }
                node.clock.advance(by: .days(400))
                let description = try await node.describe("lab", key)
                seen += [description.status, description.failure]
                seen.append("\(node.effects.entries.count - runs)")
                seen.append("\(try await node.history("lab", key).contains(#""path":"step""#))")
            }
            return seen
        }
    }

    @Test("W8: now, uuid and random are the same on each replay")
    func chance() async throws {
        let (seen, _) = try await inAllWays { workflow, _ in
            func signs(_ workflow: inout Workflow<LabActor>) -> String {
                "\(workflow.now.rawValue) \(workflow.uuid()) \(workflow.uuid()) "
                    + "\(workflow.random(in: 0...999_999)) \(workflow.random())"
            }
            let before = signs(&workflow)
            try await workflow.sleep("pause", for: .seconds(100))
            let after = signs(&workflow)
            _ = try await workflow.next("wait", from: \.jobs)
            let last = try await workflow.loop("loop", state: "") { loop, text in
                text += signs(&loop)
                _ = try await loop.next("wait", from: \.jobs)
                return text.count > 200 ? .done(text) : .again
            }
            // Everything is asked again on each replay, so what is noted must be what was seen the first
            // time.
            try await workflow.turn("note") { $0.state.notes = [before, after, last] }
        } _: { node in
            try await node.create()
            for number in 0..<4 {
                if try await node.end() == "completed" { break }
                let noted = try await node.history("lab", "a")
                node.crash()
                try await node.send("lab", "a", "jobs", #""\#(number)""#)
                #expect(!noted.isEmpty)
            }
            let status = try await node.end()
            let notes = try JSONDecoder().decode([String].self, from: Data(try await node.notes().utf8))
            // Times differ between the ways, numbers do not.
            return [status]
                + notes.map { $0.split(separator: " ").filter { $0.count < 16 || $0.count == 36 }.joined() }
        }
        #expect(seen[0] == "completed")
        #expect(Set(seen).count == 4)
    }

    @Test("W8: a value that replays differently would be seen: it is compared in every life")
    func sameInEveryLife() async throws {
        let (_, effects) = try await inAllWays { workflow, log in
            log.note("start \(workflow.now.rawValue) \(workflow.uuid()) \(workflow.random())")
            for round in 0..<3 {
                _ = try await workflow.next("wait \(round)", from: \.jobs)
                try await workflow.step("step \(round)") {}
                log.note("\(round) \(workflow.now.rawValue) \(workflow.uuid()) \(workflow.random(in: 1...6))")
            }
        } _: { node in
            try await node.create()
            for round in 0..<3 {
                _ = try await node.end()
                if round > 0 { node.crash() }
                node.clock.advance(by: .seconds(3))
                try await node.send("lab", "a", "jobs", #""x""#)
                _ = try await node.end()
            }
            // Of each point in the run there is one observation, in all lives that passed it.
            let places = Set(node.effects.distinctNames.map { $0.split(separator: " ")[0] })
            return [try await node.end(), "\(places.count == node.effects.distinctNames.count)"]
        }
        #expect(Set(effects.map(\.name)).count == 4)
    }
}
