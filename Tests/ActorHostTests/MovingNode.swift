import ActorHost
import Apus
import ClientProtocol
import Identifiers
import Logging
import PartitionStore
import Synchronization
import WorkflowTrials

/// A host whose partitions come and go, and what its clients hear.
struct MovingNode: Sendable {
    final class Replies: Sendable {
        private let live = Mutex<[String]>([])
        func note(_ text: String) { live.withLock { $0.append(text) } }
        var all: [String] { live.withLock { $0 } }
    }

    let store = MovingStore()
    let clock = ManualClock()
    let log = EffectLog()
    let host: ActorHost
    let replies = Replies()
    /// That of the actor "a" of the node's first kind.
    let partition: PartitionID

    init(
        settings: HostSettings = HostSettings(shards: 1, idleOverride: .seconds(1_000_000_000)),
        _ script: @escaping LabActor.Script = { _, _ in }
    ) throws {
        try self.init(settings: settings) { Lab($0, script) }
    }

    init(
        settings: HostSettings = HostSettings(shards: 1, idleOverride: .seconds(1_000_000_000)),
        registry: (EffectLog) -> some Registry
    ) throws {
        let kinds = try RegistryReader.kinds(of: registry(log))
        host = ActorHost(
            kinds: kinds, store: store, clock: clock, settings: settings, logger: quietLogger()
        ) { _ in }
        partition = store.identity.ring.partition(
            of: try Self.address("a", kind: kinds.first?.name ?? ""))
        clock.onAdvance { [host] in host.clockMoved() }
    }

    static func address(_ key: String, kind: String = "lab") throws -> ActorAddress {
        ActorAddress(kind: try ActorKind(kind), key: try ActorKey([key]))
    }

    /// A key whose actor lives in another partition than "a".
    func otherKey() throws -> String {
        for number in 0..<1_000 {
            let key = "other\(number)"
            if store.identity.ring.partition(of: try Self.address(key)) != partition { return key }
        }
        throw NeverCame()
    }

    @discardableResult
    func submit(
        _ name: String, _ operation: ActorRequest.Operation, key: String = "a", kind: String = "lab",
        as identity: RequestIdentity? = nil, timeLeftMillis: UInt64? = nil
    ) throws -> RequestToken {
        let request = ActorRequest(
            target: try Self.address(key, kind: kind), operation: operation, identity: identity,
            timeLeftMillis: timeLeftMillis)
        return host.submit(request) { [replies] in replies.note("\(name): \(Self.text($0))") }
    }

    /// Waits for the reply, and for what else the request has started, such as a run's beginning.
    func perform(
        _ operation: ActorRequest.Operation, key: String = "a", kind: String = "lab",
        as identity: RequestIdentity? = nil
    ) async throws -> String {
        let request = ActorRequest(
            target: try Self.address(key, kind: kind), operation: operation, identity: identity)
        let reply = await withUnsafeContinuation { continuation in
            host.submit(request) { continuation.resume(returning: Self.text($0)) }
        }
        await settle()
        return reply
    }

    private static func text(_ result: Result<ActorReply, ActorError>) -> String {
        switch result {
        case .success(.output(let output)): output.text
        case .success(.completed(let output)): "completed \(output.text)"
        case .success(.created(let isNew, _)): isNew ? "created" : "found"
        case .success(.document(let text)): text.text
        case .success(let reply): "\(reply)"
        case .failure(let error): "\(error.group).\(error.code)"
        }
    }

    /// Owns the actors "a" and its partition's others, and lets turns run there.
    func own() async {
        store.lead(partition)
        await until { await host.servedPartitions() == [partition] }
    }

    /// Lets the host do what it can.
    func settle() async { for _ in 0..<20 { await host.ready() } }

    @discardableResult
    func until(_ condition: () async -> Bool) async -> Bool {
        for _ in 0..<100_000 {
            if await condition() { return true }
            await Task.yield()
        }
        return false
    }

    /// The replies, once that many have come.
    func replies(_ count: Int) async -> [String] {
        await until { replies.all.count >= count }
        await settle()
        return replies.all
    }

    func noted(_ name: String) -> Int { log.entries.filter { $0.name == name }.count }
}

struct NeverCame: Error {}

extension ActorRequest.Operation {
    static func add(_ amount: Int = 1) -> Self { .action("add", input: Payload("\(amount)")) }
    static var count: Self { .action("count", input: .null) }
    static func ask(_ body: String) -> Self {
        .request(queue: "asks", body: Payload(#""\#(body)""#), timeoutMillis: nil)
    }
}
