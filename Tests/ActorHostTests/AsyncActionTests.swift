import ActorHost
import Apus
import ClientProtocol
import Identifiers
import Synchronization
import Testing
import WorkflowTrials

/// Gates that actions wait at until the test opens them.
private final class Gates: Sendable {
    private let open = Mutex<Set<String>>([])
    private let passing = Mutex<[String]>([])
    func allow(_ name: String) { open.withLock { _ = $0.insert(name) } }
    func wait(at name: String) async throws {
        passing.withLock { $0.append(name) }
        while !open.withLock({ $0.contains(name) }) {
            try Task.checkCancellation()
            await Task.yield()
        }
    }
    /// Where actions have come, in order.
    var seen: [String] { passing.withLock { $0 } }
}

private struct Fetcher: DurableActor {
    struct State: DurableState { var log: [String] = [] }
    struct Actions: Declarations {
        let fetch = AsyncAction<String, [String]> { context, name in
            let before = try await context.turn { turn in
                turn.state.log.append("\(name) begins")
                return turn.state.log.count
            }
            context.definition.log.note("key \(context.idempotencyKey)")
            try await context.turn("middle") { $0.state.log.append("\(name) had \(before)") }
            try await context.turn { $0.state.log.append("\(name) ends") }
            return try await context.state.log
        }
        let wait = AsyncAction<String, Int> { context, name in
            try await context.turn { $0.state.log.append("begin \(name)") }
            do { try await context.definition.gates.wait(at: name) } catch {
                context.definition.log.note("cancelled \(name)")
                // What an action does after its end goes nowhere.
                do { try await context.turn { $0.state.log.append("late") } } catch {
                    context.definition.log.note("refused \(name)")
                }
                throw error
            }
            return try await context.turn { turn in
                turn.state.log.append("end \(name)")
                return turn.state.log.count
            }
        }
        let refuse = AsyncAction<NoInput, NoOutput> { context in
            try await context.turn { $0.state.log.append("refuse") }
            throw ActorError("no", "not today")
        }
        let end = AsyncAction<NoInput, NoOutput> { context in
            context.definition.log.note("end")
            try await context.turn { $0.destroy() }
            return NoOutput()
        }
        let log = Query<[String]> { $0.state.log }
    }
    let log: EffectLog
    var gates = Gates()
    var options: ActorOptions { ActorOptions(idle: .seconds(1), actionTimeout: .seconds(90)) }
}

private struct Fetchers: Registry {
    let fetcher: Fetcher
    init() { self.init(EffectLog()) }
    init(_ log: EffectLog, gates: Gates = Gates()) { fetcher = Fetcher(log: log, gates: gates) }
}

@Suite("Actions that await")
struct AsyncActionTests {
    @Test("A11 A13: an action that is repeated after a crash does not repeat its turns, and is recognisable")
    func repeatedTurns() async throws {
        let (outputs, effects) = try await Trial { Fetchers($0) }.run { node in
            var outputs: [String] = []
            for name in ["x", "y"] {
                let fetch = ActorRequest.Operation.action("fetch", input: Payload(#""\#(name)""#))
                for _ in 0..<2 {
                    let reply = try await node.perform("fetcher", "a", fetch, as: .key(name))
                    guard case .output(let output) = reply else { return outputs }
                    outputs.append(output.text)
                    node.crash()
                }
            }
            // One key for each request, in however many lives.
            #expect(node.effects.distinctNames.count == 2)
            return outputs + [try await node.call("fetcher", "a", "log")]
        }
        let first = #"["x begins","x had 1","x ends"]"#
        let both = #"["x begins","x had 1","x ends","y begins","y had 4","y ends"]"#
        #expect(outputs == [first, first, both, both, both])
        #expect(effects.count == 2)
    }

    @Test("A11 A5: several run interleaved, a repeat waits for the same outcome, nobody sleeps meanwhile")
    func interleaved() async throws {
        let gates = Gates()
        let (seen, _, _) = try await Trial { Fetchers($0, gates: gates) }.run(.hibernatedAtEveryWait) {
            node in
            func wait(_ name: String) -> ActorRequest.Operation {
                .action("wait", input: Payload(#""\#(name)""#))
            }
            async let one = node.perform("fetcher", "a", wait("1"), as: .key("one"))
            try await node.until("one") { gates.seen == ["1"] }
            async let two = node.perform("fetcher", "a", wait("2"))
            try await node.until("two") { gates.seen == ["1", "2"] }
            async let again = node.perform("fetcher", "a", wait("1"), as: .key("one"))
            for _ in 0..<10 { await node.host.ready() }
            let isAwake = try await node.describe("fetcher", "a").isAwake
            gates.allow("2")
            let second = try await two
            gates.allow("1")
            let replies = [second, try await one, try await again]
            try await node.until("asleep") { try await !node.describe("fetcher", "a").isAwake }
            let log = try await node.call("fetcher", "a", "log")
            return replies.map { "\($0)" } + ["\(isAwake)", log, "\(gates.seen)"]
        }
        let outputs = ["3", "4", "4"].map { "\(ActorReply.output(Payload($0)))" }
        #expect(seen == outputs + ["true", #"["begin 1","begin 2","end 2","end 1"]"#, #"["1", "2"]"#])
    }

    @Test("A11: after its time it is told so, its task is cancelled, and what it does then goes nowhere")
    func timeout() async throws {
        let (seen, _, _) = try await Trial { Fetchers($0) }.run(.live) { node in
            let wait = ActorRequest.Operation.action("wait", input: Payload(#""x""#))
            async let refusal = node.refusal("fetcher", "a", wait, as: .key("slow"))
            try await node.until("begun") { try await node.call("fetcher", "a", "log") == #"["begin x"]"# }
            node.clock.advance(by: .seconds(89))
            for _ in 0..<10 { await node.host.ready() }
            #expect(node.effects.names.isEmpty)
            node.clock.advance(by: .seconds(2))
            let told = try await refusal
            try await node.until("the end") { node.effects.names.count == 2 }
            return [told ?? "", try await node.call("fetcher", "a", "log")] + node.effects.names
        }
        #expect(seen == ["actor.action_timed_out", #"["begin x"]"#, "cancelled x", "refused x"])
    }

    @Test("A11 A14: its error arrives, its turns stay, and repeated it does not do them again")
    func failure() async throws {
        let (seen, _) = try await Trial { Fetchers($0) }.run { node in
            let refuse = ActorRequest.Operation.action("refuse", input: .null)
            var seen: [String?] = []
            for _ in 0..<3 {
                seen.append(try await node.refusal("fetcher", "a", refuse, as: .key("r")))
                node.crash()
            }
            seen.append(
                try await node.refusal("fetcher", "a", .action("fetch", input: Payload("7")), as: .key("f")))
            return seen + [try await node.call("fetcher", "a", "log")]
        }
        #expect(seen == ["user.no", "user.no", "user.no", "actor.validation_error", #"["refuse"]"#])
    }

    @Test("A11 A13 A2: an action that ends its actor is told so, also when it is repeated, and runs once")
    func destroys() async throws {
        let (seen, _) = try await Trial { Fetchers($0) }.run { node in
            var seen: [String?] = []
            for _ in 0..<3 {
                let end = ActorRequest.Operation.action("end", input: .null)
                seen.append(try await node.refusal("fetcher", "a", end, as: .key("end")))
                seen.append(try await node.refusal("fetcher", "a", .describe))
                node.crash()
            }
            _ = try await node.call("fetcher", "a", "log")
            seen.append(
                try await node.refusal("fetcher", "a", .action("end", input: .null), as: .key("end")))
            return seen + [try await node.refusal("fetcher", "a", .describe)]
        }
        let gone: [String?] = ["actor.destroyed", "actor.not_found"]
        #expect(seen == gone + gone + gone + ["actor.destroyed", nil])
    }

    @Test("A7 A11: a stop tells the caller to come again, and then the action goes on behind its turns")
    func stopped() async throws {
        let gates = Gates()
        let (seen, _, _) = try await Trial { Fetchers($0, gates: gates) }.run(.live) { node in
            let wait = ActorRequest.Operation.action("wait", input: Payload(#""x""#))
            async let refusal = node.refusal("fetcher", "a", wait, as: .key("slow"))
            try await node.until("begun") { gates.seen == ["x"] }
            try await node.restart()
            let told = try await refusal
            gates.allow("x")
            let reply = try await node.perform("fetcher", "a", wait, as: .key("slow"))
            return [
                told ?? "", "\(reply == .output(Payload("2")))", try await node.call("fetcher", "a", "log"),
            ]
        }
        #expect(seen == ["node.stopping", "true", #"["begin x","end x"]"#])
    }
}
