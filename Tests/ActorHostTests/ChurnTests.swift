import ActorHost
import Apus
import ClientProtocol
import Foundation
import Identifiers
import PartitionStore
import Synchronization
import Testing
import TimeAndChance
import WorkflowTrials

@Suite("Epochs that come and go")
struct ChurnTests {
    /// What one client knows: it repeats each request under its sequence until it has an answer.
    private struct Client {
        let session: SessionID
        var sequence: UInt64 = 1
        var answers: [Int] = []

        mutating func add(to key: String, at node: MovingNode) async throws {
            while true {
                let identity = RequestIdentity.session(session, sequence: sequence, acknowledged: 0)
                let told = try await node.perform(.add(), key: key, as: identity)
                if told == "node.moved" || told == "node.not_owner" {
                    await Task.yield()
                    continue
                }
                answers.append(try #require(Int(told), "\(told)"))
                sequence += 1
                return
            }
        }
    }

    private final class End: Sendable {
        private let flag = Atomic<Bool>(false)
        var hasCome: Bool { flag.load(ordering: .relaxed) }
        func come() { flag.store(true, ordering: .relaxed) }
    }

    @Test(
        "A12 A13 R17: whatever is cut off, every request is performed once, and no answer is ever undone",
        arguments: 0..<8)
    func churn(seed: Int) async throws {
        let node = try MovingNode { workflow, _ in
            // A run goes on under the requests, with records of its own.
            try await workflow.loop("beat") { loop in
                try await loop.sleep("pause", for: .milliseconds(10))
                try await loop.turn("note") { turn in
                    if turn.state.notes.count < 5 { turn.state.notes.append("beat") }
                }
            }
        }
        await node.own()
        let end = End()
        async let clients = withThrowingTaskGroup(of: [Int].self) { group in
            for number in 0..<4 {
                group.addTask {
                    var client = Client(session: SessionID(high: 1, low: UInt64(number)))
                    while !end.hasCome { try await client.add(to: "a", at: node) }
                    return client.answers
                }
            }
            var all: [[Int]] = []
            for try await answers in group { all.append(answers) }
            return all
        }
        var random = SplitMix64(seed: UInt64(seed))
        var epochs = 0
        while epochs < 30 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0: node.store.holdCommits()
            case 1: node.store.resumeCommits()
            case 2: node.store.commit(node.partition, 1)
            case 3: node.clock.advance(by: .milliseconds(7))
            default:
                epochs += 1
                node.store.standDown(node.partition, keeping: Int.random(in: 0..<3, using: &random))
                node.store.resumeCommits()
                node.store.lead(node.partition)
            }
            for _ in 0..<Int.random(in: 0..<6, using: &random) { await node.host.ready() }
        }
        node.store.resumeCommits()
        end.come()
        let answers = try await clients
        let total = answers.map(\.count).reduce(0, +)
        // Each answer was given once, so each add was performed once; and none was taken back.
        #expect(answers.joined().sorted() == Array(1..<total + 1))
        for one in answers { #expect(one == one.sorted()) }
        #expect(await node.until { (try? await node.perform(.count)) == "\(total)" })
        try await node.host.stop()
    }

    @Test("A node alone counts its epoch up at each start, and leaves a partition that nobody used alone")
    func singleNode() async throws {
        let directory = NSTemporaryDirectory() + "apus-single-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let address = try MovingNode.address("a")
        var ends: [LogEnd] = []
        for round in 1...3 {
            let store = try PartitionStore.open(StoreConfiguration(directory: directory))
            let own = store.identity.ring.partition(of: address)
            for partition in 0..<store.identity.ring.partitionCount where PartitionID(partition) != own {
                #expect(store.logEnd(of: PartitionID(partition)) == .empty)
            }
            ends.append(store.logEnd(of: own))
            let host = ActorHost(
                kinds: try RegistryReader.kinds(of: Lab()), store: SingleNodeStore(store),
                settings: HostSettings(shards: 2), logger: quietLogger()
            ) { _ in }
            await host.ready()
            #expect(await host.servedPartitions().count == store.identity.ring.partitionCount)
            let reply = try await host.perform(ActorRequest(target: address, operation: .add()))
            #expect(reply == .output(Payload("\(round)")))
            #expect(
                try await host.perform(ActorRequest(target: address, operation: .count))
                    == .output(Payload("\(round)")))
            try await host.stop()
        }
        #expect(ends.map(\.epoch.rawValue) == [0, 1, 2])
        #expect(ends.map(\.time) == ends.map(\.time).sorted())
    }
}
