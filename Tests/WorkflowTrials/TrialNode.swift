import ActorHost
import Apus
import ByteCoding
import ClientProtocol
import Foundation
import Identifiers
import Logging
import PartitionStore
import Synchronization
import TimeAndChance
import WorkflowCore

/// A node of a trial, which may crash under the script and come back.
package final class TrialNode<R: Registry>: Sendable {
    struct Life: Sendable {
        var number: Int
        var store: MemoryStore
        var host: ActorHost
    }

    package let clock = ManualClock()
    package let effects: EffectLog
    private let kinds: Mutex<[any ActorKindDefinition]>
    private let settings: HostSettings
    private let life: Mutex<Life>
    private let completed = Mutex<[Int: Set<String>]>([:])
    private let sequence = Atomic<UInt64>(0)
    private let crashedAsChosen = Atomic<Bool>(false)
    private let session = SessionID(high: 7, low: 7)
    private let addresses = Mutex<Set<ActorAddress>>([])

    init(_ registry: R, log: EffectLog, way: Trial<R>.Way) throws {
        let kinds = try RegistryReader.kinds(of: registry)
        self.kinds = Mutex(kinds)
        effects = log
        var crashAfter: Int?
        var idle: Duration = .seconds(1_000_000_000)
        switch way {
        case .live: break
        case .hibernatedAtEveryWait: idle = .zero
        case .crashedAfter(let records): crashAfter = records
        }
        settings = HostSettings(shards: 1, idleOverride: idle)
        let store = MemoryStore(crashAfter: crashAfter)
        life = Mutex(
            Life(
                number: 0, store: store, host: Self.host(kinds, store, clock, settings)))
        clock.onAdvance { [weak self] in self?.current.host.clockMoved() }
    }

    private static func host(
        _ kinds: [any ActorKindDefinition], _ store: MemoryStore, _ clock: ManualClock,
        _ settings: HostSettings
    ) -> ActorHost {
        var logger = Logger(label: "trial")
        logger.logLevel = .critical
        return ActorHost(kinds: kinds, store: store, clock: clock, settings: settings, logger: logger) { _ in
        }
    }

    private var current: Life { life.withLock { $0 } }
    package var host: ActorHost { current.host }
    package var store: MemoryStore { current.store }
    /// Whether the crash of this way of the trial has come.
    var hasCrashedAsChosen: Bool {
        crashedAsChosen.load(ordering: .relaxed) || current.store.hasCrashedAsChosen
    }
    /// 1 if the node never crashed.
    package var lives: Int { current.number + 1 }

    func end() { current.host.abandon() }

    /// Ends the process without warning and starts the next one on what was durable. May be called by an
    /// effect.
    /// - Parameter number: the life to end; nothing happens if it has ended already.
    package func crash(life number: Int? = nil) {
        let kinds = kinds.withLock { $0 }
        let ended = life.withLock { life -> MemoryStore? in
            if let number, number != life.number { return nil }
            let ended = life.store
            if ended.hasCrashedAsChosen { crashedAsChosen.store(true, ordering: .relaxed) }
            life.host.abandon()
            let store = life.store.reopened()
            effects.nextLife()
            completed.withLock {
                $0[life.number + 1] = Self.completedSteps(in: store, addresses.withLock { $0 })
            }
            life = Life(
                number: life.number + 1, store: store, host: Self.host(kinds, store, clock, settings))
            return ended
        }
        ended?.crash()
    }

    /// Stops in good order and starts again.
    package func restart() async throws {
        try await current.host.stop()
        crash()
    }

    /// Starts other code on the same store.
    package func deploy(_ registry: some Registry) throws {
        let new = try RegistryReader.kinds(of: registry)
        kinds.withLock { $0 = new }
        crash()
    }

    private static func completedSteps(in store: MemoryStore, _ addresses: Set<ActorAddress>) -> Set<String> {
        var steps: Set<String> = []
        for address in addresses {
            let partition = store.identity.ring.partition(of: address)
            guard let actor = store.actor(at: address, in: partition) else { continue }
            for item in store.items(of: actor.id, in: partition, space: .history) {
                guard let entry = try? HistoryEntry.decode(item.body),
                    case .step(.completed, _, _, _) = entry.operation
                else { continue }
                steps.insert(StableNames.idempotencyKey(run: runName(actor, in: store), path: entry.path))
            }
        }
        return steps
    }

    /// As the host names runs, see `LiveActor.nameRun`.
    private static func runName(_ actor: StoredActor, in store: MemoryStore) -> [UInt8] {
        var writer = ByteWriter()
        writer.fixed(store.identity.cluster.high)
        writer.fixed(store.identity.cluster.low)
        writer.string(actor.address.description)
        writer.varint(actor.id.rawValue)
        return writer.bytes
    }

    /// No step is executed in a life that found its result recorded (W2).
    func checkEffects() throws {
        for entry in effects.entries {
            if completed.withLock({ $0[entry.life]?.contains(entry.step) }) ?? false {
                throw Trial<R>.Failure(
                    description: "step \(entry.step) was executed again in life \(entry.life)")
            }
        }
    }

    // MARK: What a script does

    /// Performs a request, repeated with the same identity over crashes until it is answered.
    /// - Parameter identity: in place of the next of the trial's session.
    package func perform(
        _ kind: String, _ key: String, _ operation: ActorRequest.Operation,
        as identity: RequestIdentity? = nil
    ) async throws -> ActorReply {
        let address = ActorAddress(kind: try ActorKind(kind), key: try ActorKey([key]))
        addresses.withLock { _ = $0.insert(address) }
        let number = sequence.add(1, ordering: .relaxed).newValue
        let request = ActorRequest(
            target: address, operation: operation,
            identity: identity ?? .session(session, sequence: number, acknowledged: 0))
        while true {
            let life = current
            // What a crash or a new program left to do begins before anybody looks.
            var looks = 0
            while life.host.isStarting, current.number == life.number, looks < 1_000_000 {
                looks += 1
                await Task.yield()
            }
            let outcome: Result<ActorReply, ActorError>? = await withUnsafeContinuation { continuation in
                let once = Once(continuation)
                life.store.onCrash { once.resume(nil) }
                life.host.submit(request) { once.resume($0) }
            }
            if let outcome { return try outcome.get() }
            crash(life: life.number)
        }
    }

    package func create(_ kind: String, _ key: String, input: String? = nil) async throws {
        _ = try await perform(kind, key, .getOrCreate(input: input.map { Payload($0) }))
    }

    /// An action's output as JSON.
    package func call(
        _ kind: String, _ key: String, _ action: String, _ input: String = "null"
    ) async throws -> String {
        guard case .output(let output) = try await perform(kind, key, .action(action, input: Payload(input)))
        else {
            throw Trial<R>.Failure(description: "an action answers with an output")
        }
        return output.text
    }

    package func send(_ kind: String, _ key: String, _ queue: String, _ body: String) async throws {
        _ = try await perform(kind, key, .send(queue: queue, body: Payload(body)))
    }

    /// The reply to a message as JSON; nil if it timed out.
    package func request(
        _ kind: String, _ key: String, _ queue: String, _ body: String, timeoutMillis: UInt64? = nil
    ) async throws -> String? {
        let reply = try await perform(
            kind, key, .request(queue: queue, body: Payload(body), timeoutMillis: timeoutMillis))
        if case .completed(let payload) = reply { return payload.text }
        return nil
    }

    package struct Description: Sendable, Equatable {
        package var status: String
        package var waitingFor: String
        package var reason: String
        package var failure: String
        /// As JSON with sorted keys.
        package var state: String
        package var isAwake: Bool
    }

    package func describe(_ kind: String, _ key: String) async throws -> Description {
        guard case .document(let payload) = try await perform(kind, key, .describe),
            let json = try JSONSerialization.jsonObject(with: Data(payload.bytes)) as? [String: Any]
        else { throw Trial<R>.Failure(description: "a description is a JSON object") }
        let run = json["run"] as? [String: Any] ?? [:]
        let failure = run["failure"] as? [String: Any]
        let state = try JSONSerialization.data(
            withJSONObject: json["state"] ?? [:], options: [.sortedKeys, .fragmentsAllowed])
        return Description(
            status: run["status"] as? String ?? "", waitingFor: run["waitingFor"] as? String ?? "",
            reason: run["reason"] as? String ?? "", failure: failure?["message"] as? String ?? "",
            state: String(decoding: state, as: UTF8.self), isAwake: json["awake"] as? Bool ?? false)
    }

    /// The code of the error that the request is refused with; nil if it is not.
    package func refusal(
        _ kind: String, _ key: String, _ operation: ActorRequest.Operation,
        as identity: RequestIdentity? = nil
    ) async throws -> String? {
        do {
            _ = try await perform(kind, key, operation, as: identity)
            return nil
        } catch let error as ActorError { return "\(error.group).\(error.code)" }
    }

    package func history(_ kind: String, _ key: String) async throws -> String {
        guard case .document(let payload) = try await perform(kind, key, .history) else { return "" }
        return payload.text
    }

    /// Moves time on until the run has ended, is stalled, or waits for a message without a deadline.
    package func settle(_ kind: String, _ key: String) async throws -> Description {
        var leap = Duration.milliseconds(100)
        for _ in 0..<200_000 {
            let found = try await describe(kind, key)
            switch found.status {
            // Another actor answers it, without time.
            case "waiting" where found.waitingFor.hasPrefix("the answer"): break
            case "completed", "failed", "cancelled", "stalled", "waiting": return found
            case "sleeping", "retrying":
                clock.advance(by: leap)
                leap = min(leap * 2, .seconds(86_400))
            default: break
            }
            await Task.yield()
        }
        throw Trial<R>.Failure(
            description: "\(kind)/\(key) does not settle: \(try await describe(kind, key))")
    }

    /// Waits for a condition, without moving time.
    package func until(_ what: String, _ condition: () async throws -> Bool) async throws {
        for _ in 0..<200_000 {
            if try await condition() { return }
            await Task.yield()
        }
        throw Trial<R>.Failure(description: "never came: \(what)")
    }
}

/// A continuation that is resumed by whoever comes first.
private final class Once<Value: Sendable>: Sendable {
    private let continuation: Mutex<UnsafeContinuation<Value, Never>?>
    init(_ continuation: UnsafeContinuation<Value, Never>) { self.continuation = Mutex(continuation) }
    func resume(_ value: Value) {
        let waiting = continuation.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        waiting?.resume(returning: value)
    }
}
