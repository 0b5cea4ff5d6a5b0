import ClientProtocol
import Identifiers
import MeshProtocol
import MeshTransport
import Synchronization
import Testing

@testable import ClusterHost

/// Takes subscriptions, and tells who was let go.
private final class Broadcaster: ActorService {
    struct State {
        var deliver: [@Sendable (EventDelivery) -> Void] = []
        var unsubscribed: [SubscriptionID] = []
    }
    let state = Mutex(State())
    var kinds: [String] { ["cart"] }

    func submit(
        _ request: ActorRequest, reply: @escaping @Sendable (Result<ActorReply, ActorError>) -> Void
    ) -> RequestToken { RequestToken(rawValue: 1) }
    func abandon(_ token: RequestToken) {}
    func subscribe(
        to event: String, of actor: ActorAddress, deliver: @escaping @Sendable (EventDelivery) -> Void
    ) throws(ActorError) -> SubscriptionID {
        state.withLock { state in
            state.deliver.append(deliver)
            return SubscriptionID(rawValue: UInt64(state.deliver.count))
        }
    }
    func unsubscribe(_ subscription: SubscriptionID) {
        state.withLock { $0.unsubscribed.append(subscription) }
    }
    func status() async -> Payload { Payload("{}") }
    func list(kind: String?, after: ActorAddress?, limit: Int) async throws(ActorError) -> Payload {
        throw .notOwner
    }
}

extension PeerExchange {
    /// Lets go of a subscription in a moment in which the queue to the node takes nothing more.
    fileprivate func unsubscribe(_ id: UInt64, behindFullQueueOf transport: MeshTransport, to node: NodeID) {
        let garbage = Frame(ClusterFrames.call, [UInt8](repeating: 0, count: 1 << 16))
        transport.assumeIsolated { transport in
            while transport.send(garbage, to: node, on: .data) == .queued {}
        }
        unsubscribe(id)
    }
}

@Suite("Calls between nodes")
struct PeerExchangeTests {
    private struct Side {
        let transport: MeshTransport
        let exchange: PeerExchange
        let host: Broadcaster

        init(_ number: UInt64) throws {
            let ring = try #require(HashRing(partitionCount: 1, seed: (1, 2)))
            let identity = NodeIdentity(
                cluster: ClusterID(high: 1, low: 1), node: NodeID(rawValue: number),
                incarnation: Incarnation(rawValue: 1), store: StoreID(high: 1, low: number),
                constants: MapConstants(ring))
            var mesh = MeshConfiguration(
                identity, security: .plainTCP, catalog: try FrameCatalog(ClusterFrames.entries), seed: number)
            mesh.settings.dataQueue.bytesMax = 1 << 10
            let box = Box()
            transport = try MeshTransport(mesh, on: EventLoop(name: "exchange\(number)")) { _, event in
                guard case .frame(let frame, let peer) = event else { return }
                box.exchange?.assumeIsolated { $0.received(frame, from: peer.node) }
            }
            host = Broadcaster()
            exchange = PeerExchange(transport, host: host, seed: number, logger: ClusterLab.logger)
            box.set(exchange)
        }
    }

    /// The transport is there before its exchange.
    private final class Box: Sendable {
        private let held = Mutex<PeerExchange?>(nil)
        var exchange: PeerExchange? { held.withLock { $0 } }
        func set(_ exchange: PeerExchange) { held.withLock { $0 = exchange } }
    }

    @Test("A subscription whose end was lost in a full queue ends with the next event")
    func lostUnsubscription() async throws {
        let (asker, owner) = (try Side(1), try Side(2))
        let node = NodeID(rawValue: 2)
        let address = try await owner.transport.listen(MeshAddress(host: "127.0.0.1", port: 0))
        await asker.transport.connect(node, at: [address], lanes: [.data])
        let actor = try ActorAddress(kind: ActorKind("cart"), key: ActorKey(["a"]))
        let id = try await within("a subscription") {
            while true {
                let id = await asker.exchange.subscribe(to: "changed", of: actor, at: node) { _ in }
                if let id { return id }
                await Task.yield()
            }
        }
        try await within("the owner's side of it") {
            while owner.host.state.withLock({ $0.deliver.isEmpty }) { await Task.yield() }
        }
        await asker.exchange.unsubscribe(id, behindFullQueueOf: asker.transport, to: node)
        try await within("its end", limit: .seconds(20)) {
            while owner.host.state.withLock({ $0.unsubscribed.isEmpty }) {
                for deliver in owner.host.state.withLock({ $0.deliver }) {
                    deliver(EventDelivery(actor: actor, event: "changed", payload: Payload("1")))
                }
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        await asker.transport.close()
        await owner.transport.close()
    }
}
