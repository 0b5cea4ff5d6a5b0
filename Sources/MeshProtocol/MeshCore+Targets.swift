import Identifiers

/// A node to which connections are kept.
struct Target: Sendable {
    struct Attempts: Sendable {
        var backoff: Backoff
        var retryAt: Duration
        /// Counts through the addresses.
        var count = 0
        /// The dial that is under way or became the connection.
        var link: LinkID?
    }

    var addresses: [MeshAddress]
    /// By lane.
    var lanes: [Attempts?]

    var nextDial: Duration? { lanes.lazy.compactMap { $0 }.filter { $0.link == nil }.map(\.retryAt).min() }
}

extension MeshCore {
    mutating func keep(
        _ node: NodeID, _ addresses: [MeshAddress], _ lanes: Set<MeshLane>, _ now: Duration
    ) {
        guard !isStopping, node != identity.node else { return }
        var target = targets[node] ?? Target(addresses: [], lanes: MeshLane.allCases.map { _ in nil })
        let isNews = target.addresses != addresses
        target.addresses = addresses
        for lane in MeshLane.allCases {
            let index = Int(lane.rawValue)
            guard lanes.contains(lane), !addresses.isEmpty else {
                target.lanes[index] = nil
                continue
            }
            let fresh = Target.Attempts(backoff: Backoff(settings.backoff), retryAt: now)
            var attempts = target.lanes[index] ?? fresh
            // A new address deserves a try at once, however long the old one has failed.
            if isNews { (attempts.retryAt, attempts.backoff) = (now, fresh.backoff) }
            // The node may have connected by itself before anybody asked for it.
            attempts.link = attempts.link ?? table[LinkKey(node: node, lane: lane)]
            target.lanes[index] = attempts
        }
        targets[node] = target
        mayDial = true
    }

    mutating func drop(_ node: NodeID, _ now: Duration) {
        targets[node] = nil
        for id in links.ids {
            guard let link = links[id], link.peer?.node == node || link.target?.node == node else { continue }
            leave(id, .requested, saying: .notWanted, now)
        }
    }

    /// Dials every target that has no connection, no attempt under way, and has waited long enough.
    mutating func dialDue(_ now: Duration) {
        mayDial = false
        for node in targets.keys.sorted() {
            for lane in MeshLane.allCases {
                guard let target = targets[node], let attempts = target.lanes[Int(lane.rawValue)],
                    attempts.link == nil, table[LinkKey(node: node, lane: lane)] == nil
                else { continue }
                guard attempts.retryAt <= now else {
                    wake(at: attempts.retryAt)
                    continue
                }
                let address = target.addresses[attempts.count % target.addresses.count]
                guard let id = dial(address, lane, expected: node, now) else {
                    targets[node]?.lanes[Int(lane.rawValue)]?.retryAt = now + settings.backoff.longest
                    continue
                }
                targets[node]?.lanes[Int(lane.rawValue)]?.link = id
                targets[node]?.lanes[Int(lane.rawValue)]?.count &+= 1
            }
        }
    }

    @discardableResult
    mutating func dial(
        _ address: MeshAddress, _ lane: MeshLane, expected: NodeID?, _ now: Duration
    ) -> LinkID? {
        guard links.count < settings.linksMax else { return nil }
        let id = add(Link(.dialled(address, lane, expected: expected), .dialling, settings, now: now))
        effects.append(.dial(id, address))
        return id
    }

    /// Reports links that ended, and says when their targets are dialled again.
    mutating func scheduleFailed(_ now: Duration, _ random: inout some RandomNumberGenerator) {
        for failure in failures {
            let wait = schedule(failure, now, &random)
            if let peer = failure.link.peer {
                effects.append(.report(.disconnected(peer, failure.reason)))
                continue
            }
            switch failure.link.origin {
            case .dialled(let address, let lane, let expected):
                effects.append(
                    .report(.dialFailed(expected, address, lane, failure.reason, retryIn: wait)))
            case .accepted(let address): effects.append(.report(.rejected(from: address, failure.reason)))
            }
        }
        failures = []
        mayDial = true
    }

    /// - Returns: the wait until the next dial; nil if there will be none.
    private mutating func schedule(
        _ failure: Failure, _ now: Duration, _ random: inout some RandomNumberGenerator
    ) -> Duration? {
        let link = failure.link
        guard let key = link.peer.map({ LinkKey(node: $0.node, lane: $0.lane) }) ?? link.target,
            table[key] == nil,
            var attempts = targets[key.node]?.lanes[Int(key.lane.rawValue)], attempts.link == nil
        else { return nil }
        // A connection that breaks as soon as it is there must not be dialled without a pause.
        if let openedAt = link.openedAt, now - openedAt >= settings.backoff.longest {
            attempts.backoff.reset()
        }
        let wait =
            failure.reason.needsOperator
            ? attempts.backoff.longest(using: &random) : attempts.backoff.next(using: &random)
        attempts.retryAt = now + wait
        targets[key.node]?.lanes[Int(key.lane.rawValue)] = attempts
        return wait
    }
}
