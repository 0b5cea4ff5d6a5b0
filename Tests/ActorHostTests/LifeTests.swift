import ActorHost
import Apus
import ClientProtocol
import Identifiers
import Synchronization
import Testing
import WorkflowTrials

/// An actor that writes down its hooks.
private struct Hooked: DurableActor {
    struct State: DurableState { var hooks: [String] = [] }
    struct Input: Codable, Sendable { var mode: String }
    struct Queues: Declarations { let jobs = Queue<String>() }
    struct Actions: Declarations {
        let hooks = Query<[String]> { $0.state.hooks }
    }
    func onCreate(_ turn: inout Turn<Self>, input: Input?) throws {
        if input?.mode == "end" { turn.destroy() }
        turn.state.hooks.append("create \(input?.mode ?? "")")
        turn.send("from onCreate", to: \.jobs)
    }
    func onWake(_ turn: inout Turn<Self>) throws {
        if turn.state.hooks == ["create no wake"] { throw ActorError("sleepy", "does not want to wake") }
        turn.state.hooks.append("wake")
    }
    func onSleep(_ turn: inout Turn<Self>) throws {
        turn.state.hooks.append("sleep")
        if turn.state.hooks.contains("create goes") { turn.destroy() }
    }
    func run(_ workflow: inout Workflow<Self>) async throws {
        let job = try await workflow.next("first", from: \.jobs)
        try await workflow.turn("run") { $0.state.hooks.append("run \(job.body)") }
        _ = try await workflow.next("wait", from: \.jobs)
    }
}

/// An actor with something to do at its end.
private struct Mortal: DurableActor {
    struct State: DurableState {
        var isKept = false
        var said = 0
    }
    struct Events: Declarations { let said = Event<String>() }
    struct Actions: Declarations {
        let keep = Action<Bool, NoOutput> { (turn, isKept) -> Void in turn.state.isKept = isKept }
        let end = Action<NoInput, NoOutput> { (turn, _) -> Void in
            turn.state.said += 1
            turn.broadcast(\.said, "ends")
            turn.destroy()
        }
        let said = Query<Int> { $0.state.said }
    }
    func onDestroy(_ turn: inout Turn<Self>) throws {
        guard !turn.state.isKept else { throw ActorError("kept", "it has to stay") }
        turn.broadcast(\.said, "last words after \(turn.state.said)")
    }
    func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.sleep("wait", for: .days(1))
    }
}

private struct Mortals: Registry {
    let mortal = Mortal()
    init() {}
}

private struct Hooks: Registry {
    let hooked = Hooked()
    init() {}
}

@Suite("Identity and life of actors")
struct LifeTests {
    static let idle: LabActor.Script = { workflow, _ in _ = try await workflow.next("wait", from: \.jobs) }

    @Test("A1: keys of one to eight parts of any text are reversible and do not collide")
    func keys() async throws {
        let keys = [
            ["a"], ["a", ""], ["", "a"], ["a/b"], ["a", "b"], ["a%2Fb"], ["🛒", "ü"], [""], ["", ""],
            ["1", "2", "3", "4", "5", "6", "7", "8"], [String(repeating: "x", count: 128)],
        ]
        try await live(Self.idle) { node in
            for (number, parts) in keys.enumerated() {
                let address = ActorAddress(kind: try ActorKind("lab"), key: try ActorKey(parts))
                _ = try await node.host.perform(
                    ActorRequest(
                        target: address, operation: .create(input: Payload(#"{"start":\#(number + 100)}"#))))
            }
            for (number, parts) in keys.enumerated() {
                let address = ActorAddress(kind: try ActorKind("lab"), key: try ActorKey(parts))
                let reply = try await node.host.perform(
                    ActorRequest(target: address, operation: .action("count", input: .null)))
                #expect(reply == .output(Payload("\(number + 100)")), "\(parts)")
            }
            return 0
        }
        #expect(throws: (any Error).self) { try ActorKey([]) }
        #expect(throws: (any Error).self) { try ActorKey(Array(repeating: "x", count: 9)) }
        #expect(throws: (any Error).self) { try ActorKey([String(repeating: "x", count: 129)]) }
        #expect(throws: (any Error).self) { try ActorKind(String(repeating: "k", count: 65)) }
    }

    @Test("A2: get, create, getOrCreate and destroy, and the key is free again")
    func creation() async throws {
        let (seen, _) = try await inAllWays(Self.idle) { node in
            var seen: [String?] = []
            seen.append(try await node.refusal("lab", "a", .describe))
            seen.append(try await node.refusal("lab", "a", .history))
            seen.append(try await node.refusal("lab", "a", .create(input: Payload(#"{"start":5}"#))))
            seen.append(try await node.refusal("lab", "a", .create(input: Payload(#"{"start":6}"#))))
            seen.append(try await node.refusal("lab", "a", .getOrCreate(input: Payload(#"{"start":7}"#))))
            seen.append(try await node.call("lab", "a", "count"))
            seen.append(try await node.refusal("nothing", "a", .describe))
            return seen
        }
        #expect(
            seen == [
                "actor.not_found", "actor.not_found", nil, "actor.duplicate_key", nil, "5",
                "actor.kind_not_found",
            ])
        let after = try await withoutCrashes(Self.idle) { node in
            try await node.create("lab", "a", input: #"{"start":5}"#)
            try await node.send("lab", "a", "jobs", #""x""#)
            _ = try await node.end()
            var seen = [try await node.refusal("lab", "a", .destroy)]
            seen.append(try await node.refusal("lab", "a", .describe))
            seen.append(try await node.refusal("lab", "a", .destroy))
            seen.append(try await node.refusal("lab", "a", .create(input: nil)))
            let found = try await node.describe("lab", "a")
            seen += [found.status, try await node.call("lab", "a", "count")]
            _ = try await node.call("lab", "a", "end")
            seen.append(try await node.refusal("lab", "a", .describe))
            return seen
        }
        #expect(after == [nil, "actor.not_found", "actor.not_found", nil, "waiting", "0", "actor.not_found"])
    }

    @Test("A13 A2: a creation that is asked for again after a lost reply is no duplicate")
    func creationAgain() async throws {
        try await inAllWays(Self.idle) { node in
            let create = ActorRequest.Operation.create(input: nil)
            var seen: [String?] = []
            for _ in 0..<3 {
                seen.append(try await node.refusal("lab", "a", create, as: .key("mine")))
                node.crash()
            }
            return seen + [try await node.refusal("lab", "a", create, as: .key("another"))]
        }
    }

    @Test("A2: an actor is destroyed while its step runs, and the late result goes nowhere")
    func destroyedUnderAStep() async throws {
        try await withoutCrashes { workflow, log in
            let life = log.entries.count
            try await workflow.step("long", timeout: nil) {
                log.note("begin \(life)")
                while life == 0, !log.entries.contains(where: { $0.name == "release" }) { await Task.yield() }
            } commit: {
                $0.state.count += 100
            }
        } _: { node in
            try await node.create()
            try await node.until("begin") { node.effects.names.contains("begin 0") }
            _ = try await node.perform("lab", "a", .destroy)
            let gone = try await node.refusal("lab", "a", .describe)
            try await node.create()
            try await node.until("the end") { try await node.describe("lab", "a").status == "completed" }
            node.effects.note("release")
            for _ in 0..<10 { await node.host.ready() }
            return [gone, try await node.call("lab", "a", "count")]
        }
    }

    @Test("A4: the hooks come in their order")
    func hooks() async throws {
        let seen = try await Trial { _ in Hooks() }.run { node in
            try await node.create("hooked", "a", input: #"{"mode":"well"}"#)
            _ = try await node.settle("hooked", "a")
            // How often it wakes and sleeps differs between the ways; that the order holds does not.
            let text = try await node.call("hooked", "a", "hooks")
            let hooks = text.dropFirst(2).dropLast(2).components(between: #"",""#)
            #expect(hooks.first == "create well")
            #expect(hooks.dropFirst().first == "wake")
            #expect(hooks.contains("run from onCreate"))
            for (hook, next) in zip(hooks, hooks.dropFirst()) where hook == "sleep" {
                #expect(next == "wake")
            }
            return hooks.filter { $0.hasPrefix("run") || $0.hasPrefix("create") }
        }
        #expect(seen.observation == ["create well", "run from onCreate"])
    }

    @Test("A4: a hook that throws on creation leaves nothing behind")
    func failingHooks() async throws {
        let (seen, _) = try await inAllWays(Self.idle) { node in
            var seen: [String?] = []
            for start in [13, 14] {
                let input = Payload(#"{"start":\#(start)}"#)
                seen.append(try await node.refusal("lab", "a", .create(input: input)))
                seen.append(try await node.refusal("lab", "a", .describe))
            }
            seen.append(try await node.refusal("lab", "a", .create(input: Payload(#"{"start":"x"}"#))))
            return seen + ["\(node.store.recordCount)"]
        }
        #expect(
            seen == [
                "user.unlucky", "actor.not_found", "internal.internal_error", "actor.not_found",
                "actor.validation_error",
                "0",
            ])
        let (hooks, _) = try await Trial { _ in Hooks() }.run { node in
            var seen: [String?] = []
            for mode in ["no wake", "end"] {
                let input = Payload(#"{"mode":"\#(mode)"}"#)
                seen.append(
                    try await node.refusal("hooked", "b", .create(input: input)) == nil ? "made" : "refused")
                seen.append(try await node.refusal("hooked", "b", .describe))
            }
            return seen
        }
        #expect(hooks == ["refused", "actor.not_found", "refused", "actor.not_found"])
    }

    @Test("A4 A2: an actor that ends itself while it goes to sleep is gone once, and its key is free")
    func destroyedInOnSleep() async throws {
        let (seen, _, _) = try await Trial { _ in Hooks() }.run(.hibernatedAtEveryWait) { node in
            try await node.create("hooked", "a", input: #"{"mode":"goes"}"#)
            try await node.until("gone") {
                try await node.refusal("hooked", "a", .describe) == "actor.not_found"
            }
            try await node.create("hooked", "a", input: #"{"mode":"stays"}"#)
            try await node.until("asleep") { try await !node.describe("hooked", "a").isAwake }
            return try await node.settle("hooked", "a").status
        }
        #expect(seen == "waiting")
    }

    @Test("A4 A2: onDestroy is the last of the ending turn, tells subscribers, and can refuse")
    func onDestroy() async throws {
        let (seen, _) = try await Trial { _ in Mortals() }.run { node in
            var seen: [String?] = []
            try await node.create("mortal", "a")
            _ = try await node.call("mortal", "a", "keep", "true")
            let end = ActorRequest.Operation.action("end", input: .null)
            seen.append(try await node.refusal("mortal", "a", .destroy))
            seen.append(try await node.refusal("mortal", "a", end))
            node.crash()
            // A turn that was refused has changed nothing.
            seen.append(try await node.call("mortal", "a", "said"))
            _ = try await node.call("mortal", "a", "keep", "false")
            seen.append(try await node.refusal("mortal", "a", .destroy))
            seen.append(try await node.refusal("mortal", "a", .describe))
            return seen
        }
        #expect(seen == ["user.kept", "user.kept", "0", nil, "actor.not_found"])
        let (heard, _, _) = try await Trial { _ in Mortals() }.run(.live) { node in
            let heard = Mutex<[String]>([])
            let address = ActorAddress(kind: try ActorKind("mortal"), key: try ActorKey(["a"]))
            for end in [ActorRequest.Operation.destroy, .action("end", input: .null)] {
                try await node.create("mortal", "a")
                let subscription = try node.host.subscribe(to: "said", of: address) { event in
                    heard.withLock { $0.append(event.payload.text) }
                }
                _ = try await node.perform("mortal", "a", end)
                for _ in 0..<5 { await node.host.ready() }
                node.host.unsubscribe(subscription)
            }
            return heard.withLock { $0 }
        }
        #expect(heard == [#""last words after 0""#, #""ends""#, #""last words after 1""#])
    }

    @Test("W80: the list tells how the runs of awake actors stand now, and of the others what is stored")
    func list() async throws {
        let (seen, _, _) = try await Trial { Lab($0, Self.idle) }.run(.live) { node in
            try await node.create("a")
            _ = try await node.end("a")
            var seen: [String] = []
            for _ in 0..<2 {
                let list = try await node.host.list(kind: nil, after: nil, limit: 10).text
                for part in [#""awake":true"#, #""awake":false"#, #""status":"waiting""#, #"in \"jobs\""#]
                where list.contains(part) { seen.append(part) }
                try await node.restart()
            }
            return seen
        }
        let waits = [#""status":"waiting""#, #"in \"jobs\""#]
        #expect(seen == [#""awake":true"#] + waits + [#""awake":false"#] + waits)
    }

    @Test("A5 A6: idle for its time it hibernates, not before; subscriptions live through it")
    func idle() async throws {
        let store = MemoryStore()
        let clock = ManualClock()
        let host = ActorHost(
            kinds: try RegistryReader.kinds(
                of: Lab(EffectLog(), options: ActorOptions(idle: .seconds(30)), Self.idle)),
            store: store, clock: clock, settings: HostSettings(shards: 1), logger: quietLogger()
        ) { _ in }
        clock.onAdvance { host.clockMoved() }
        let address = ActorAddress(kind: try ActorKind("lab"), key: try ActorKey(["a"]))
        let heard = Mutex<[String]>([])
        let subscription = try host.subscribe(to: "changed", of: address) { event in
            heard.withLock { $0.append(event.payload.text) }
        }
        func add() async throws {
            _ = try await host.perform(
                ActorRequest(target: address, operation: .action("add", input: Payload("1"))))
            for _ in 0..<5 { await host.ready() }
        }
        func isAwake() async -> Bool {
            for _ in 0..<5 { await host.ready() }
            return await host.status().text.contains(#""actorsAwake":1"#)
        }
        try await add()
        clock.advance(by: .seconds(29))
        #expect(await isAwake())
        try await add()
        clock.advance(by: .seconds(29))
        #expect(await isAwake())
        clock.advance(by: .seconds(2))
        #expect(await !isAwake())
        try await add()
        #expect(await isAwake())
        host.unsubscribe(subscription)
        try await add()
        #expect(heard.withLock { $0 } == ["1", "2", "3"])
        try await host.stop()
    }
}

extension Substring {
    fileprivate func components(between separator: String) -> [String] {
        var parts: [String] = []
        var rest = self
        while let range = rest.firstRange(of: separator) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}
