import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import Logging
import MailboxCore
import PartitionStore

extension Shard {
    struct Subscriber {
        var id: SubscriptionID
        var event: String
        var deliver: @Sendable (EventDelivery) -> Void

        /// Says that no more events come from here.
        func end(of address: ActorAddress, _ error: ActorError) {
            deliver(EventDelivery(ending: error, event: event, of: address))
        }
    }

    /// Tells a subscriber what the actor has retained of the event, then every later one (A40).
    func subscribe(_ subscriber: Subscriber, to address: ActorAddress, in partition: PartitionID) {
        guard let log = partitions[partition] else { return subscriber.end(of: address, .notOwner) }
        guard log.isServing else { return wait(.subscriber(subscriber, address), for: log) }
        let count = kinds[address.kind.name]?.retainedEvents[subscriber.event] ?? 0
        guard count > 0 else {
            subscribers[address, default: []].append(subscriber)
            return
        }
        let retained = retained(subscriber.event, count, of: address, in: partition)
        // What is retained already may not be committed yet. Behind the gate it is, and its own publication
        // is past, so nothing is told twice or left out (A12).
        subscribing.insert(subscriber.id)
        let release = Release.told { [self] isCommitted in
            guard subscribing.remove(subscriber.id) != nil else { return }
            guard isCommitted else { return subscriber.end(of: address, .moved) }
            for payload in retained {
                subscriber.deliver(
                    EventDelivery(actor: address, event: subscriber.event, payload: Payload(payload)))
            }
            subscribers[address, default: []].append(subscriber)
        }
        whenCommitted(log, release)
    }

    func unsubscribe(_ id: SubscriptionID, from address: ActorAddress) {
        subscribing.remove(id)
        partitions[ring.partition(of: address)]?.arrivals.removeAll { arrival in
            if case .subscriber(let subscriber, _) = arrival { subscriber.id == id } else { false }
        }
        subscribers[address]?.removeAll { $0.id == id }
        if subscribers[address]?.isEmpty ?? false { subscribers[address] = nil }
    }

    private func retained(
        _ event: String, _ count: Int, of address: ActorAddress, in partition: PartitionID
    ) -> [[UInt8]] {
        if let actor = live[address] {
            return actor.run.status == .destroyed ? [] : actor.retainedEvents.last(event, count: count)
        }
        do {
            guard let stored = try store.actor(at: address, in: partition) else { return [] }
            var events = RetainedEvents()
            for item in try store.items(of: stored.id, in: partition, space: .event) {
                try events.restore(id: item.id, value: item.body)
            }
            return events.last(event, count: count)
        } catch {
            logger.error("the retained events of \(address) cannot be read: \(error)")
            return []
        }
    }

    func publish(_ events: [(event: String, payload: [UInt8])], of address: ActorAddress) {
        guard let subscribers = subscribers[address] else { return }
        for (event, payload) in events {
            for subscriber in subscribers where subscriber.event == event {
                subscriber.deliver(EventDelivery(actor: address, event: event, payload: Payload(payload)))
            }
        }
    }
}
