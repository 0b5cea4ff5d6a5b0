import ActorHost
import Apus
import ClientProtocol
import Identifiers
import Synchronization
import Testing
import WorkflowTrials

@Suite("Requests, replies and events")
struct RequestTests {
    static let idle: LabActor.Script = { workflow, _ in
        try await workflow.loop("asks") { loop in
            let ask = try await loop.next("take", from: \.asks)
            try await ask.complete("re: \(ask.body)")
        }
    }

    @Test("A10: actions change, queries read the latest and leave no record")
    func actionsAndQueries() async throws {
        let (seen, _) = try await inAllWays(Self.idle) { node in
            var seen: [String] = []
            for _ in 0..<3 {
                seen.append(try await node.call("lab", "a", "add", "2"))
                seen.append(try await node.call("lab", "a", "count"))
            }
            return seen
        }
        #expect(seen == ["2", "2", "4", "4", "6", "6"])
        try await live(Self.idle) { node in
            _ = try await node.call("lab", "a", "add", "1")
            _ = try await node.end()
            let records = node.store.recordCount
            for _ in 0..<5 { _ = try await node.call("lab", "a", "count") }
            #expect(node.store.recordCount == records)
            return 0
        }
    }

    @Test("A13: a request that is repeated changes nothing twice, over crashes, hibernation, and by key, too")
    func repeated() async throws {
        let (seen, _) = try await inAllWays(Self.idle) { node in
            let session = SessionID(high: 3, low: 4)
            var seen: [String] = []
            for identity in [
                RequestIdentity.session(session, sequence: 1, acknowledged: 0),
                .session(session, sequence: 2, acknowledged: 1), .key("order-7"),
            ] {
                for round in 0..<3 {
                    let reply = try await node.perform(
                        "lab", "a", .action("add", input: Payload("\(round + 1)")), as: identity)
                    if case .output(let output) = reply { seen.append(output.text) }
                    let sent = try await node.perform(
                        "lab", "b", .send(queue: "jobs", body: Payload(#""x""#)), as: identity)
                    if case .accepted = sent { seen.append("accepted") }
                    if round == 1 { node.crash() }
                }
            }
            guard case .document(let found) = try await node.perform("lab", "b", .describe) else {
                return seen
            }
            return seen + ["\(found.text.contains(#""jobs":3"#))", try await node.call("lab", "a", "count")]
        }
        let outputs = seen.filter { $0 != "accepted" }
        #expect(outputs == ["1", "1", "1", "2", "2", "2", "3", "3", "3", "true", "3"])
    }

    @Test("A13: what an actor has refused stays refused for a copy of the request that comes later")
    func refusalsStay() async throws {
        let (seen, _) = try await inAllWays(Self.idle) { node in
            let spend = ActorRequest.Operation.action("spend", input: Payload("5"))
            var seen = [try await node.refusal("lab", "a", spend, as: .key("s")) ?? "spent"]
            _ = try await node.call("lab", "a", "add", "9")
            node.crash()
            seen.append(try await node.refusal("lab", "a", spend, as: .key("s")) ?? "spent")
            seen.append(try await node.call("lab", "a", "count"))
            seen.append(try await node.refusal("lab", "a", spend, as: .key("t")) ?? "spent")
            seen.append(try await node.refusal("lab", "a", spend, as: .key("t")) ?? "spent")
            seen.append(try await node.call("lab", "a", "count"))
            // What does not come from the actor's own code is looked at again.
            let bad = ActorRequest.Operation.action("spend", input: Payload("true"))
            seen.append(try await node.refusal("lab", "a", bad, as: .key("u")) ?? "spent")
            let good = ActorRequest.Operation.action("spend", input: Payload("1"))
            seen.append(try await node.refusal("lab", "a", good, as: .key("u")) ?? "spent")
            return seen
        }
        #expect(
            seen == [
                "user.overdrawn", "user.overdrawn", "9", "spent", "spent", "4", "actor.validation_error",
                "spent",
            ])
    }

    @Test("A13: what a session was told of a full queue stays true when there is room; a key asks anew")
    func fullQueueStaysFull() async throws {
        let seen = try await withoutCrashes { workflow, _ in
            try await workflow.loop("asks") { loop in
                _ = try await loop.next("take", from: \.asks)
                _ = try await loop.next("room", from: \.jobs)
            }
        } _: { node in
            let send = ActorRequest.Operation.send(queue: "jobs", body: Payload(#""x""#))
            for _ in 0..<5 { _ = try await node.refusal("lab", "a", send) }
            let told = RequestIdentity.session(SessionID(high: 5, low: 6), sequence: 1, acknowledged: 0)
            var seen = [try await node.refusal("lab", "a", send, as: told)]
            seen.append(try await node.refusal("lab", "a", send, as: .key("k")))
            try await node.send("lab", "a", "asks", #""room""#)
            try await node.until("room") { try await node.describe("lab", "a").status != "running" }
            node.crash()
            seen.append(try await node.refusal("lab", "a", send, as: told))
            seen.append(try await node.refusal("lab", "a", send, as: .key("k")))
            return seen
        }
        #expect(seen == ["queue.full", "queue.full", "queue.full", nil])
    }

    @Test("A13: below what the session has acknowledged, a request is refused, never executed again")
    func expired() async throws {
        let seen = try await withoutCrashes(Self.idle) { node in
            let session = SessionID(high: 3, low: 4)
            for sequence in UInt64(1)...200 {
                _ = try await node.perform(
                    "lab", "a", .action("add", input: Payload("1")),
                    as: .session(session, sequence: sequence, acknowledged: sequence - 1))
            }
            var seen: [String?] = []
            for _ in 0..<2 {
                for sequence in [UInt64(1), 64, 200] {
                    seen.append(
                        try await node.refusal(
                            "lab", "a", .action("add", input: Payload("1")),
                            as: .session(session, sequence: sequence, acknowledged: 0)))
                }
                node.crash()
            }
            return seen + [try await node.call("lab", "a", "count")]
        }
        let half = ["session.expired", "session.expired", nil]
        #expect(seen == half + half + ["200"])
    }

    @Test(
        "A14 A20: an ActorError arrives whole, others without detail, and the next request is not disturbed")
    func errors() async throws {
        let (seen, _) = try await inAllWays(Self.idle) { node in
            var seen: [String] = []
            for (action, input) in [("refuse", "1"), ("breakDown", "1"), ("flood", "6"), ("add", #""text""#)]
            {
                do { _ = try await node.call("lab", "a", action, input) } catch let error as ActorError {
                    seen.append(
                        "\(error.group).\(error.code) \(error.message) "
                            + "\(error.metadata.sorted { $0.key < $1.key })"
                    )
                }
                seen.append(try await node.call("lab", "a", "count"))
            }
            return seen + [try await node.call("lab", "a", "add", "1")]
        }
        #expect(seen[0] == #"user.too_late the door is closed [(key: "hour", value: "23")]"#)
        #expect(seen[2].hasPrefix("internal.internal_error") && !seen[2].contains("secret"))
        #expect(seen[4].hasPrefix("queue.full"))
        #expect(seen[6].hasPrefix("actor.validation_error"))
        #expect([1, 3, 5, 7, 8].map { seen[$0] } == ["0", "0", "0", "0", "1"])
    }

    @Test("A31 W20: a turn sends as many messages as there are numbers before the next record, or none")
    func messagesOfOneTurn() async throws {
        let (seen, _) = try await inAllWays(Self.idle) { node in
            var seen: [String] = []
            for amount in ["1025", "1024", "1024"] {
                do { _ = try await node.call("lab", "a", "pour", amount) } catch let error as ActorError {
                    seen.append("\(error.group).\(error.code)")
                }
                seen.append(try await node.call("lab", "a", "count"))
            }
            return seen
        }
        #expect(seen == ["message.too_many", "0", "1024", "2048"])
    }

    @Test("A15 A30: what does not decode, is too large, unknown or too much is refused by its name")
    func refusals() async throws {
        let (seen, _) = try await inAllWays(Self.idle) { node in
            var seen: [String?] = []
            func send(_ queue: String, _ body: String) async throws {
                seen.append(try await node.refusal("lab", "a", .send(queue: queue, body: Payload(body))))
            }
            try await send("jobs", "7")
            try await send("jobs", #""\#(String(repeating: "x", count: 63))""#)
            try await send("jobs", #""\#(String(repeating: "x", count: 62))""#)
            try await send("nothing", "7")
            for _ in 0..<4 { try await send("jobs", #""x""#) }
            try await send("jobs", #""x""#)
            seen.append(try await node.refusal("lab", "a", .action("nothing", input: .null)))
            seen.append(
                try await node.refusal(
                    "lab", "a", .request(queue: "jobs", body: Payload(#""x""#), timeoutMillis: 5)))
            return seen
        }
        #expect(
            seen == [
                "actor.validation_error", "message.too_large", nil, "queue.unknown", nil, nil, nil, nil,
                "queue.full",
                "actor.action_not_found", "request.malformed",
            ])
    }

    @Test("A15: a wrong field is named")
    func fields() async throws {
        try await live(Self.idle) { node in
            do {
                try await node.create("lab", "z", input: #"{"start":"seven"}"#)
                Issue.record("accepted")
            } catch let error as ActorError { #expect(error.metadata["field"] == "start") }
            do {
                _ = try await node.call("lab", "a", "nothing")
            } catch let error as ActorError { #expect(error.metadata["known"]?.contains("add") == true) }
            return 0
        }
    }

    @Test("A31: send answers when the message is durable, request when it is completed")
    func sending() async throws {
        let (seen, _) = try await inAllWays(Self.idle) { node in
            var seen: [String?] = []
            for number in 0..<4 { seen.append(try await node.request("lab", "a", "asks", #""\#(number)""#)) }
            var numbers: [UInt64] = []
            for _ in 0..<3 {
                if case .accepted(let number) = try await node.perform(
                    "lab", "a", .send(queue: "jobs", body: Payload(#""x""#)))
                {
                    numbers.append(number)
                }
            }
            return seen + ["\(numbers == numbers.sorted() && Set(numbers).count == 3)"]
        }
        #expect(seen == [#""re: 0""#, #""re: 1""#, #""re: 2""#, #""re: 3""#, "true"])
    }

    @Test("A31 A12: many requests at once are each answered with their own reply")
    func manyAtOnce() async throws {
        try await inAllWays(Self.idle) { node in
            let replies = try await withThrowingTaskGroup(of: (Int, String?).self) { group in
                for number in 0..<8 {
                    group.addTask { (number, try await node.request("lab", "a", "asks", #""\#(number)""#)) }
                }
                var replies: [Int: String?] = [:]
                for try await (number, reply) in group { replies[number] = reply }
                return replies
            }
            for number in 0..<8 { #expect(replies[number] == #""re: \#(number)""#) }
            return replies.count
        }
    }

    @Test("A40: events go out after the commit, in order, to the subscribers of that event and actor only")
    func events() async throws {
        let seen = try await withoutCrashes(Self.idle) { node in
            let heard = Mutex<[String]>([])
            let host = node.host
            for (event, key) in [("changed", "a"), ("changed", "a"), ("other", "a"), ("changed", "b")] {
                let address = ActorAddress(kind: try ActorKind("lab"), key: try ActorKey([key]))
                _ = try host.subscribe(to: event, of: address) { delivery in
                    heard.withLock { $0.append("\(event) \(key) \(delivery.payload.text)") }
                }
            }
            for _ in 0..<3 {
                _ = try await node.call("lab", "a", "add", "1")
                _ = try await node.refusal("lab", "a", .action("refuse", input: Payload("1")))
            }
            await node.host.ready()
            do {
                let address = ActorAddress(kind: try ActorKind("lab"), key: try ActorKey(["a"]))
                _ = try host.subscribe(to: "nothing", of: address) { _ in }
                Issue.record("an unknown event was subscribed to")
            } catch let error as ActorError { #expect(error.code == "unknown") }
            return heard.withLock { $0 }
        }
        #expect(seen == [1, 1, 2, 2, 3, 3].map { "changed a \($0)" })
    }

    @Test(
        "A40: a new subscriber is told the retained events, then the later ones, each once, over crashes too")
    func retainedEvents() async throws {
        let (seen, _) = try await inAllWays(Self.idle) { node in
            let address = ActorAddress(kind: try ActorKind("lab"), key: try ActorKey(["a"]))
            func hear(_ event: String, _ body: () async throws -> Void) async throws -> [String] {
                let heard = Mutex<[String]>([])
                let host = node.host
                let subscription = try host.subscribe(to: event, of: address) { delivery in
                    heard.withLock { $0.append(delivery.payload.text) }
                }
                try await body()
                for _ in 0..<5 { await node.host.ready() }
                host.unsubscribe(subscription)
                return heard.withLock { $0 }
            }
            // Unlike a request, a subscription does not outlive a crash: if one comes meanwhile, it may have
            // been told less.
            func hear(expecting all: [String], _ body: () async throws -> Void) async throws -> [String] {
                let lives = node.lives
                let heard = try await hear("kept", body)
                let isCut = node.lives > lives || node.store.isCrashed
                return isCut && all.starts(with: heard) ? all : heard
            }
            var seen = [try await hear("kept") {}]
            for _ in 0..<5 { _ = try await node.call("lab", "a", "add", "1") }
            seen.append(try await hear("kept") {})
            seen.append(try await hear("changed") {})
            node.crash()
            seen.append(try await hear(expecting: ["3", "4", "5"]) {})
            seen.append(
                try await hear(expecting: ["3", "4", "5", "6"]) {
                    _ = try await node.call("lab", "a", "add", "1")
                })
            _ = try await node.perform("lab", "a", .destroy)
            seen.append(try await hear("kept") {})
            _ = try await node.call("lab", "a", "add", "9")
            seen.append(try await hear("kept") {})
            return seen
        }
        let last = ["3", "4", "5"]
        #expect(seen == [[], last, [], last, last + ["6"], [], ["9"]])
    }

    @Test("W6 W80: the history of an ended run stays readable when the actor is awake again")
    func historyOfTheEnded() async throws {
        let (seen, _) = try await inAllWays { workflow, _ in
            try await workflow.step("only") {}
        } _: { node in
            try await node.create()
            var seen = [try await node.end()]
            for _ in 0..<2 {
                seen.append("\(try await node.history("lab", "a").contains("only"))")
                node.crash()
                _ = try await node.call("lab", "a", "add", "1")
            }
            return seen + ["\(try await node.history("lab", "a").contains("only"))"]
        }
        #expect(seen == ["completed", "true", "true", "true"])
    }

    @Test("W7 W33: a request to a stalled run waits, and is answered when the run goes on")
    func requestsToAStalledRun() async throws {
        let seen = try await live(Self.idle) { node in
            _ = try await node.request("lab", "a", "asks", #""1""#)
            try node.deploy(Lab(node.effects) { workflow, _ in try await workflow.step("other") {} })
            _ = try await node.call("lab", "a", "add", "1")
            let stalled = try await node.end()
            let ask = ActorRequest.Operation.request(queue: "asks", body: Payload(#""2""#), timeoutMillis: 0)
            let early = try await node.perform("lab", "a", ask, as: .key("k"))
            try node.deploy(Lab(node.effects, Self.idle))
            let again = ActorRequest.Operation.request(
                queue: "asks", body: Payload(#""2""#), timeoutMillis: nil)
            let reply = try await node.perform("lab", "a", again, as: .key("k"))
            return [stalled, "\(early)", "\(reply == .completed(Payload(#""re: 2""#)))"]
        }
        #expect(seen == ["stalled", "timedOut", "true"])
    }
}
