import ClientProtocol
import Identifiers
import MeshTransport
import Synchronization

/// A subscription and where it is attached at the moment.
final class RoutedSubscription: Sendable {
    enum Place {
        /// Waits for an owner.
        case nowhere
        case attaching
        case host(SubscriptionID)
        /// Under that id at another node.
        case peer(UInt64)
        case over
    }

    let id: SubscriptionID
    let event: String
    let actor: ActorAddress
    let deliver: @Sendable (EventDelivery) -> Void
    let place = Mutex(Place.nowhere)

    init(
        _ id: SubscriptionID, to event: String, of actor: ActorAddress,
        deliver: @escaping @Sendable (EventDelivery) -> Void
    ) {
        self.id = id
        self.event = event
        self.actor = actor
        self.deliver = deliver
    }

    var isOver: Bool { if case .over = place.withLock({ $0 }) { true } else { false } }

    /// Takes the turn of whoever attaches it; nobody else does meanwhile.
    func beginAttaching() -> Bool {
        place.withLock { place in
            guard case .nowhere = place else { return false }
            place = .attaching
            return true
        }
    }

    /// - Returns: false if it is over, and has to be detached there.
    func attached(_ new: Place) -> Bool {
        place.withLock { place in
            if case .over = place { return false }
            place = new
            return true
        }
    }

    /// - Returns: false if it is over, and need not be attached again.
    func detached() -> Bool {
        place.withLock { place in
            if case .over = place { return false }
            place = .nowhere
            return true
        }
    }
}

/// Subscriptions follow their actors from owner to owner. Events between two owners are not told; those that
/// an actor retains are told again (A40).
extension ClusterService {
    public func subscribe(
        to event: String, of actor: ActorAddress, deliver: @escaping @Sendable (EventDelivery) -> Void
    ) throws(ActorError) -> SubscriptionID {
        // Every node has the same kinds, so what the host would not take is refused at once.
        let probe = try local.subscribe(to: event, of: actor) { _ in }
        local.unsubscribe(probe)
        let id = SubscriptionID(rawValue: takeNumber())
        let subscription = RoutedSubscription(id, to: event, of: actor, deliver: deliver)
        subscriptions.withLock { $0[id] = subscription }
        loop.post { [self] in attach(subscription) }
        return id
    }

    public func unsubscribe(_ id: SubscriptionID) {
        guard let subscription = subscriptions.withLock({ $0.removeValue(forKey: id) }) else { return }
        let place = subscription.place.withLock { place in
            defer { place = .over }
            return place
        }
        detach(place)
    }

    private func detach(_ place: RoutedSubscription.Place) {
        switch place {
        case .host(let id): local.unsubscribe(id)
        case .peer(let id): loop.post { [exchange] in exchange.assumeIsolated { $0.unsubscribe(id) } }
        case .nowhere, .attaching, .over: break
        }
    }

    func retrySubscriptions() {
        let waiting = detached.withLock { detached in
            defer { detached = [] }
            return detached
        }
        for subscription in waiting { attach(subscription) }
    }

    /// It is attached again after the map has changed, or a while.
    private func detach(_ subscription: RoutedSubscription) {
        guard subscription.detached() else { return }
        detached.withLock { $0.append(subscription) }
    }

    /// On the loop.
    private func attach(_ subscription: RoutedSubscription) {
        guard subscription.beginAttaching() else { return }
        var place: RoutedSubscription.Place?
        switch owner(of: subscription.actor) {
        case .nobody: break
        case .here: place = attachHere(subscription)
        case .node(let node):
            place = exchange.assumeIsolated { exchange in
                exchange.subscribe(to: subscription.event, of: subscription.actor, at: node) {
                    [weak self] result in
                    switch result {
                    case .success(let payload): subscription.tell(payload)
                    case .failure(let error): self?.ended(subscription, error)
                    }
                }.map { .peer($0) }
            }
        }
        guard let place else { return detach(subscription) }
        if !subscription.attached(place) { detach(place) }
    }

    private func attachHere(_ subscription: RoutedSubscription) -> RoutedSubscription.Place? {
        let id = try? local.subscribe(to: subscription.event, of: subscription.actor) {
            [weak self, loop] delivery in
            guard let ending = delivery.ending else { return subscription.deliver(delivery) }
            // Behind `attached`, which is under way on the loop.
            loop.post { [weak self] in self?.ended(subscription, ending) }
        }
        return id.map { .host($0) }
    }

    /// The owner tells nothing more. On the loop.
    private func ended(_ subscription: RoutedSubscription, _ error: ActorError) {
        if case .host(let id) = subscription.place.withLock({ $0 }) { local.unsubscribe(id) }
        if error.isElsewhere || error.isMoved || error == .overloaded {
            return detach(subscription)
        }
        guard subscriptions.withLock({ $0[subscription.id] }) != nil else { return }
        subscription.deliver(EventDelivery(ending: error, event: subscription.event, of: subscription.actor))
    }
}

extension RoutedSubscription {
    fileprivate func tell(_ payload: Payload) {
        guard !isOver else { return }
        deliver(EventDelivery(actor: actor, event: event, payload: payload))
    }
}
