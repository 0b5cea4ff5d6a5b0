import ActorHost
import Apus
import ClientProtocol
import Identifiers
import MailboxCore
import PartitionStore
import Synchronization
import Testing
import TimeAndChance
import WorkflowTrials

/// One host that owns some partitions only, and a batch at its door.
@Suite("Messages at the edge of a host")
struct DeliveryTests {
    private struct Node: Sendable {
        let base = MemoryStore()
        let store: NodeStore
        let host: ActorHost
        let clock = ManualClock()

        init(holds: Bool, _ script: @escaping LabActor.Script = { _, _ in }) throws {
            store = NodeStore(base, holds: holds)
            host = ActorHost(
                kinds: try RegistryReader.kinds(of: Lab(EffectLog(), script)), store: store, clock: clock,
                settings: HostSettings(shards: 2, idleOverride: .seconds(1_000_000_000)),
                logger: quietLogger()
            ) { _ in }
            clock.onAdvance { [host] in host.clockMoved() }
        }

        func take(_ partition: PartitionID, _ epoch: UInt64 = 1) {
            store.take(partition, Epoch(rawValue: epoch))
        }

        func partition(_ key: String) throws -> PartitionID {
            base.identity.ring.partition(of: try address(key))
        }

        func address(_ key: String) throws -> ActorAddress {
            ActorAddress(kind: try ActorKind("lab"), key: try ActorKey([key]))
        }

        /// Performs a request, and lets what is held back go on until it is answered.
        func perform(_ key: String, _ operation: ActorRequest.Operation) async throws -> ActorReply {
            let reply = Mutex<Result<ActorReply, ActorError>?>(nil)
            host.submit(ActorRequest(target: try address(key), operation: operation)) { result in
                reply.withLock { $0 = result }
            }
            while true {
                if let result = reply.withLock({ $0 }) { return try result.get() }
                store.release()
                await host.ready()
            }
        }

        func act(_ key: String, _ action: String, _ input: Int) async throws -> ActorReply {
            try await perform(key, .action(action, input: Payload("\(input)")))
        }

        func describe(_ key: String) async throws -> String {
            do {
                guard case .document(let text) = try await perform(key, .describe) else { return "" }
                return text.text
            } catch let error as ActorError where error.code == "not_found" { return "" }
        }

        func until(_ what: String, _ condition: () async throws -> Bool) async throws {
            for _ in 0..<20_000 {
                if try await condition() { return }
                clock.advance(by: .milliseconds(50))
                await host.ready()
            }
            throw Oops("never came: \(what)")
        }

        /// A message of another partition's actor to the key.
        func batch(to key: String, number: UInt64 = 1) throws -> MessageBatch {
            let target = try address(key)
            return MessageBatch(
                source: PartitionID((Int(try partition(key).rawValue) + 1) % 4),
                destination: try partition(key), flow: .request, acknowledged: number - 1, first: number,
                messages: [
                    ActorMessage(
                        sender: try address("sender"), target: target, life: ActorID(rawValue: 1),
                        content: .send(queue: "numbers", body: Array("7".utf8), MessageDelivery()))
                ])
        }
    }

    private final class Results: Sendable {
        private let live = Mutex<[BatchResult]>([])
        func note(_ result: BatchResult) { live.withLock { $0.append(result) } }
        var all: [BatchResult] { live.withLock { $0 } }
    }

    @Test("R17, W60: a batch is acknowledged when it is committed, and not if the epoch ends before")
    func acknowledgement() async throws {
        let node = try Node(holds: true)
        let partition = try node.partition("e")
        let results = Results()
        node.take(partition)
        node.store.release()
        node.host.deliver(try node.batch(to: "e"), results.note)
        node.host.deliver(try node.batch(to: "e"), results.note)
        for _ in 0..<20 { await node.host.ready() }
        #expect(results.all == [])
        node.store.lose(partition)
        try await node.until("both hear of it") { results.all.count == 2 }
        #expect(results.all == [.unavailable, .unavailable])
        // The next epoch has nothing of it.
        node.take(partition, 2)
        node.host.deliver(try node.batch(to: "e"), results.note)
        node.host.deliver(try node.batch(to: "e"), results.note)
        for _ in 0..<20 { await node.host.ready() }
        #expect(results.all.count == 2)
        node.store.release()
        try await node.until("both hear of it") { results.all.count == 4 }
        #expect(
            results.all.suffix(2) == [
                .received(through: 1, isHeld: false), .received(through: 1, isHeld: false),
            ])
        #expect(try await node.describe("e").contains(#""numbers":1"#))
        node.host.abandon()
    }

    @Test("R16: a batch for a partition that is not here, or for an actor of another one, is not taken")
    func strangeBatches() async throws {
        let node = try Node(holds: false)
        let results = Results()
        node.host.deliver(try node.batch(to: "e"), results.note)
        node.take(try node.partition("e"))
        var wrong = try node.batch(to: "e")
        wrong.destination = PartitionID((Int(wrong.destination.rawValue) + 1) % 4)
        node.take(wrong.destination)
        node.host.deliver(wrong, results.note)
        var far = wrong
        far.destination = PartitionID(4_000)
        node.host.deliver(far, results.note)
        try await node.until("all are answered") { results.all.count == 3 }
        #expect(results.all == [.unavailable, .unavailable, .unavailable])
        // A gap: it says what it has.
        var late = try node.batch(to: "e", number: 3)
        late.acknowledged = 0
        node.host.deliver(late, results.note)
        try await node.until("it is answered") { results.all.count == 4 }
        #expect(results.all.last == .received(through: 0, isHeld: false))
        node.host.abandon()
    }

    @Test("I18, W60: a full outbox refuses turns and lets runs wait, until the destination is served")
    func fullOutbox() async throws {
        let node = try Node(holds: false) { workflow, _ in
            guard workflow.key.parts == ["a"] else { return }
            _ = try await workflow.next("start", from: \.numbers)
            try await workflow.send("more", 1, to: \.many, of: \Lab.lab, "e")
            try await workflow.turn("note") { $0.state.notes.append("sent") }
        }
        let (here, there) = (try node.partition("a"), try node.partition("e"))
        try #require(here != there)
        node.take(here)
        for _ in 0..<4 { _ = try await node.act("a", "spread", 1_024) }
        await #expect {
            try await node.act("a", "spread", 1)
        } throws: { error in
            (error as? ActorError)?.group == "outbox" && (error as? ActorError)?.code == "full"
        }
        #expect(
            try await node.describe("a").contains(#""count":4096"#), "the turn that failed changed nothing")
        _ = try await node.perform("a", .send(queue: "numbers", body: Payload("1")))
        try await node.until("the run waits") {
            try await node.describe("a").contains("room for a message to lab/e")
        }
        node.take(there)
        node.host.retryMessages(to: there)
        try await node.until("all have come") { try await node.describe("e").contains(#""many":4097"#) }
        try await node.until("the run goes on") { try await node.describe("a").contains(#"["sent"]"#) }
        node.host.abandon()
    }
}
