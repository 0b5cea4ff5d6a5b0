import ClientProtocol
import Identifiers
import Synchronization

/// An `ActorService` in memory, for tests of the edge: counters with the deduplication that a host must do.
///
/// Kind `counter`: actions `increment`, `count`, `echo`, `large`, `fail`, `crash`, and `hold`, which answers
/// when the
/// test says so; queue `requests`, whose requests the test completes; event `changed`.
public final class FakeActorService: ActorService {
    /// What the service was asked to do, in order.
    public enum Happening: Sendable {
        case submitted(ActorRequest, RequestToken)
        case abandoned(RequestToken)
        case subscribed(SubscriptionID)
        case unsubscribed(SubscriptionID)
    }

    public typealias Reply = @Sendable (Result<ActorReply, ActorError>) -> Void

    private struct State {
        var nextToken: UInt64 = 1
        var counters: [ActorAddress: Int] = [:]
        var remembered: [RequestIdentity: Result<ActorReply, ActorError>] = [:]
        var held: [RequestToken: Reply] = [:]
        var subscriptions: [SubscriptionID: (ActorAddress, String, @Sendable (EventDelivery) -> Void)] = [:]
        var executions = 0
        var happenings: [Happening] = []
        var waiters: [(@Sendable ([Happening]) -> Bool, CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())
    public let kinds = ["counter"]

    public init() {}

    // MARK: What tests look at

    /// How many requests were executed, not counting repeated ones.
    public var executions: Int { state.withLock { $0.executions } }
    public var happenings: [Happening] { state.withLock { $0.happenings } }
    public var subscriptionCount: Int { state.withLock { $0.subscriptions.count } }

    public var requests: [ActorRequest] {
        happenings.compactMap { if case .submitted(let request, _) = $0 { request } else { nil } }
    }

    /// Returns once what happened so far meets the condition.
    public func waitUntil(_ condition: @escaping @Sendable ([Happening]) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isMet = state.withLock { state in
                guard !condition(state.happenings) else { return true }
                state.waiters.append((condition, continuation))
                return false
            }
            if isMet { continuation.resume() }
        }
    }

    public func waitForRequests(_ count: Int) async {
        await waitUntil { happenings in
            happenings.count { if case .submitted = $0 { true } else { false } } >= count
        }
    }

    /// Answers everything that is held or waiting.
    public func release(_ result: Result<ActorReply, ActorError>) {
        let held = state.withLock { state in
            defer { state.held = [:] }
            return state.held.values.map { $0 }
        }
        for reply in held { reply(result) }
    }

    /// Sends an event to every subscription of it.
    public func broadcast(_ event: String, of actor: ActorAddress, _ payload: Payload) {
        let receivers = state.withLock { state in
            state.subscriptions.values.filter { $0.0 == actor && $0.1 == event }.map { $0.2 }
        }
        for deliver in receivers { deliver(EventDelivery(actor: actor, event: event, payload: payload)) }
    }

    /// Ends every subscription of an event.
    public func end(_ event: String, of actor: ActorAddress, _ error: ActorError) {
        let receivers = state.withLock { state in
            state.subscriptions.values.filter { $0.0 == actor && $0.1 == event }.map { $0.2 }
        }
        for deliver in receivers { deliver(EventDelivery(ending: error, event: event, of: actor)) }
    }

    private func note(_ happening: Happening) {
        let ready = state.withLock { state in
            state.happenings.append(happening)
            let now = state.happenings
            let ready = state.waiters.filter { $0.0(now) }
            state.waiters.removeAll { $0.0(now) }
            return ready.map { $0.1 }
        }
        for waiter in ready { waiter.resume() }
    }

    // MARK: ActorService

    @discardableResult
    public func submit(_ request: ActorRequest, reply: @escaping Reply) -> RequestToken {
        let (token, result) = state.withLock { state in
            let token = RequestToken(rawValue: state.nextToken)
            state.nextToken += 1
            if let identity = request.identity?.withoutAcknowledgement, let known = state.remembered[identity]
            {
                return (token, Optional(known))
            }
            let result = Self.perform(request, &state)
            if let result {
                state.executions += 1
                if let identity = request.identity?.withoutAcknowledgement {
                    state.remembered[identity] = result
                }
            } else {
                state.held[token] = reply
            }
            return (token, result)
        }
        note(.submitted(request, token))
        if let result { reply(result) }
        return token
    }

    private static func perform(
        _ request: ActorRequest, _ state: inout State
    ) -> Result<ActorReply, ActorError>? {
        let address = request.target
        guard address.kind.name == "counter" else {
            return .failure(.kindNotFound(address.kind.name, known: ["counter"]))
        }
        let description = { (count: Int) in Payload("{\"state\":{\"count\":\(count)}}") }
        switch request.operation {
        case .getOrCreate:
            let isNew = state.counters[address] == nil
            let count = state.counters[address, default: 0]
            state.counters[address] = count
            return .success(.created(isNew, description(count)))
        case .create:
            guard state.counters[address] == nil else {
                return .failure(ActorError("duplicate_key", "it exists", group: "actor"))
            }
            state.counters[address] = 0
            return .success(.created(true, description(0)))
        case .describe:
            return state.counters[address].map { .success(.document(description($0))) }
                ?? .failure(.notFound(address))
        case .history:
            guard state.counters[address] != nil else { return .failure(.notFound(address)) }
            return .success(.document(Payload("{\"entries\":[]}")))
        case .destroy:
            return state.counters.removeValue(forKey: address) == nil
                ? .failure(.notFound(address)) : .success(.destroyed)
        case .action("hold", _): return nil
        case .action(let name, let input): return action(name, input, address, &state)
        case .send(let queue, _, _):
            guard queue == "requests" else {
                return .failure(.queueUnknown(queue, kind: address.kind, known: ["requests"]))
            }
            return .success(.accepted(UInt64(state.executions + 1)))
        case .request(let queue, let body, let timeoutMillis, _):
            guard queue == "requests" else {
                return .failure(.queueUnknown(queue, kind: address.kind, known: ["requests"]))
            }
            // The body "now" is completed at once; anything else by the test.
            if body.text == "\"now\"" { return .success(.completed(body)) }
            return timeoutMillis == 0 ? .success(.timedOut) : nil
        }
    }

    private static func action(
        _ name: String, _ input: Payload, _ address: ActorAddress, _ state: inout State
    ) -> Result<ActorReply, ActorError> {
        switch name {
        case "increment":
            guard let amount = Int(input.text) else {
                return .failure(.validation("not a whole number", field: "input"))
            }
            let count = state.counters[address, default: 0] + amount
            state.counters[address] = count
            return .success(.output(Payload("\(count)")))
        case "count": return .success(.output(Payload("\(state.counters[address, default: 0])")))
        case "large": return .success(.output(largeOutput))
        case "echo": return .success(.output(input))
        case "fail":
            return .failure(ActorError("out_of_paint", "no \"paint\" left", metadata: ["colour": "blue"]))
        case "crash": return .failure(.internalError)
        default: return .failure(.actionNotFound(name, kind: address.kind, known: ["increment", "count"]))
        }
    }

    /// 64 KiB.
    private static let largeOutput = Payload("\"" + String(repeating: "x", count: 64 << 10) + "\"")

    public func abandon(_ token: RequestToken) {
        let held = state.withLock { $0.held.removeValue(forKey: token) }
        held?(.success(.timedOut))
        note(.abandoned(token))
    }

    public func subscribe(
        to event: String, of actor: ActorAddress, deliver: @escaping @Sendable (EventDelivery) -> Void
    ) throws(ActorError) -> SubscriptionID {
        guard event == "changed" else { throw .eventUnknown(event, kind: actor.kind, known: ["changed"]) }
        let id = state.withLock { state in
            let id = SubscriptionID(rawValue: state.nextToken)
            state.nextToken += 1
            state.subscriptions[id] = (actor, event, deliver)
            return id
        }
        note(.subscribed(id))
        return id
    }

    public func unsubscribe(_ subscription: SubscriptionID) {
        state.withLock { $0.subscriptions[subscription] = nil }
        note(.unsubscribed(subscription))
    }

    public func status() async -> Payload { Payload("{\"status\":\"ok\"}") }

    public func list(kind: String?, after: ActorAddress?, limit: Int) async throws(ActorError) -> Payload {
        if let kind, kind != "counter" { throw .kindNotFound(kind, known: kinds) }
        let addresses = state.withLock { $0.counters.keys.sorted() }
        let page = addresses.filter { address in after.map { $0 < address } ?? true }.prefix(limit)
        return Payload("{\"actors\":[\(page.map { "\"\($0)\"" }.joined(separator: ","))]}")
    }
}

extension RequestIdentity {
    /// A repeated request may acknowledge more than the first time.
    fileprivate var withoutAcknowledgement: RequestIdentity {
        guard case .session(let session, let sequence, _) = self else { return self }
        return .session(session, sequence: sequence, acknowledged: 0)
    }
}
