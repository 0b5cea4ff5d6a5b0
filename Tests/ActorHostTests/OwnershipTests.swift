import ActorHost
import Apus
import ClientProtocol
import Identifiers
import PartitionStore
import Synchronization
import Testing
import TimeAndChance
import WorkflowTrials

@Suite("Partitions that are taken over")
struct TakeoverTests {
    @Test("Not owned: refused, and nothing was done; owned and not served: it waits; then all, in order")
    func arrivals() async throws {
        let node = try MovingNode()
        node.store.holdServing()
        #expect(try await node.perform(.add()) == "node.not_owner")
        #expect(try await node.perform(.describe) == "node.not_owner")
        node.store.lead(node.partition)
        try node.submit("made", .getOrCreate(input: nil))
        for number in 1...3 { try node.submit("\(number)", .add()) }
        try node.submit("count", .count)
        await node.settle()
        #expect(node.replies.all == [])
        // Another partition is another matter.
        #expect(try await node.perform(.add(), key: node.otherKey()) == "node.not_owner")
        #expect(await node.host.servedPartitions() == [])
        node.store.serve(node.partition)
        #expect(await node.replies(5) == ["made: created", "1: 1", "2: 2", "3: 3", "count: 3"])
        #expect(await node.host.servedPartitions() == [node.partition])
        #expect(await node.host.status().text.contains(#""partitionsServed":1,"#))
        try await node.host.stop()
    }

    @Test("What waits for a partition has a bound; whose time is over makes room, who has left is forgotten")
    func bound() async throws {
        let node = try MovingNode(settings: HostSettings(shards: 1, arrivalsMax: 3))
        node.store.holdServing()
        node.store.lead(node.partition)
        try node.submit("short", .add(), timeLeftMillis: 1_000)
        let gone = try node.submit("gone", .add())
        try node.submit("patient", .add())
        try node.submit("much", .add())
        #expect(await node.replies(1) == ["much: node.overloaded"])
        node.clock.advance(by: .seconds(2))
        node.host.abandon(gone)
        try node.submit("later", .add())
        try node.submit("latest", .add())
        #expect(await node.replies(2).dropFirst() == ["short: request.deadline_exceeded"])
        node.store.serve(node.partition)
        #expect(await node.replies(5).dropFirst(2) == ["patient: 1", "later: 2", "latest: 3"])
        try await node.host.stop()
    }

    @Test("Turns run on tables that have everything before the epoch")
    func catchesUp() async throws {
        let node = try MovingNode()
        await node.own()
        #expect(try await node.perform(.add(5)) == "5")
        node.store.holdApplying()
        #expect(try await node.perform(.add(2)) == "7")
        node.store.standDown(node.partition)
        node.store.lead(node.partition)
        try node.submit("count", .count)
        await node.settle()
        #expect(node.replies.all == [])
        #expect(node.store.applyRequests == [node.partition])
        node.store.apply(node.partition)
        #expect(await node.replies(1) == ["count: 7"])
        try await node.host.stop()
    }

    @Test("The first record of an epoch comes first, and partition time goes on from the log's end")
    func time() async throws {
        let node = try MovingNode()
        let hour: UInt64 = 3_600_000_000
        let later = node.clock.reading().wall.rawValue + hour
        node.store.holdCommits()
        node.store.lead(node.partition, time: later)
        await node.settle()
        #expect(node.store.uncommitted(node.partition) == 1)
        node.store.resumeCommits()
        try node.submit("made", .getOrCreate(input: nil))
        #expect(await node.replies(1) == ["made: created"])
        let address = try MovingNode.address("a")
        let stored = node.store.actor(at: address, in: node.partition)
        #expect(stored?.id.rawValue == 2)
        #expect(stored?.createdAt == later)
        #expect(node.store.base.logEnd(of: node.partition).epoch == Epoch(rawValue: 1))
        try await node.host.stop()
    }

    @Test("R17 W3: no reply, no event and no effect of a run before the partition's commit")
    func gate() async throws {
        let node = try MovingNode { workflow, log in
            try await workflow.step("first") { log.note("first") }
        }
        await node.own()
        _ = try node.host.subscribe(to: "changed", of: MovingNode.address("a")) { [replies = node.replies] in
            replies.note("event \($0.payload.text)")
        }
        node.store.holdCommits()
        try node.submit("made", .getOrCreate(input: nil))
        try node.submit("one", .add())
        await node.settle()
        #expect(node.replies.all == [])
        #expect(node.noted("first") == 0)
        node.store.commit(node.partition, 1)
        await node.until { node.noted("first") == 1 }
        await node.settle()
        #expect(node.replies.all == ["made: created"])
        node.store.commit(node.partition, 1)
        #expect(await node.replies(3).dropFirst() == ["event 1", "one: 1"])
        node.store.resumeCommits()
        try await node.host.stop()
    }

    @Test(
        "What was only read is told when nobody else can have owned the partition since; turns need no proof"
    )
    func reads() async throws {
        let node = try MovingNode()
        await node.own()
        _ = try await node.perform(.add(4))
        node.store.confirm(.no)
        let reads: [ActorRequest.Operation] = [
            .count, .describe, .history, .getOrCreate(input: nil), .create(input: nil),
            .action("refuse", input: Payload("1")),
        ]
        for read in reads {
            let told = try await node.perform(read)
            #expect(told == "node.moved", "\(read)")
        }
        let absent = try node.otherKeyOfPartition()
        #expect(try await node.perform(.describe, key: absent) == "node.moved")
        await #expect(throws: ActorError.moved) { try await node.host.list(kind: nil, after: nil, limit: 5) }
        #expect(try await node.perform(.add()) == "5")
        node.store.confirm(.held)
        try node.submit("count", .count)
        await node.settle()
        #expect(node.replies.all == [])
        #expect(node.store.confirming == 1)
        #expect(try await node.perform(.add()) == "6")
        // It was read before that turn.
        node.store.answerConfirmations(true)
        #expect(await node.replies(1) == ["count: 5"])
        node.store.confirm(.yes)
        #expect(try await node.perform(.count) == "6")
        try await node.host.stop()
    }

    @Test("A12: what was read is told after its commit and its proof, whichever comes last")
    func readsBehindTheGate() async throws {
        let node = try MovingNode()
        await node.own()
        _ = try await node.perform(.add(4))
        for proofFirst in [true, false] {
            let before = node.replies.all.count
            node.store.confirm(.held)
            node.store.holdCommits()
            try node.submit("add", .add())
            try node.submit("count", .count)
            // Nobody waits for what comes after the reading.
            try node.submit("later", .add())
            await node.settle()
            if proofFirst {
                node.store.answerConfirmations(true)
            } else {
                node.store.commit(node.partition, 1)
            }
            await node.settle()
            #expect(!node.replies.all.dropFirst(before).contains { $0.hasPrefix("count") })
            if proofFirst {
                node.store.commit(node.partition, 1)
            } else {
                node.store.answerConfirmations(true)
            }
            await node.settle()
            let count = proofFirst ? 5 : 7
            #expect(node.replies.all.dropFirst(before).sorted() == ["add: \(count)", "count: \(count)"])
            node.store.resumeCommits()
            await node.settle()
        }
        node.store.confirm(.yes)
        try await node.host.stop()
    }

    @Test("Only what is owned is listed; a stop answers what waits, and waits for nothing that is not served")
    func listAndStop() async throws {
        let node = try MovingNode()
        let other = try node.otherKey()
        let others = node.store.identity.ring.partition(of: try MovingNode.address(other))
        await node.own()
        node.store.lead(others)
        await node.until { await node.host.servedPartitions().count == 2 }
        _ = try await node.perform(.add())
        _ = try await node.perform(.add(), key: other)
        func listed() async throws -> [Bool] {
            let list = try await node.host.list(kind: nil, after: nil, limit: 10).text
            return [#"["a"]"#, #"["\#(other)"]"#].map { list.contains($0) }
        }
        #expect(try await listed() == [true, true])
        node.store.standDown(others)
        #expect(try await listed() == [true, false])
        node.store.holdCommits()
        node.store.lead(others)
        try node.submit("waits", .add(), key: other)
        await node.settle()
        #expect(node.replies.all == [])
        try await node.host.stop()
        #expect(node.replies.all == ["waits: node.stopping"])
    }
}

extension MovingNode {
    /// A key of the partition of "a" whose actor nobody has made.
    fileprivate func otherKeyOfPartition() throws -> String {
        for number in 0..<1_000 {
            let key = "absent\(number)"
            if store.identity.ring.partition(of: try Self.address(key)) == partition { return key }
        }
        throw NeverCame()
    }
}
