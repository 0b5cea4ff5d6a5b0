import ClientProtocol
import Identifiers

extension RoutingCore {
    /// Takes a request, and sends it if a node is there.
    /// - Returns: its id.
    package mutating func begin(
        _ target: ActorAddress, _ operation: RequestFrame.Operation, deadline: Duration?, now: Duration,
        _ effects: inout [Effect], reply: @escaping RequestLedger.Reply
    ) -> UInt64 {
        let id = ledger.begin(target, operation, deadline: deadline, reply: reply)
        place(id, now, &effects)
        return id
    }

    /// Ends a request without its reply, and tells the node that nobody waits any more.
    package mutating func giveUp(_ id: UInt64, _ error: ClientError, now: Duration, _ effects: inout [Effect])
    {
        guard let request = finish(id) else { return }
        if let link = request.link { effects.append(.send(link, .cancel(id: id))) }
        effects.append(.answer(request.reply, .failure(error)))
    }

    mutating func finish(_ id: UInt64) -> RequestLedger.Pending? {
        guard let request = ledger.finish(id) else { return nil }
        if let link = request.link { links[link]?.requests -= 1 } else { letGo(id) }
        return request
    }

    private mutating func letGo(_ id: UInt64) {
        waiting.remove(id)
        delayed[id] = nil
    }

    package mutating func subscribe(
        _ subscription: RequestLedger.Subscription, now: Duration, _ effects: inout [Effect]
    ) -> UInt64 {
        let id = ledger.subscribe(subscription)
        place(id, now, &effects)
        return id
    }

    package mutating func unsubscribe(_ id: UInt64, now: Duration, _ effects: inout [Effect]) {
        guard let subscription = endSubscription(id), let link = subscription.link else { return }
        effects.append(.send(link, .unsubscribe(id: id)))
    }

    mutating func endSubscription(_ id: UInt64) -> RequestLedger.Subscription? {
        guard let subscription = ledger.subscriptions.removeValue(forKey: id) else { return nil }
        if let link = subscription.link { links[link]?.subscriptions -= 1 } else { letGo(id) }
        return subscription
    }

    // MARK: Placing

    /// Sends what is under way nowhere to where it belongs, or to whom there is.
    mutating func place(_ id: UInt64, _ now: Duration, _ effects: inout [Effect]) {
        if let request = ledger.pending[id], request.link == nil {
            // Once it was sent on often enough, whoever takes it passes it on.
            let follows = request.redirects < settings.redirectsMax
            let (target, avoided) = (request.frame.target, request.refusedBy)
            guard let (link, epoch) = choose(target, follows: follows, avoiding: avoided, now, &effects)
            else {
                waiting.insert(id)
                return seek(now, &effects)
            }
            ledger.pending[id]?.link = link
            links[link]?.requests += 1
            links[link]?.usedAt = now
            effects.append(.send(link, ledger.frame(id, request, epoch: epoch, now: now)))
        } else if let subscription = ledger.subscriptions[id], subscription.link == nil {
            guard let (link, _) = choose(subscription.actor, follows: true, avoiding: nil, now, &effects)
            else {
                waiting.insert(id)
                return seek(now, &effects)
            }
            ledger.subscriptions[id]?.link = link
            links[link]?.subscriptions += 1
            links[link]?.usedAt = now
            effects.append(
                .send(link, .subscribe(id: id, subscription.actor, event: subscription.event)))
        }
    }

    /// The connection to the actor's owner, with the epoch of its ownership; else any, which passes on what
    /// it gets. A connection to the owner is begun meanwhile.
    private mutating func choose(
        _ actor: ActorAddress, follows: Bool, avoiding avoided: LinkID?, _ now: Duration,
        _ effects: inout [Effect]
    ) -> (LinkID, Epoch?)? {
        if let owner = table?.owner(of: actor) {
            if let link = linkOfNode[owner.node], links[link]?.isUsable(at: now) == true {
                return (link, follows ? owner.epoch : nil)
            }
            reach(owner.node, now, &effects)
        }
        var any: LinkID?
        for (id, link) in links where link.isUsable(at: now) && id != avoided { any = min(any ?? id, id) }
        if any == nil, let avoided, links[avoided]?.isUsable(at: now) == true { any = avoided }
        return any.map { ($0, nil) }
    }

    /// A node is there that was not: what has waited goes there, subscriptions first and all in its first
    /// order.
    mutating func placeWaiting(_ now: Duration, _ effects: inout [Effect]) {
        let all = waiting.sorted()
        waiting = []
        for id in all where ledger.subscriptions[id] != nil { place(id, now, &effects) }
        for id in all where ledger.pending[id] != nil { place(id, now, &effects) }
    }

    // MARK: What nodes say

    mutating func replied(_ id: UInt64, _ reply: ActorReply, _ effects: inout [Effect]) {
        guard let request = finish(id) else { return }
        effects.append(.answer(request.reply, .success(reply)))
    }

    /// An error is the outcome, or says that the outcome is to be had elsewhere or later.
    mutating func refused(
        _ id: UInt64, _ error: ActorError, by link: LinkID, now: Duration, _ effects: inout [Effect]
    ) {
        if let request = ledger.pending[id] {
            guard request.link == link else { return }
            guard let next = next(error, about: request.frame.target, at: link, now) else {
                _ = finish(id)
                return effects.append(.answer(request.reply, .failure(.actor(error))))
            }
            links[link]?.requests -= 1
            ledger.pending[id]?.link = nil
            ledger.pending[id]?.refusedBy = link
            if next == .follow {
                ledger.pending[id]?.redirects += 1
                return place(id, now, &effects)
            }
            if next == .elsewhere { return place(id, now, &effects) }
            ledger.pending[id]?.pauses += 1
            // Whoever was sent around in vain is passed on from then on.
            if error.isNotOwner { ledger.pending[id]?.redirects = settings.redirectsMax }
            delay(id, pauses: request.pauses + 1, now)
        } else if let subscription = ledger.subscriptions[id] {
            guard subscription.link == link else { return }
            guard let next = next(error, about: subscription.actor, at: link, now) else {
                _ = endSubscription(id)
                return effects.append(.fail(subscription, .actor(error)))
            }
            links[link]?.subscriptions -= 1
            ledger.subscriptions[id]?.link = nil
            if next != .later { return place(id, now, &effects) }
            ledger.subscriptions[id]?.pauses += 1
            delay(id, pauses: subscription.pauses + 1, now)
        }
    }

    private enum Next { case follow, elsewhere, later }

    /// What to do about an error that is no outcome; nil: it is one.
    private mutating func next(
        _ error: ActorError, about actor: ActorAddress, at link: LinkID, _ now: Duration
    ) -> Next? {
        guard error.group == "node" else { return nil }
        switch error.code {
        case "not_owner":
            guard let (entry, address) = error.redirection,
                table?.learn(entry, at: address, comparing: comparesEpochs) == true
            else {
                return .later
            }
            return .follow
        // Nobody knows what became of it; under its sequence it may be asked for again. Or nobody serves the
        // actor at the moment.
        case "moved", "unavailable": return .later
        // The node itself, or, which is no fault of the node's, the one that it has passed the request on to.
        case "starting", "stopping":
            guard let node = links[link]?.node, let owner = table?.owner(of: actor)?.node, owner != node
            else { return unfit(link, now) }
            return .later
        // With nowhere else to go this is for the user to mend.
        case "not_member": return hasChoice ? unfit(link, now) : nil
        default: return nil
        }
    }

    /// The node is there and cannot serve yet.
    private mutating func unfit(_ link: LinkID, _ now: Duration) -> Next {
        links[link]?.unfitUntil = now + settings.mapPause
        return links.values.contains { $0.isUsable(at: now) } ? .elsewhere : .later
    }

    private mutating func delay(_ id: UInt64, pauses: Int, _ now: Duration) {
        let chance = Double.random(in: 0...1, using: &random)
        delayed[id] = now + settings.patience.pause(attempts: pauses, chance: chance)
    }
}

extension ActorError {
    fileprivate var isNotOwner: Bool { group == "node" && code == "not_owner" }
}
