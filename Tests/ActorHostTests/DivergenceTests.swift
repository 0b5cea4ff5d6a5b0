import ActorHost
import Apus
import Testing
import WorkflowTrials

@Suite("Code that does not fit its history")
struct DivergenceTests {
    struct Change: Sendable, CustomTestStringConvertible {
        var name: String
        var code: LabActor.Script
        /// What the diff says, in pieces.
        var says: [String]
        var testDescription: String { name }
    }

    static let original: LabActor.Script = { workflow, log in
        try await workflow.step("first") { log.note("first") }
        try await workflow.step("second") { log.note("second") }
        _ = try await workflow.next("wait", from: \.jobs)
        try await workflow.step("third") { log.note("third") }
    }

    static let changes: [Change] = [
        Change(
            name: "another kind",
            code: { workflow, log in
                try await workflow.step("first") { log.note("first") }
                try await workflow.turn("second") { $0.state.count = 99 }
                log.note("beyond")
            }, says: [#""second""#, "history has a step", "asks for a turn"]),
        Change(
            name: "a renamed step",
            code: { workflow, log in
                try await workflow.step("first") { log.note("first") }
                try await workflow.step("deux") { log.note("beyond") }
                _ = try await workflow.next("wait", from: \.jobs)
            }, says: [#""deux""#, "new step", "step second"]),
        Change(
            name: "a removed step",
            code: { workflow, log in
                try await workflow.step("first") { log.note("first") }
                _ = try await workflow.next("wait", from: \.jobs)
                try await workflow.step("third") { log.note("beyond") }
            }, says: [#""wait""#, "new next", "step second"]),
        Change(
            name: "an inserted step",
            code: { workflow, log in
                try await workflow.step("first") { log.note("first") }
                try await workflow.step("between") { log.note("beyond") }
                try await workflow.step("second") { log.note("second") }
                _ = try await workflow.next("wait", from: \.jobs)
            }, says: [#""between""#, "new step", "step second"]),
        Change(
            name: "a name that is used twice",
            code: { workflow, log in
                try await workflow.step("first") { log.note("first") }
                try await workflow.step("first") { log.note("beyond") }
            }, says: [#""first""#, "twice"]),
        Change(
            name: "an end before its time",
            code: { workflow, log in try await workflow.step("first") { log.note("first") } },
            says: ["the run", "also has", "step second"]),
        Change(
            name: "an error before its time",
            code: { workflow, log in
                try await workflow.step("first") { log.note("first") }
                throw Oops("new opinion")
            }, says: ["the run", "also has", "step second"]),
    ]

    @Test(
        "W7: at the root, the run parks with a diff, answers, and goes on with fixed code", arguments: changes
    )
    func atTheRoot(change: Change) async throws {
        try await check(change, Self.original, fixed: Self.original)
    }

    static func looped(_ body: @escaping LabActor.Script) -> LabActor.Script {
        { workflow, log in
            _ = try await workflow.step("before") { 1 }
            _ = try await workflow.loop("rounds", state: 0) { loop, round in
                if round == 0 {
                    _ = try await loop.step("early") { 2 }
                } else {
                    try await body(&loop, log)
                }
                round += 1
                return round == 2 ? .done(NothingMuch()) : .again
            }
        }
    }

    @Test("W7: in an iteration of a loop", arguments: changes)
    func inALoop(change: Change) async throws {
        let says = change.says.map {
            switch $0 {
            case "the run": #""rounds/#1""#
            default: $0.hasPrefix("\"") ? "rounds/#1/" + $0.dropFirst() : $0
            }
        }
        let changed = Change(name: change.name, code: Self.looped(change.code), says: says)
        // An error leaves the loop, too, and what it leaves behind is found at the run's end.
        let error = change.name == "an error before its time"
        try await check(
            error ? Change(name: change.name, code: changed.code, says: ["also has", "second"]) : changed,
            Self.looped(Self.original), fixed: Self.looped(Self.original))
    }

    @Test("W7: a name that is used twice in code that was never different")
    func twiceFromTheStart() async throws {
        let seen = try await withoutCrashes { workflow, log in
            try await workflow.step("one") { log.note("one") }
            try await workflow.step("one") { log.note("again") }
        } _: { node in
            try await node.create()
            let found = try await node.settle("lab", "a")
            return [found.status, "\(found.reason.contains("twice"))"] + node.effects.distinctNames
        }
        #expect(seen == ["stalled", "true", "one"])
    }

    private func check(
        _ change: Change, _ original: @escaping LabActor.Script, fixed: LabActor.Script
    ) async throws {
        let (seen, _) = try await inAllWays(original) { node in
            var seen: [String] = []
            try await node.create()
            seen.append(try await node.end())
            try node.deploy(Lab(node.effects, change.code))
            seen.append(try await node.call("lab", "a", "add", "1"))
            let parked = try await node.settle("lab", "a")
            seen.append(parked.status)
            for piece in change.says where !parked.reason.contains(piece) {
                seen.append("no \(piece) in \(parked.reason)")
            }
            // Parked is parked, also over a week, a further action and a restart.
            node.clock.advance(by: .days(7))
            seen.append(try await node.call("lab", "a", "add", "1"))
            node.crash()
            seen.append(try await node.call("lab", "a", "add", "1"))
            let still = try await node.settle("lab", "a")
            seen.append("\(still.status) \(still.reason == parked.reason)")
            try node.deploy(Lab(node.effects, original))
            try await node.send("lab", "a", "jobs", #""go""#)
            _ = try await node.end()
            seen.append(try await node.end())
            return seen + node.effects.distinctNames
        }
        #expect(
            seen == [
                "waiting", "1", "stalled", "2", "3", "stalled true", "completed", "first", "second", "third",
            ],
            "\(change.name)")
    }
}

/// A result that says nothing.
struct NothingMuch: Codable, Sendable {}
