import ClientProtocol
import Identifiers

extension RoutingCore {
    /// Takes what a node says.
    package mutating func received(
        _ frame: ServerFrame, from id: LinkID, now: Duration, _ effects: inout [Effect]
    ) {
        guard let link = links[id] else { return }
        links[id]?.heardAt = now
        links[id]?.pingedAt = nil
        switch frame {
        case .welcome(let version, _): welcomed(id, version, now, &effects)
        case .reply(let number, let reply):
            guard number == link.question else { return replied(number, reply, &effects) }
            links[id]?.question = nil
            guard case .document(let document) = reply, let map = try? RoutingMap.decode(document) else {
                // A node that says what this version does not know is left.
                return drop(id, retryAt: now + settings.backoff.maximum, now, &effects)
            }
            told(map, by: id, now, &effects)
        case .error(let number, let error):
            guard number == link.question else {
                return refused(number, error, by: id, now: now, &effects)
            }
            links[id]?.question = nil
            hasNoMap(id, error, now, &effects)
        case .event(let number, let name, let payload):
            guard let subscription = ledger.subscriptions[number], subscription.link == id else { return }
            let delivery = EventDelivery(actor: subscription.actor, event: name, payload: payload)
            effects.append(.deliver(subscription, delivery))
        case .subscribed(let number): ledger.subscriptions[number]?.pauses = 0
        case .pong: break
        }
    }

    // MARK: Getting to know a node

    private mutating func welcomed(
        _ id: LinkID, _ version: UInt64, _ now: Duration, _ effects: inout [Effect]
    ) {
        guard let link = links[id], link.phase == .greeting else { return }
        links[id]?.phase = .open
        places[link.address]?.attempts = 0
        let isSeed = seeds.contains(link.address)
        guard version >= ClientWire.versionOfMaps else {
            // It cannot say which cluster it belongs to; the user has named it.
            if isSeed { return trust(id, now, &effects) }
            return drop(id, retryAt: now + settings.backoff.maximum, now, &effects)
        }
        links[id]?.tellsMap = true
        question(id, waits: false, now, &effects)
        // The first node is taken at its word. Any other one may be of another cluster at an address that
        // means something else from here, so it says first who it is.
        if table == nil && isSeed { trust(id, now, &effects) }
    }

    private mutating func trust(_ id: LinkID, _ now: Duration, _ effects: inout [Effect]) {
        guard links[id]?.isTrusted == false else { return }
        links[id]?.isTrusted = true
        updateStatus(now, &effects)
        placeWaiting(now, &effects)
    }

    private mutating func told(
        _ map: RoutingMap, by id: LinkID, _ now: Duration, _ effects: inout [Effect]
    ) {
        guard let link = links[id] else { return }
        if let table, !table.fits(map) {
            guard isReplaceable(by: link, now) else { return isForeign(id, now, &effects) }
            self.table = nil
            linkOfNode = [:]
        }
        if let other = linkOfNode[map.teller], other != id, links[other]?.phase == .open {
            // Two addresses of one node: one connection is enough.
            if !link.isTrusted { return drop(id, retryAt: now + settings.backoff.maximum, now, &effects) }
        } else {
            links[id]?.node = map.teller
            linkOfNode[map.teller] = id
        }
        let before = table?.version
        if table == nil { table = RouteTable(map) } else { table?.take(map) }
        links[id]?.askAt = before == table?.version ? now + settings.mapPause : now
        trust(id, now, &effects)
        ask(now, &effects)
    }

    /// A seed without its map: a node that runs alone, or is no member yet.
    private mutating func hasNoMap(
        _ id: LinkID, _ error: ActorError, _ now: Duration, _ effects: inout [Effect]
    ) {
        guard let link = links[id] else { return }
        if error.group == "cluster", error.code == "alone" {
            links[id]?.tellsMap = false
            guard !link.isTrusted || table != nil else { return }
            guard isReplaceable(by: link, now) else { return isForeign(id, now, &effects) }
            table = nil
            return trust(id, now, &effects)
        }
        if error.group == "node", error.code == "stopping" { links[id]?.phase = .leaving }
        links[id]?.askAt = now + settings.mapPause
        ask(now, &effects)
        seek(now, &effects)
    }

    /// Whether a node of another cluster is believed: only if the user has named it, and no node of the known
    /// cluster is there. The cluster was made anew then.
    private func isReplaceable(by link: Link, _ now: Duration) -> Bool {
        seeds.contains(link.address)
            && !links.values.contains { $0.node != nil && $0.isUsable(at: now) }
    }

    private mutating func isForeign(_ id: LinkID, _ now: Duration, _ effects: inout [Effect]) {
        guard let link = links[id] else { return }
        effects.append(.note("\(link.address) belongs to another cluster and is left alone"))
        drop(id, retryAt: now + settings.backoff.maximum, now, &effects)
    }

    // MARK: The map

    /// Keeps one question for news under way, at any node that tells the map.
    mutating func ask(_ now: Duration, _ effects: inout [Effect]) {
        guard table != nil else { return }
        let tellers = links.filter { $0.value.tellsMap && $0.value.isUsable(at: now) }
        guard !tellers.values.contains(where: { $0.question != nil }),
            let id = tellers.filter({ $0.value.askAt.map { $0 <= now } ?? true }).keys.min()
        else { return }
        question(id, waits: true, now, &effects)
    }

    private mutating func question(
        _ id: LinkID, waits: Bool, _ now: Duration, _ effects: inout [Effect]
    ) {
        let number = ledger.takeID()
        links[id]?.question = number
        links[id]?.askAt = nil
        let wait = waits ? settings.mapWait.wholeMilliseconds : 0
        effects.append(.send(id, .map(id: number, after: table?.version, waitMillis: wait)))
    }

    // MARK: Time

    /// Does what is due.
    package mutating func tick(_ now: Duration, _ effects: inout [Effect]) {
        guard isActive else { return }
        for id in ledger.overdue(at: now) { giveUp(id, .timedOut, now: now, &effects) }
        for id in links.keys.sorted() { look(after: id, now, &effects) }
        for id in delayed.filter({ $0.value <= now }).keys.sorted() {
            delayed[id] = nil
            place(id, now, &effects)
        }
        if !waiting.isEmpty, links.values.contains(where: { $0.isUsable(at: now) }) {
            placeWaiting(now, &effects)
        }
        seek(now, &effects)
        ask(now, &effects)
        updateStatus(now, &effects)
    }

    private mutating func look(after id: LinkID, _ now: Duration, _ effects: inout [Effect]) {
        guard let link = links[id] else { return }
        switch link.phase {
        case .connecting, .greeting:
            guard now - link.since >= settings.connectTimeout else { return }
            effects.append(.close(id))
            closed(id, now: now, &effects)
        case .open, .leaving:
            if link.phase == .open, !link.isTrusted, link.question == nil, link.tellsMap,
                link.askAt.map({ $0 <= now }) ?? true
            {
                question(id, waits: false, now, &effects)
            }
            let limit = silence(link)
            if now - link.heardAt >= limit {
                guard let pinged = link.pingedAt else {
                    links[id]?.pingedAt = now
                    return effects.append(.send(id, .ping(id: 0)))
                }
                guard now - pinged >= limit else { return }
                effects.append(.close(id))
                return closed(id, now: now, &effects)
            }
            if isSpare(id, link), now - link.usedAt >= settings.idle {
                drop(id, retryAt: nil, now, &effects)
            }
        }
    }

    /// How long the node may say nothing.
    private func silence(_ link: Link) -> Duration {
        guard hasChoice else { return settings.heartbeat }
        return min(settings.heartbeat, link.requests > 0 ? settings.probe : settings.probe * 5)
    }

    /// Whether nobody would miss the connection: without work, and not the last one, which tells the map.
    private func isSpare(_ id: LinkID, _ link: Link) -> Bool {
        link.isIdle && link.question == nil && links.count > 1
    }

    /// When `tick` is due next; nil: not before something happens.
    package func nextTick(after now: Duration) -> Duration? {
        guard isActive else { return nil }
        // Deadlines and pauses are looked at ten times a second while something waits, instead of a timer for
        // each.
        if !delayed.isEmpty { return now + settings.patience.minimum }
        if !ledger.pending.isEmpty { return now + .milliseconds(100) }
        var due: [Duration] = []
        let isAsked = links.values.contains { $0.question != nil && $0.isUsable(at: now) }
        for (id, link) in links {
            switch link.phase {
            case .connecting, .greeting: due.append(link.since + settings.connectTimeout)
            case .open, .leaving:
                due.append((link.pingedAt ?? link.heardAt) + silence(link))
                if isSpare(id, link) { due.append(link.usedAt + settings.idle) }
                if let unfitUntil = link.unfitUntil, unfitUntil > now { due.append(unfitUntil) }
                guard link.phase == .open, let askAt = link.askAt, link.question == nil else { continue }
                if !link.isTrusted || !isAsked && link.isUsable(at: now) { due.append(askAt) }
            }
        }
        if let seekAt = nextSeek(after: now) { due.append(seekAt) }
        return due.min().map { max($0, now + .milliseconds(5)) }
    }
}
