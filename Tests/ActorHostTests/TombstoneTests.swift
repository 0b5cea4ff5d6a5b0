import ActorHost
import Apus
import ClientProtocol
import Identifiers
import PartitionStore
import Testing
import WorkflowTrials

@Suite("What outlives a destroyed actor")
struct TombstoneTests {
    static let idle: LabActor.Script = { workflow, _ in _ = try await workflow.next("wait", from: \.jobs) }
    private static let session = SessionID(high: 5, low: 6)

    @Test("A13 A2: a destroy that is repeated after a lost reply gets its reply, and spares a new actor")
    func destroyAgain() async throws {
        @Sendable func script(
            _ node: TrialNode<Lab>, restart: () async throws -> Void
        ) async throws -> [String] {
            var seen: [String] = []
            for identity in [
                RequestIdentity.key("end"), .session(Self.session, sequence: 9, acknowledged: 8),
            ] {
                try await node.create("lab", "a", input: #"{"start":5}"#)
                seen.append("\(try await node.perform("lab", "a", .destroy, as: identity))")
                node.crash()
                seen.append("\(try await node.perform("lab", "a", .destroy, as: identity))")
                seen.append(try await node.refusal("lab", "a", .describe) ?? "there")
                seen.append(try await node.refusal("lab", "a", .destroy) ?? "destroyed")
                try await node.create("lab", "a", input: #"{"start":7}"#)
                seen.append("\(try await node.perform("lab", "a", .destroy, as: identity))")
                try await restart()
                seen.append("\(try await node.perform("lab", "a", .destroy, as: identity))")
                seen.append(try await node.call("lab", "a", "count"))
                _ = try await node.perform("lab", "a", .destroy)
            }
            return seen
        }
        let one = [
            "destroyed", "destroyed", "actor.not_found", "actor.not_found", "destroyed", "destroyed", "7",
        ]
        let (seen, _) = try await inAllWays(Self.idle) { node in
            try await script(node) { node.crash() }
        }
        #expect(seen == one + one)
        let orderly = try await withoutCrashes(Self.idle) { node in
            try await script(node) { try await node.restart() }
        }
        #expect(orderly == one + one)
    }

    @Test("A13: an action whose turn destroyed its actor is repeated, and does not create it anew")
    func actionAgain() async throws {
        let (seen, _) = try await inAllWays(Self.idle) { node in
            let add = ActorRequest.Operation.action("add", input: Payload("4"))
            let end = ActorRequest.Operation.action("end", input: .null)
            let first = RequestIdentity.session(Self.session, sequence: 1, acknowledged: 0)
            let second = RequestIdentity.session(Self.session, sequence: 2, acknowledged: 0)
            var seen: [ActorReply] = []
            for _ in 0..<3 {
                seen.append(try await node.perform("lab", "a", add, as: first))
                seen.append(try await node.perform("lab", "a", end, as: second))
                node.crash()
            }
            let gone = try await node.refusal("lab", "a", .describe)
            try await node.create("lab", "a", input: #"{"start":7}"#)
            seen.append(try await node.perform("lab", "a", end, as: second))
            seen.append(try await node.perform("lab", "a", .action("count", input: .null)))
            let outputs = seen.map { reply in
                if case .output(let payload) = reply { payload.text } else { "\(reply)" }
            }
            return outputs + [gone]
        }
        #expect(seen == ["4", "null", "4", "null", "4", "null", "null", "7", "actor.not_found"])
    }

    @Test("A13: a creation or a waiting request of a destroyed actor is repeated, and told that it is gone")
    func creationAgain() async throws {
        let (seen, _) = try await inAllWays(Self.idle) { node in
            let ask = ActorRequest.Operation.request(
                queue: "asks", body: Payload(#""x""#), timeoutMillis: 0)
            _ = try await node.perform("lab", "a", .create(input: nil), as: .key("made"))
            _ = try await node.perform("lab", "a", ask, as: .key("asked"))
            _ = try await node.perform("lab", "a", .destroy)
            var seen: [String?] = []
            for _ in 0..<2 {
                seen.append(try await node.refusal("lab", "a", .create(input: nil), as: .key("made")))
                seen.append(try await node.refusal("lab", "a", ask, as: .key("asked")))
                node.crash()
            }
            return seen + [try await node.refusal("lab", "a", .create(input: nil), as: .key("new"))]
        }
        let gone: [String?] = Array(repeating: "actor.destroyed", count: 4)
        #expect(seen == gone + [nil])
    }

    @Test("A13 A2: the memory is listed nowhere and ends after 24 hours; without one nothing is left")
    func expiry() async throws {
        try await withoutCrashes(Self.idle) { node in
            let address = ActorAddress(kind: try ActorKind("lab"), key: try ActorKey(["a"]))
            func isStored() -> Bool {
                let partition = node.store.identity.ring.partition(of: address)
                return node.store.actor(at: address, in: partition) != nil
            }
            func rest() async throws {
                for _ in 0..<20 { await node.host.ready() }
            }
            // The trial gives every request without an identity one of its session.
            _ = try await node.host.perform(ActorRequest(target: address, operation: .create(input: nil)))
            _ = try await node.host.perform(ActorRequest(target: address, operation: .destroy))
            try await rest()
            #expect(!isStored())
            try await node.create()
            _ = try await node.perform("lab", "a", .destroy, as: .key("end"))
            try await rest()
            #expect(isStored())
            let list = try await node.host.list(kind: nil, after: nil, limit: 10)
            #expect(list.text == #"{"actors":[],"more":false}"#)
            node.clock.advance(by: .seconds(23 * 3_600))
            try await rest()
            #expect(isStored())
            node.crash()
            node.clock.advance(by: .seconds(2 * 3_600))
            try await node.until("forgotten") {
                await node.host.ready()
                return !isStored()
            }
            return try await node.refusal("lab", "a", .destroy, as: .key("end"))
        }
    }
}
