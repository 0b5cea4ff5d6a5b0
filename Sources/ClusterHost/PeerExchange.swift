import ClientProtocol
import Identifiers
import Logging
import MeshProtocol
import MeshTransport

/// Carries requests to the nodes that own their actors, and performs those of others: one hop, never two.
/// Lives on the event loop of the mesh.
actor PeerExchange {
    /// What became of a call.
    enum Outcome: Sendable {
        case answered(Result<ActorReply, ActorError>)
        /// The node did not get it, now or ever.
        case notSent
        /// The connection ended: nobody knows.
        case lost
    }

    struct Limits: Sendable {
        /// Calls under way to one node.
        var callsMax = 16_384
        /// Calls and subscriptions of one node that are served here.
        var servedMax = 32_768
    }

    private struct Pending {
        var node: NodeID
        var then: @Sendable (Outcome) -> Void
    }

    private struct Watching {
        var node: NodeID
        var deliver: @Sendable (Result<Payload, ActorError>) -> Void
    }

    /// What is done here for one other node.
    private struct Served {
        var calls: [UInt64: RequestToken] = [:]
        var subscriptions: [UInt64: SubscriptionID] = [:]
        /// Answers that the mesh did not take; there are never more than calls and subscriptions.
        var unsent: [PeerAnswer] = []
    }

    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    private let transport: MeshTransport
    private let host: any ActorService
    private let limits: Limits
    private let logger: Logger
    private var pending: [UInt64: Pending] = [:]
    private var watching: [UInt64: Watching] = [:]
    private var counts: [NodeID: Int] = [:]
    private var served: [NodeID: Served] = [:]
    private var nextID: UInt64

    init(
        _ transport: MeshTransport, host: any ActorService, seed: UInt64,
        limits: Limits = Limits(), logger: Logger
    ) {
        self.transport = transport
        loop = transport.loop
        self.host = host
        self.limits = limits
        self.logger = logger
        // An answer to an earlier process of this node must not be taken for one to this.
        nextID = seed << 24
    }

    // MARK: Asking

    /// - Parameter then: called once, on the loop.
    /// - Returns: the id for `abandon`; nil if it was not sent.
    func call(
        _ body: PeerCall.Body, at node: NodeID, then: @escaping @Sendable (Outcome) -> Void
    ) -> UInt64? {
        guard counts[node, default: 0] < limits.callsMax else {
            then(.answered(.failure(.overloaded)))
            return nil
        }
        let id = takeID()
        switch send(PeerCall(id: id, body: body), to: node) {
        case .queued: break
        case .invalid(let reason):
            logger.error("a request cannot be carried to node \(node.rawValue): \(reason)")
            then(.answered(.failure(.tooLarge("the request", limit: Frame.payloadBytesMax))))
            return nil
        case .full, .notConnected:
            then(.notSent)
            return nil
        }
        pending[id] = Pending(node: node, then: then)
        counts[node, default: 0] += 1
        return id
    }

    /// Nobody waits for the answer any more.
    func abandon(_ id: UInt64) {
        guard let call = take(id) else { return }
        send(PeerCall(id: id, body: .abandon), to: call.node)
    }

    /// - Parameter deliver: called on the loop: events, and after a failure nothing more.
    /// - Returns: nil if it was not sent.
    func subscribe(
        to event: String, of actor: ActorAddress, at node: NodeID,
        deliver: @escaping @Sendable (Result<Payload, ActorError>) -> Void
    ) -> UInt64? {
        let id = takeID()
        let call = PeerCall(id: id, body: .subscribe(event: event, of: actor))
        guard send(call, to: node) == .queued else { return nil }
        watching[id] = Watching(node: node, deliver: deliver)
        return id
    }

    func unsubscribe(_ id: UInt64) {
        guard let watch = watching.removeValue(forKey: id) else { return }
        send(PeerCall(id: id, body: .unsubscribe), to: watch.node)
    }

    private func takeID() -> UInt64 {
        nextID += 1
        return nextID
    }

    private func take(_ id: UInt64) -> Pending? {
        guard let call = pending.removeValue(forKey: id) else { return nil }
        counts[call.node, default: 1] -= 1
        return call
    }

    @discardableResult
    private func send(_ call: PeerCall, to node: NodeID) -> SendOutcome {
        let frame = Frame(ClusterFrames.call, call.encoded())
        return transport.assumeIsolated { $0.send(frame, to: node, on: .data) }
    }

    // MARK: What the mesh brings

    func received(_ frame: Frame, from node: NodeID) {
        do {
            if frame.kind == ClusterFrames.answer {
                answered(try PeerAnswer.decode(frame.payload), by: node)
            } else {
                perform(try PeerCall.decode(frame.payload), for: node)
            }
        } catch {
            logger.error("node \(node.rawValue) sent what cannot be read: \(error)")
        }
    }

    private func answered(_ answer: PeerAnswer, by node: NodeID) {
        switch answer.body {
        case .reply, .failure:
            guard pending[answer.id]?.node == node, let call = take(answer.id) else { return }
            if case .reply(let reply) = answer.body { call.then(.answered(.success(reply))) }
            if case .failure(let error) = answer.body { call.then(.answered(.failure(error))) }
        case .event(let payload):
            guard let watch = watching[answer.id], watch.node == node else {
                // The word that nobody listens any more was lost, for want of room in the queue.
                send(PeerCall(id: answer.id, body: .unsubscribe), to: node)
                return
            }
            watch.deliver(.success(payload))
        case .ending(let error):
            guard let watch = watching[answer.id], watch.node == node else { return }
            watching[answer.id] = nil
            watch.deliver(.failure(error))
        }
    }

    /// The connection for calls to a node is gone, with everything on the way in both directions.
    func disconnected(_ node: NodeID) {
        for (id, call) in pending.sorted(by: { $0.key < $1.key }) where call.node == node {
            take(id)?.then(.lost)
        }
        for (id, watch) in watching.sorted(by: { $0.key < $1.key }) where watch.node == node {
            watching[id] = nil
            watch.deliver(.failure(.moved))
        }
        guard let ended = served.removeValue(forKey: node) else { return }
        for token in ended.calls.values { host.abandon(token) }
        for subscription in ended.subscriptions.values { host.unsubscribe(subscription) }
    }

    /// Everything that is under way is lost; nothing is begun any more.
    func stop() {
        let nodes = Set(pending.values.map(\.node) + watching.values.map(\.node) + served.keys)
        for node in nodes.sorted() { disconnected(node) }
    }

    // MARK: Serving

    private func perform(_ call: PeerCall, for node: NodeID) {
        let id = call.id
        switch call.body {
        case .request(let request):
            guard hasRoom(for: node) else { return answer(id, .failure(.overloaded), to: node) }
            // The host refuses what this node does not own; it is never passed on.
            let token = host.submit(request) { [weak self, loop] result in
                loop.post { [weak self] in self?.assumeIsolated { $0.performed(id, result, for: node) } }
            }
            served[node, default: Served()].calls[id] = token
        case .abandon:
            guard let token = served[node]?.calls.removeValue(forKey: id) else { return }
            host.abandon(token)
        case .list(let kind, let after, let limit):
            guard hasRoom(for: node) else { return answer(id, .failure(.overloaded), to: node) }
            list(id, kind: kind, after: after, limit: limit, for: node)
        case .subscribe(let event, let actor): subscribe(id, to: event, of: actor, for: node)
        case .unsubscribe:
            guard let subscription = served[node]?.subscriptions.removeValue(forKey: id) else { return }
            host.unsubscribe(subscription)
        }
    }

    private func hasRoom(for node: NodeID) -> Bool {
        guard let served = served[node] else { return true }
        return served.calls.count + served.subscriptions.count < limits.servedMax
    }

    private func performed(_ id: UInt64, _ result: Result<ActorReply, ActorError>, for node: NodeID) {
        guard served[node]?.calls.removeValue(forKey: id) != nil else { return }
        switch result {
        case .success(let reply): answer(id, .reply(reply), to: node)
        case .failure(let error): answer(id, .failure(error), to: node)
        }
    }

    private func list(_ id: UInt64, kind: String?, after: ActorAddress?, limit: Int, for node: NodeID) {
        // Nothing can be given up here; the number only holds a place.
        served[node, default: Served()].calls[id] = RequestToken(rawValue: .max)
        Task { [weak self, host] in
            let result: Result<ActorReply, ActorError>
            do throws(ActorError) {
                result = .success(.document(try await host.list(kind: kind, after: after, limit: limit)))
            } catch {
                result = .failure(error)
            }
            await self?.performed(id, result, for: node)
        }
    }

    private func subscribe(_ id: UInt64, to event: String, of actor: ActorAddress, for node: NodeID) {
        guard hasRoom(for: node) else { return answer(id, .ending(.overloaded), to: node) }
        do throws(ActorError) {
            let subscription = try host.subscribe(to: event, of: actor) { [weak self, loop] delivery in
                loop.post { [weak self] in self?.assumeIsolated { $0.delivered(id, delivery, for: node) } }
            }
            served[node, default: Served()].subscriptions[id] = subscription
        } catch {
            answer(id, .ending(error), to: node)
        }
    }

    private func delivered(_ id: UInt64, _ delivery: EventDelivery, for node: NodeID) {
        guard let subscription = served[node]?.subscriptions[id] else { return }
        if let ending = delivery.ending {
            end(id, subscription, ending, for: node)
        } else if !trySend(PeerAnswer(id: id, body: .event(delivery.payload)), to: node) {
            // Whoever does not keep up begins anew.
            end(id, subscription, .moved, for: node)
        }
    }

    private func end(_ id: UInt64, _ subscription: SubscriptionID, _ error: ActorError, for node: NodeID) {
        host.unsubscribe(subscription)
        served[node]?.subscriptions[id] = nil
        answer(id, .ending(error), to: node)
    }

    private func answer(_ id: UInt64, _ body: PeerAnswer.Body, to node: NodeID) {
        let answer = PeerAnswer(id: id, body: body)
        if !(served[node]?.unsent.isEmpty ?? true) || !trySend(answer, to: node) {
            served[node, default: Served()].unsent.append(answer)
        }
    }

    /// - Returns: false if the queue to the node is full.
    private func trySend(_ answer: PeerAnswer, to node: NodeID) -> Bool {
        let frame = Frame(ClusterFrames.answer, answer.encoded())
        switch transport.assumeIsolated({ $0.send(frame, to: node, on: .data) }) {
        case .full: return false
        case .queued, .notConnected: return true
        case .invalid(let reason):
            logger.error("an answer cannot be carried to node \(node.rawValue): \(reason)")
            let error = ActorError.tooLarge("the answer", limit: Frame.payloadBytesMax)
            let isOfSubscription = served[node]?.subscriptions[answer.id] != nil
            let body: PeerAnswer.Body = isOfSubscription ? .ending(error) : .failure(error)
            return trySend(PeerAnswer(id: answer.id, body: body), to: node)
        }
    }

    /// Tries again to send what the mesh did not take.
    func ticked() {
        for node in served.keys.sorted() {
            guard let unsent = served[node]?.unsent, !unsent.isEmpty else { continue }
            let sent = unsent.prefix { trySend($0, to: node) }
            served[node]?.unsent.removeFirst(sent.count)
        }
    }
}
