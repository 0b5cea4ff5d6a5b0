import ActorHost
import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import PartitionStore
import Synchronization
import Testing
import WorkflowCore
import WorkflowTrials

/// What actors send and call, in all ways: live, hibernated at every wait, and crashed after every record.
/// "e" is in another partition than "a", and in that of "c".
@Suite("Messages between actors")
struct MessageTests {
    /// Runs `body` in the actor "a"; all others take numbers, and note them.
    static func script(
        _ body: @escaping @Sendable (inout Workflow<LabActor>) async throws -> Void
    ) -> LabActor.Script {
        { workflow, _ in
            guard workflow.key.parts != ["a"] else { return try await body(&workflow) }
            try await workflow.loop("take") { loop in
                let number = try await loop.next("number", from: \.numbers)
                try await loop.turn("note") { $0.state.notes.append("\(number.body)") }
            }
        }
    }

    static func note(_ text: String, _ name: String, _ workflow: inout Workflow<LabActor>) async throws {
        try await workflow.turn(name) { $0.state.notes.append(text) }
    }

    static func count(_ node: TrialNode<Lab>, _ key: String) async throws -> Int {
        let notes = try await node.call("lab", key, "notes")
        return notes == "[]" ? 0 : notes.split(separator: ",").count
    }

    /// What an actor has in its state as JSON; empty while it is not there.
    static func description(_ node: TrialNode<Lab>, _ key: String) async throws -> String {
        do {
            guard case .document(let found) = try await node.perform("lab", key, .describe) else { return "" }
            return found.text
        } catch let error as ActorError where error.code == "not_found" { return "" }
    }

    /// The actor has noted that many numbers.
    static func noted(_ node: TrialNode<Lab>, _ count: Int, _ key: String = "e") async throws -> String {
        try await node.until("\(count) notes of \(key)") {
            try await Self.count(node, key) == count
        }
        return try await node.notes(key)
    }

    @Test("W60: a call performs another actor's action once and returns its result, over crashes of both")
    func calls() async throws {
        let script = Self.script { workflow in
            let first = try await workflow.call("first", \Lab.lab, "e") { $0.add(4) }
            let second = try await workflow.call("second", \Lab.lab, "e") { $0.add(3) }
            let read = try await workflow.call("read", \Lab.lab, "e") { $0.count() }
            let own = try await workflow.call("own", \Lab.lab, "a") { $0.add(1) }
            try await Self.note("\(first) \(second) \(read) \(own)", "note", &workflow)
        }
        let (seen, _) = try await inAllWays(script) { node in
            try await node.create()
            return [
                try await node.end(), try await node.notes(), try await node.call("lab", "e", "count"),
            ]
        }
        #expect(seen == ["completed", #"["4 7 7 1"]"#, "7"])
    }

    @Test("W60: what the other actor throws is the result, and so is that it has no such action")
    func failedCalls() async throws {
        let script = Self.script { workflow in
            var seen: [String] = []
            do { try await workflow.call("late", \Lab.lab, "e") { $0.refuse(9) } } catch let error
                as ActorError
            { seen.append("\(error.group).\(error.code) \(error.metadata)") }
            do { try await workflow.call("broken", \Lab.lab, "e") { $0.breakDown(9) } } catch let error
                as ActorError
            { seen.append("\(error.group).\(error.code)") }
            do { try await workflow.call("stranger", \Strangers.stranger, "e") { $0.ask() } } catch let error
                as ActorError
            { seen.append("\(error.group).\(error.code)") }
            let text = seen.joined(separator: ", ")
            try await Self.note(text, "note", &workflow)
        }
        let (seen, _) = try await inAllWays(script) { node in
            try await node.create()
            return [
                try await node.end(), try await node.notes(), try await node.call("lab", "e", "count"),
            ]
        }
        let errors =
            #"user.too_late [\"hour\": \"23\"], internal.internal_error, "#
            + "actor.kind_not_found"
        #expect(seen == ["completed", "[\"\(errors)\"]", "0"])
    }

    @Test("W60: what a run and its turns send arrives once, in order")
    func sends() async throws {
        let script = Self.script { workflow in
            for number in 0..<3 {
                try await workflow.send("send \(number)", number, to: \.numbers, of: \Lab.lab, "e")
                try await workflow.turn("turn \(number)") { turn in
                    turn.send(10 + number, to: \.numbers, of: \Lab.lab, key: "e")
                    turn.send(20 + number, to: \.numbers, of: \Lab.lab, key: "e")
                    turn.send(30 + number, to: \.numbers, of: \Lab.lab, key: "c")
                }
            }
        }
        let (seen, _) = try await inAllWays(script) { node in
            try await node.create()
            return [try await node.end(), try await Self.noted(node, 9), try await Self.noted(node, 3, "c")]
        }
        #expect(
            seen == [
                "completed", #"["0","10","20","1","11","21","2","12","22"]"#, #"["30","31","32"]"#,
            ])
    }

    @Test("W20, W60: a turn that fails sends nothing; one that ends its actor sends what it says")
    func turnsOfActions() async throws {
        let (seen, _) = try await inAllWays(Self.script { _ in }) { node in
            let refused = try await node.refusal("lab", "c", .action("tell", input: Payload("13")))
            _ = try await node.call("lab", "c", "tell", "1")
            _ = try await node.call("lab", "c", "farewell", "2")
            return [refused ?? "", try await Self.noted(node, 2)]
        }
        #expect(seen == ["user.unlucky", #"["1","2"]"#])
    }

    @Test("W60: a message that cannot be delivered comes back and is kept; the next one arrives")
    func undelivered() async throws {
        let script = Self.script { workflow in
            try await workflow.send("large", String(repeating: "x", count: 65), to: \.jobs, of: \Lab.lab, "e")
            try await workflow.send("stranger", 1, to: \.knocks, of: \Strangers.stranger, "e")
            try await workflow.send("last", 7, to: \.numbers, of: \Lab.lab, "e")
        }
        let (seen, _) = try await inAllWays(script) { node in
            try await node.create()
            let numbers = try await Self.noted(node, 1)
            var text = ""
            try await node.until("both came back") {
                text = try await Self.description(node, "a")
                return text.contains(#""undelivered":{"count":2"#)
            }
            return [
                numbers, "\(text.contains("message.too_large"))", "\(text.contains("actor.kind_not_found"))",
                "\(text.contains(#""to":"stranger/e","queue":"knocks","body":1"#))",
            ]
        }
        #expect(seen == [#"["7"]"#, "true", "true", "true"])
    }

    @Test("W32, W60: a call with a time ends without an answer, and a late one changes nothing")
    func timeouts() async throws {
        let script = Self.script { workflow in
            let none = try await workflow.call("none", \Lab.lab, "e", within: .zero) { $0.add(1) }
            let some = try await workflow.call("some", \Lab.lab, "e", within: .seconds(60)) { $0.add(1) }
            try await Self.note("\(none == nil) \(some ?? 0)", "note", &workflow)
        }
        let (seen, _) = try await inAllWays(script) { node in
            try await node.create()
            return [
                try await node.end(), try await node.notes(), try await node.call("lab", "e", "count"),
            ]
        }
        #expect(seen == ["completed", #"["true 2"]"#, "2"])
    }

    @Test("A31, W60: a message to another actor has a delay, a priority, and a key that lets it count once")
    func options() async throws {
        let script = Self.script { workflow in
            try await workflow.turn("send") { turn in
                turn.send(1, to: \.numbers, of: \Lab.lab, key: "e", delay: .seconds(50))
                turn.send(2, to: \.numbers, of: \Lab.lab, key: "e", deduplicationKey: "k")
                turn.send(3, to: \.numbers, of: \Lab.lab, key: "e", deduplicationKey: "k")
            }
            try await workflow.send("last", 4, to: \.numbers, of: \Lab.lab, "e", deduplicationKey: "k")
        }
        let (seen, _) = try await inAllWays(script) { node in
            try await node.create()
            _ = try await node.end()
            let early = try await Self.noted(node, 1)
            node.clock.advance(by: .seconds(60))
            return [early, try await Self.noted(node, 2)]
        }
        #expect(seen == [#"["2"]"#, #"["2","1"]"#])
    }

    @Test("W60: a full queue holds messages back until there is room")
    func backPressure() async throws {
        let script: LabActor.Script = { workflow, _ in
            guard workflow.key.parts != ["a"] else {
                return try await workflow.turn("send") { turn in
                    for number in 0..<12 { turn.send("\(number)", to: \.jobs, of: \Lab.lab, key: "e") }
                }
            }
            _ = try await workflow.next("start", from: \.numbers)
            try await workflow.loop("take") { loop in
                let job = try await loop.next("job", from: \.jobs)
                try await loop.turn("note") { $0.state.notes.append(job.body) }
            }
        }
        let (seen, _) = try await inAllWays(script) { node in
            try await node.create()
            try await node.until("the queue is full") {
                try await Self.description(node, "e").contains(#""jobs":5"#)
            }
            try await node.send("lab", "e", "numbers", "1")
            try await node.until("all have come") {
                node.clock.advance(by: .seconds(1))
                return try await Self.count(node, "e") == 12
            }
            return try await node.notes("e")
        }
        #expect(seen == #"["0","1","2","3","4","5","6","7","8","9","10","11"]"#)
    }

    @Test("W60: a message to a run that has ended, or that waits too long for room, comes back")
    func givenUp() async throws {
        let script: LabActor.Script = { workflow, _ in
            switch workflow.key.parts {
            case ["a"]:
                try await workflow.turn("send") { turn in
                    for number in 0..<7 { turn.send("\(number)", to: \.jobs, of: \Lab.lab, key: "e") }
                    for number in 0..<7 { turn.send("\(number)", to: \.jobs, of: \Lab.lab, key: "c") }
                }
            case ["e"]: break
            default: _ = try await workflow.next("never", from: \.asks)
            }
        }
        let (seen, _) = try await inAllWays(script) { node in
            try await node.create()
            var text = ""
            try await node.until("four came back") {
                node.clock.advance(by: .seconds(10))
                text = try await Self.description(node, "a")
                return text.contains(#""undelivered":{"count":4"#)
            }
            return [text.contains("\"body\":\"5\""), text.contains("\"body\":\"4\"")]
        }
        #expect(seen == [true, false])
    }

    @Test("W60: an answer to an actor that is gone is dropped, and what follows goes on")
    func callerGone() async throws {
        let script = Self.script { workflow in
            _ = try await workflow.call("first", \Lab.lab, "e") { $0.add(4) }
        }
        try await inAllWays(script) { node in
            try await node.create()
            try await node.until("e was called") {
                // What came before its partition was served comes again after a while.
                node.clock.advance(by: .milliseconds(50))
                return try await node.call("lab", "e", "count") == "4"
            }
            // It may be gone before the answer is there, or after.
            _ = try await node.perform("lab", "a", .destroy)
            try await node.create()
            _ = try await node.end()
            return try await node.call("lab", "e", "count")
        }
    }

    @Test("W60, A11: a run calls asynchronous actions, whose turns happen once; others do not wait for them")
    func asynchronousActions() async throws {
        let script = Self.script { workflow in
            try await workflow.send("before", 1, to: \.numbers, of: \Lab.lab, "e")
            let some = try await workflow.call("some", \Lab.lab, "e") { $0.slow(4) }
            var code = ""
            do { try await workflow.call("fails", \Lab.lab, "e") { $0.slow(13) } } catch let error
                as ActorError
            { code = error.code }
            let none = try await workflow.call("none", \Lab.lab, "e", within: .zero) { $0.slow(5) }
            try await Self.note("\(some) \(code) \(none == nil)", "note", &workflow)
        }
        let (seen, _) = try await inAllWays(script) { node in
            try await node.create()
            let status = try await node.end()
            try await node.until("the call that nobody waits for has ended") {
                try await node.call("lab", "e", "count") == "222"
            }
            try await node.until("no call is kept any more") {
                // So that a crash comes to light.
                _ = try await node.call("lab", "e", "count")
                return (0..<4).allSatisfy {
                    node.store.items(of: .partition, in: PartitionID($0), space: .call).isEmpty
                }
            }
            return [status, try await node.notes(), try await Self.noted(node, 1)]
        }
        #expect(seen == ["completed", #"["4 unlucky true"]"#, #"["1"]"#])
    }

    @Test("W60: an answer to an actor that the code cannot wake is kept until it can")
    func unreadableCaller() async throws {
        let script = Self.script { workflow in
            let sum = try await workflow.call("slow", \BarrierOnly.barrier, "g") { $0.pass() }
            try await Self.note("\(sum)", "note", &workflow)
        }
        let barrier = Barrier()
        try await live(script) { node in
            try node.deploy(BarrierAndLab(barrier: barrier, lab: LabActor(log: node.effects, script)))
            try await node.create()
            try await node.until("the barrier is asked") { barrier.isAsked }
            // The caller's kind is not known to the next program, which opens the barrier.
            barrier.open()
            try node.deploy(BarrierOnly(barrier: barrier))
            try await node.until("the answer is kept") { try Self.hasAnswer(node.store) }
            try node.deploy(BarrierAndLab(barrier: barrier, lab: LabActor(log: node.effects, script)))
            #expect(try await node.end() == "completed")
            #expect(try await node.notes() == #"["7"]"#)
            #expect(try await node.call("barrier", "g", "count") == "1")
            return 0
        }
    }

    /// Whether the history of "a" has the answer to a call.
    private static func hasAnswer(_ store: MemoryStore) throws -> Bool {
        let address = ActorAddress(kind: try ActorKind("lab"), key: try ActorKey(["a"]))
        let partition = store.identity.ring.partition(of: address)
        guard let actor = store.actor(at: address, in: partition) else { return false }
        return try store.items(of: actor.id, in: partition, space: .history).contains { item in
            if case .call(_, _, .answered) = try HistoryEntry.decode(item.body).operation {
                true
            } else {
                false
            }
        }
    }

    @Test("A11: an asynchronous action calls other actors")
    func actionsCall() async throws {
        let (seen, _) = try await inAllWays(Self.script { _ in }) { node in
            let sum = try await node.call("lab", "c", "gather", #"["d","e"]"#)
            let refused = try await node.refusal("lab", "c", .action("gather", input: Payload(#"["bad"]"#)))
            return [sum, refused ?? ""]
        }
        #expect(seen == ["0", "user.unlucky"])
    }

    @Test("W60: the history tells what was sent and called, and what came of it")
    func history() async throws {
        let script = Self.script { workflow in
            try await workflow.send("send", 1, to: \.numbers, of: \Lab.lab, "e")
            _ = try await workflow.call("call", \Lab.lab, "e", within: .seconds(60)) { $0.add(2) }
            do { try await workflow.call("refused", \Lab.lab, "e") { $0.refuse(9) } } catch is ActorError {}
        }
        try await live(script) { node in
            try await node.create()
            #expect(try await node.end() == "completed")
            let text = try await node.history("lab", "a")
            for part in [
                #""kind":"send""#, #""to":"lab/e""#, #""kind":"call""#, #""value":2"#, #""status":"failed""#,
                "too_late: the door is closed", #""deadline":"#,
            ] { #expect(text.contains(part), "\(part) in \(text)") }
            return 0
        }
    }
}

/// An asynchronous action that waits until it is let through.
final class Barrier: DurableActor {
    struct State: DurableState { var count = 0 }
    struct Actions: Declarations {
        let count = Query<Int> { $0.state.count }
        let pass = AsyncAction<NoInput, Int> { context -> Int in
            context.definition.live.withLock { $0.isAsked = true }
            while !context.definition.live.withLock({ $0.isOpen }) { await Task.yield() }
            try await context.turn { $0.state.count += 1 }
            return 7
        }
    }
    private let live = Mutex((isAsked: false, isOpen: false))
    var isAsked: Bool { live.withLock { $0.isAsked } }
    func open() { live.withLock { $0.isOpen = true } }
}

struct BarrierOnly: Registry {
    var barrier = Barrier()
}

struct BarrierAndLab: Registry {
    var barrier = Barrier()
    var lab = LabActor(log: EffectLog()) { _, _ in }
}

/// Kinds that no node of the tests has.
struct Strangers: Registry {
    let stranger = Stranger()
}

struct Stranger: DurableActor {
    struct Queues: Declarations { let knocks = Queue<Int>() }
    struct Actions: Declarations { let ask = Query<Int> { _ in 1 } }
}
