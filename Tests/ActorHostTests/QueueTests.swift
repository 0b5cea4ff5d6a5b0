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
}
