import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import MailboxCore
import PartitionStore
import WorkflowCore

/// What is told of an actor, as JSON.
enum ActorDescription {
    static func of(_ actor: LiveActor) -> Payload {
        actor.describeRun()
        return describe(
            actor.address, createdAt: actor.createdAt, state: actor.instance.encodedState, input: actor.input,
            run: actor.run, queues: actor.mailbox.counts, undelivered: actor.undelivered(), isAwake: true)
    }

    static func of(
        _ stored: StoredActor, messages: [StoredItem], undelivered: [StoredItem]
    ) throws -> Payload {
        var counts: [String: Int] = [:]
        for item in messages { counts[try QueuedMessage.decode(item.body).queue, default: 0] += 1 }
        let run = try stored.run.map { bytes throws(WireError) in try RunRecord.decode(bytes) }
        var lost = UndeliveredMessages()
        for item in undelivered { try lost.restore(id: item.id, value: item.body) }
        return describe(
            stored.address, createdAt: stored.createdAt, state: stored.state ?? [], input: stored.input,
            run: run,
            queues: counts.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }, undelivered: lost,
            isAwake: false)
    }

    static func history(of actor: LiveActor) -> Payload {
        let run = LiveActor.runName(actor.shard.store.identity, actor.address, actor.id)
        return history(actor.address, run, actor.core.entries)
    }

    static func history(
        of stored: StoredActor, items: [StoredItem], in store: StoreIdentity
    ) throws -> Payload {
        let run = LiveActor.runName(store, stored.address, stored.id)
        let entries = try items.map { item throws(WireError) in try HistoryEntry.decode(item.body) }
        return history(stored.address, run, entries)
    }

    private static func describe(
        _ address: ActorAddress, createdAt: UInt64, state: [UInt8], input: [UInt8]?, run: RunRecord?,
        queues: [(queue: String, count: Int)], undelivered: UndeliveredMessages, isAwake: Bool
    ) -> Payload {
        var json = JSONText()
        json.object { json in
            addressMembers(address, &json)
            json.member("createdAt") { $0.time(createdAt) }
            json.member("awake") { $0.raw(isAwake ? "true" : "false") }
            json.member("state") { $0.raw(state.isEmpty ? Array("null".utf8) : state) }
            if let input { json.member("input") { $0.raw(input) } }
            if let run { json.member("run") { write(run, &$0) } }
            json.member("queues") { json in
                json.object { json in
                    for (queue, count) in queues { json.member(queue) { $0.raw(String(count)) } }
                }
            }
            if undelivered.count > 0 { json.member("undelivered") { write(undelivered, &$0) } }
        }
        return Payload(json.bytes)
    }

    private static func addressMembers(_ address: ActorAddress, _ json: inout JSONText) {
        json.member("kind") { $0.string(address.kind.name) }
        json.member("key") { json in
            json.array { json in for part in address.key.parts { json.element { $0.string(part) } } }
        }
    }

    private static func write(_ run: RunRecord, _ json: inout JSONText) {
        json.object { json in
            json.member("status") { $0.string(run.status.name) }
            json.member("since") { $0.time(run.since) }
            json.member("startedAt") { $0.time(run.startedAt) }
            if !run.detail.isEmpty {
                json.member(run.status == .stalled ? "reason" : "waitingFor") { $0.string(run.detail) }
            }
            if let failure = run.failure { json.member("failure") { write(failure, &$0) } }
        }
    }

    /// Messages to other actors that could not be delivered: how many, and the last ones.
    private static func write(_ messages: UndeliveredMessages, _ json: inout JSONText) {
        json.object { json in
            json.member("count") { $0.raw(String(messages.count)) }
            json.member("last") { json in
                json.array { json in
                    for message in messages.kept { json.element { write(message, &$0) } }
                }
            }
        }
    }

    private static func write(_ message: UndeliveredMessage, _ json: inout JSONText) {
        json.object { json in
            json.member("at") { $0.time(message.time) }
            json.member("to") { $0.string(message.target.description) }
            json.member("queue") { $0.string(message.queue) }
            json.member("body") { $0.raw(message.body) }
            if case .failure(let error)? = try? ReplyRecord.decode(message.error) {
                json.member("error") { $0.string("\(error.group).\(error.code): \(error.message)") }
            }
        }
    }

    private static func write(_ failure: FailureRecord, _ json: inout JSONText) {
        json.object { json in
            json.member("type") { $0.string(failure.type) }
            json.member("message") { $0.string(failure.message) }
        }
    }

    private static func history(_ address: ActorAddress, _ run: [UInt8], _ entries: [HistoryEntry]) -> Payload
    {
        var json = JSONText()
        json.object { json in
            addressMembers(address, &json)
            json.member("entries") { json in
                json.array { json in
                    for entry in entries { json.element { write(entry, run, &$0) } }
                }
            }
        }
        return Payload(json.bytes)
    }

    private static func write(_ entry: HistoryEntry, _ run: [UInt8], _ json: inout JSONText) {
        json.object { json in
            json.member("sequence") { $0.raw(String(entry.sequence)) }
            json.member("path") { $0.string(entry.path.description) }
            json.member("kind") { $0.string("\(entry.operation.kind)") }
            json.member("at") { $0.time(entry.recordedAt) }
            if entry.operation.kind == .step {
                // What the outside world was told, to find its side of the step.
                let key = StableNames.idempotencyKey(run: run, path: entry.path)
                json.member("idempotencyKey") { $0.string(key) }
            }
            write(entry.operation, &json)
        }
    }

    private static func write(_ operation: HistoryOperation, _ json: inout JSONText) {
        func status(_ text: String) { json.member("status") { $0.string(text) } }
        switch operation {
        case .step(let state, let attempts, let failures, let startedAt):
            json.member("startedAt") { $0.time(startedAt) }
            json.member("attempts") { $0.raw(String(attempts)) }
            switch state {
            case .started: status("running")
            case .completed(let value):
                status("completed")
                json.member("value") { $0.raw(value) }
            case .retrying(let at, _):
                status("retrying")
                json.member("retryAt") { $0.time(at) }
            case .failed(let failure, let timedOut):
                status(timedOut ? "timedOut" : "failed")
                json.member("failure") { write(failure, &$0) }
            }
            if !failures.isEmpty {
                json.member("failures") { json in
                    json.array { json in
                        for failure in failures { json.element { write(failure.failure, &$0) } }
                    }
                }
            }
        case .turn(.completed(let value)):
            status("completed")
            json.member("value") { $0.raw(value) }
        case .turn(.failed(let failure)):
            status("failed")
            json.member("failure") { write(failure, &$0) }
        case .sleep(let until, let done):
            status(done ? "completed" : "sleeping")
            json.member("until") { $0.time(until) }
        case .next(let deadline, let taken):
            status(taken.map { $0.isEmpty ? "timedOut" : "completed" } ?? "waiting")
            if let deadline { json.member("deadline") { $0.time(deadline) } }
            if let taken { json.member("messages") { write(taken, &$0) } }
        case .loop(let iteration, _, let result):
            status(result == nil ? "running" : "completed")
            json.member("iteration") { $0.raw(String(iteration)) }
            if let result { json.member("value") { $0.raw(result) } }
        case .completion(let message):
            status("completed")
            json.member("message") { $0.raw(String(message)) }
        case .send(let sent):
            status("completed")
            json.member("to") { $0.string(sent.target) }
        case .call(let sent, let deadline, let state):
            json.member("to") { $0.string(sent.target) }
            if let deadline { json.member("deadline") { $0.time(deadline) } }
            switch state {
            case .waiting: status("waiting")
            case .timedOut: status("timedOut")
            case .answered(let reply): write(reply: reply, &json)
            }
        }
    }

    private static func write(reply: [UInt8], _ json: inout JSONText) {
        let result = try? ReplyRecord.decode(reply)
        json.member("status") { $0.string(result?.isSuccess ?? false ? "completed" : "failed") }
        switch result {
        case .success(.output(let output)): json.member("value") { $0.raw(output.bytes) }
        case .failure(let error): json.member("failure") { write(FailureRecord(describing: error), &$0) }
        default: break
        }
    }

    private static func write(_ taken: [TakenMessage], _ json: inout JSONText) {
        json.array { json in
            for message in taken {
                json.element { json in
                    json.object { json in
                        json.member("id") { $0.raw(String(message.number)) }
                        json.member("queue") { $0.string(message.queue) }
                        json.member("body") { $0.raw(message.body) }
                    }
                }
            }
        }
    }
}

extension Result {
    fileprivate var isSuccess: Bool { if case .success = self { true } else { false } }
}
