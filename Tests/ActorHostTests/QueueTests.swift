import ActorHost
import Apus
import ClientProtocol
import Testing
import WorkflowTrials

@Suite("What queues promise")
struct QueueTests {
    /// Takes jobs for ever and notes them, after a day's sleep.
    static let later: LabActor.Script = { workflow, _ in
        try await workflow.sleep("until they are there", for: .days(1))
        try await workflow.loop("jobs") { loop in
            let job = try await loop.next("take", from: \.jobs)
            try await loop.turn("note") { $0.state.notes.append(job.body) }
        }
    }

    private static func send(_ body: String, _ options: MessageOptions) -> ActorRequest.Operation {
        .send(queue: "jobs", body: Payload("\"\(body)\""), options: options)
    }

    @Test("A31: a higher priority is taken first, equal ones in the order of their arrival, over crashes too")
    func priority() async throws {
        let (seen, _) = try await inAllWays(Self.later) { node in
            for (body, priority) in [("a", 0), ("b", 9), ("c", 3)] {
                _ = try await node.perform("lab", "a", Self.send(body, .init(priority: UInt8(priority))))
            }
            _ = try await node.call("lab", "a", "postWith", #"{"body":"d","delay":0,"priority":9}"#)
            _ = try await node.call("lab", "a", "post", #""e""#)
            _ = try await node.end()
            return [try await node.notes()]
        }
        #expect(seen == [#"["b","d","c","a","e"]"#])
    }

    @Test("A31: a delayed message is taken at its time and not before, asleep or awake, over crashes too")
    func delay() async throws {
        let (seen, _) = try await inAllWays { workflow, _ in
            try await workflow.loop("jobs") { loop in
                let job = try await loop.next("take", from: \.jobs)
                try await loop.turn("note") { $0.state.notes.append(job.body) }
            }
        } _: { node in
            _ = try await node.perform("lab", "a", Self.send("hour", .init(delayMillis: 3_600_000)))
            _ = try await node.call("lab", "a", "postWith", #"{"body":"minute","delay":60,"priority":0}"#)
            _ = try await node.perform("lab", "a", Self.send("now", .init()))
            _ = try await node.end()
            var seen = [try await node.notes()]
            for (seconds, count) in [(59, 1), (2, 2), (3_500, 2), (3_700, 3)] {
                node.clock.advance(by: .seconds(seconds))
                try await node.until("\(count) are taken") {
                    _ = try await node.end()
                    return try await node.notes().split(separator: ",").count == count
                }
                seen.append(try await node.notes())
            }
            return seen
        }
        let two = #"["now","minute"]"#
        #expect(seen == [#"["now"]"#, #"["now"]"#, two, two, #"["now","minute","hour"]"#])
    }

    @Test("A31 A13: a second message with a key changes nothing, whoever sends it, for 24 hours")
    func deduplication() async throws {
        let (seen, _) = try await inAllWays(Self.later) { node in
            var replies: [ActorReply] = []
            for (body, key) in [("a", "one"), ("b", "one"), ("c", "two"), ("d", "one")] {
                replies.append(
                    try await node.perform("lab", "a", Self.send(body, .init(deduplicationKey: key))))
                let posting = #"{"body":"p\#(body)","delay":0,"priority":0,"key":"\#(key)"}"#
                _ = try await node.call("lab", "a", "postWith", posting)
                node.crash()
            }
            _ = try await node.call("lab", "a", "postWith", #"{"body":"e","delay":0,"priority":0,"key":"x"}"#)
            _ = try await node.end()
            let same = [replies[0] == replies[1], replies[0] == replies[3], replies[0] == replies[2]]
            var seen = ["\(same)", try await node.notes()]
            node.clock.advance(by: .seconds(26 * 3_600))
            _ = try await node.perform("lab", "a", Self.send("sweep", .init()))
            _ = try await node.perform("lab", "a", Self.send("again", .init(deduplicationKey: "one")))
            _ = try await node.end()
            seen.append(try await node.notes())
            return seen
        }
        #expect(seen[0] == "[true, true, false]")
        #expect(seen[1...] == [#"["a","c","e"]"#, #"["a","c","e","sweep","again"]"#])
    }

    @Test("A31 W33: two who wait under one deduplication key get the answer to one message")
    func waitingTwice() async throws {
        let (seen, _) = try await inAllWays { workflow, _ in
            try await workflow.loop("asks") { loop in
                let ask = try await loop.next("take", from: \.asks)
                let count = try await loop.turn("count") { turn in
                    turn.state.count += 1
                    return turn.state.count
                }
                try await ask.complete("\(ask.body) \(count)")
            }
        } _: { node in
            var seen: [String] = []
            for body in ["a", "b"] {
                let ask = ActorRequest.Operation.request(
                    queue: "asks", body: Payload("\"\(body)\""), timeoutMillis: nil,
                    options: .init(deduplicationKey: "k"))
                if case .completed(let reply) = try await node.perform("lab", "a", ask) {
                    seen.append(reply.text)
                }
                node.crash()
            }
            return seen
        }
        #expect(seen == [#""a 1""#, #""a 1""#])
    }

    @Test("A30: what has waited longer than the queue's retention is dropped, and its sender told, again too")
    func retention() async throws {
        let (seen, _) = try await inAllWays { workflow, _ in
            try await workflow.sleep("too long", for: .seconds(90))
            try await workflow.loop("asks") { loop in
                let ask = try await loop.next("take", from: \.brief)
                try await ask.complete("re: \(ask.body)")
            }
        } _: { node in
            func ask(_ body: String, _ timeout: UInt64?) -> ActorRequest.Operation {
                .request(queue: "brief", body: Payload("\"\(body)\""), timeoutMillis: timeout)
            }
            try await node.create()
            _ = try await node.perform("lab", "a", ask("old", 0), as: .key("old"))
            node.clock.advance(by: .seconds(50))
            _ = try await node.perform("lab", "a", ask("young", 0), as: .key("young"))
            node.clock.advance(by: .seconds(45))
            var seen: [String] = []
            for key in ["old", "young", "old"] {
                do {
                    let reply = try await node.perform("lab", "a", ask("again", nil), as: .key(key))
                    if case .completed(let text) = reply { seen.append(text.text) }
                } catch let error as ActorError { seen.append("\(error.group).\(error.code)") }
                node.crash()
            }
            return seen
        }
        #expect(seen == ["queue.message_expired", #""re: young""#, "queue.message_expired"])
    }

    @Test("A15 A31: options out of their range are refused by name")
    func range() async throws {
        let seen = try await live(Self.later) { node in
            var seen: [String] = []
            for options in [
                MessageOptions(priority: 10), MessageOptions(deduplicationKey: ""),
                MessageOptions(deduplicationKey: String(repeating: "k", count: 256)),
            ] {
                do { _ = try await node.perform("lab", "a", Self.send("x", options)) } catch let error
                    as ActorError
                { seen.append("\(error.code) \(error.metadata["field"] ?? "")") }
            }
            return seen
        }
        #expect(
            seen == [
                "validation_error priority", "validation_error dedupKey", "validation_error dedupKey",
            ])
    }

    /// Takes tasks one by one; one that begins with "bad" fails, which is caught.
    static let catching: LabActor.Script = { workflow, _ in
        try await workflow.loop("all") { all in
            do {
                _ = try await all.loop("one", state: 0) { one, _ in
                    switch try await one.next("take", from: \.tasks, \.chores) {
                    case .first(let task):
                        try await one.turn("note") { $0.state.notes.append(task.body) }
                        guard !task.body.hasPrefix("bad") else { throw ActorError("bad", task.body) }
                        try await task.complete("done \(task.body)")
                    case .second(let chore):
                        try await one.turn("note") { $0.state.notes.append(chore.body) }
                        throw Oops(chore.body)
                    }
                    return LoopStep<Int>.done(0)
                }
            } catch let error where !(error is StepFailure) {
                try await all.turn("caught") { $0.state.count += 1 }
            }
        }
    }

    @Test(
        "W34 A30: what its iteration failed to complete comes again after its time, then to the dead letters"
    )
    func redelivery() async throws {
        let (seen, _) = try await inAllWays(Self.catching) { node in
            func ask(_ body: String, _ timeout: UInt64?) -> ActorRequest.Operation {
                .request(queue: "tasks", body: Payload("\"\(body)\""), timeoutMillis: timeout)
            }
            func noted(_ count: Int) async throws -> String {
                try await node.until("\(count) notes") {
                    _ = try await node.end()
                    return try await node.notes().split(separator: ",").count == count
                }
                return try await node.notes()
            }
            var seen: [String?] = []
            _ = try await node.perform("lab", "a", ask("bad", 0), as: .key("bad"))
            _ = try await noted(1)
            seen.append(try await node.request("lab", "a", "tasks", #""good""#))
            node.clock.advance(by: .seconds(9))
            seen.append(try await noted(2))
            node.clock.advance(by: .seconds(2))
            seen.append(try await noted(3))
            node.clock.advance(by: .seconds(11))
            seen.append(try await noted(4))
            for _ in 0..<2 {
                seen.append(try await node.refusal("lab", "a", ask("bad", nil), as: .key("bad")))
                node.crash()
            }
            try await node.send("lab", "a", "chores", #""chore""#)
            seen.append(try await noted(6))
            guard case .document(let found) = try await node.perform("lab", "a", .describe) else {
                return [] as [String?]
            }
            seen.append("\(found.text.contains(#""queues":{"failures":1}"#))")
            return seen + [try await node.call("lab", "a", "count")]
        }
        #expect(
            seen == [
                #""done good""#, #"["bad","good"]"#, #"["bad","good","bad"]"#, #"["bad","good","bad","bad"]"#,
                "user.bad", "user.bad", #"["bad","good","bad","bad","chore","chore"]"#, "true", "5",
            ])
    }

    @Test("W34: a run that ends with an error answers with it what it took, or was about to take again")
    func endOfRun() async throws {
        let (seen, _) = try await inAllWays { workflow, _ in
            try await workflow.loop("all") { loop in
                let task = try await loop.next("take", from: \.tasks)
                throw ActorError("broken", task.body)
            }
        } _: { node in
            let ask = ActorRequest.Operation.request(
                queue: "tasks", body: Payload(#""x""#), timeoutMillis: nil)
            var seen: [String?] = []
            for _ in 0..<2 {
                seen.append(try await node.refusal("lab", "a", ask, as: .key("k")))
                node.crash()
            }
            guard case .document(let found) = try await node.perform("lab", "a", .describe) else {
                return [] as [String?]
            }
            return seen + ["\(found.text.contains(#""queues":{"failures":1}"#))", try await node.end()]
        }
        #expect(seen == ["user.broken", "user.broken", "true", "failed"])
    }

    @Test("A30: a dead letter queue that is not there, or takes other bodies, is refused at the start")
    func unfitDeadLetters() {
        #expect(throws: (any Error).self) { try RegistryReader.kinds(of: Unfit<MissingLetters>()) }
        #expect(throws: (any Error).self) { try RegistryReader.kinds(of: Unfit<OtherLetters>()) }
    }
}

private struct MissingLetters: Declarations { let jobs = Queue<String>(deadLetter: "letters") }
private struct OtherLetters: Declarations {
    let jobs = Queue<String>(deadLetter: "letters")
    let letters = Queue<Int>()
}
private struct UnfitActor<Group: Declarations>: DurableActor { typealias Queues = Group }
private struct Unfit<Group: Declarations>: Registry { let unfit = UnfitActor<Group>() }
