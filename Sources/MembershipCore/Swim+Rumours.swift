import Identifiers

extension Swim {
    mutating func receive(_ message: SwimMessage) {
        guard message.sender.node != me, !isLeaving, hear(message.sender) else { return }
        let sender = message.sender.node
        let isExchange = message.body == .pull || message.body == .push
        for rumour in message.rumours { learn(rumour, fromExchange: isExchange) }
        switch message.body {
        case .ping(let sequence): send(.ack(sequence), to: sender)
        case .ack(let sequence): answered(sequence, by: sender)
        case .pingRequest(let sequence, let target): help(sender, sequence, target)
        case .nack(let sequence): refused(sequence, by: sender)
        case .gossip: break
        case .pull:
            effects.append(
                .send(SwimMessage(sender: presence, body: .push, rumours: everything), to: sender))
        case .push: hasSynchronized = true
        }
    }

    /// What a process says of itself.
    /// - Returns: false if it is an earlier one than is known, whose words count no more.
    private mutating func hear(_ sender: Presence) -> Bool {
        if let member = members[sender.node], sender.incarnation < member.incarnation { return false }
        learn(sender.rumour, fromExchange: false)
        return true
    }

    // MARK: Learning

    /// - Parameter fromExchange: it is a part of all that somebody knows, which may be old; the member gets
    ///   the time to object.
    mutating func learn(_ rumour: Rumour, fromExchange: Bool) {
        if rumour.node == me { return defend(against: rumour) }
        guard var member = members[rumour.node] else { return meet(rumour) }
        if case .alive(let meta) = rumour.content { take(meta, of: rumour, &member) }
        members[rumour.node] = member
        guard rumour.standing > member.standing else {
            if case .suspect(let accuser) = rumour.content, rumour.standing == member.standing {
                confirm(rumour.node, by: accuser)
            } else if case .unreachable(let accuser) = rumour.content, rumour.standing == member.standing {
                _ = members[rumour.node]?.add(accuser)
            }
            return
        }
        switch rumour.content {
        case .alive, .left: enter(rumour.standing, rumour.node)
        case .suspect(let accuser): suspect(rumour.node, rumour.standing, by: accuser)
        case .unreachable(let accuser):
            if fromExchange {
                var standing = rumour.standing
                standing.state = .suspect
                guard standing > member.standing else {
                    return standing == member.standing ? confirm(rumour.node, by: accuser) : ()
                }
                return suspect(rumour.node, standing, by: accuser)
            }
            enter(rumour.standing, rumour.node)
            _ = members[rumour.node]?.add(accuser)
        }
        queue.add(rumour)
    }

    private mutating func take(_ meta: NodeMeta, of rumour: Rumour, _ member: inout Member) {
        let isLater = rumour.incarnation > member.incarnation
        guard
            isLater || rumour.incarnation == member.incarnation && meta.revision > member.meta.revision
        else { return }
        let isNews = meta.isNews(after: member.meta)
        member.meta = meta
        // What supersedes the standing is passed on anyway.
        guard isNews, rumour.standing <= member.standing, member.state == .alive else { return }
        queue.add(
            Rumour(
                node: rumour.node, incarnation: member.incarnation,
                swimIncarnation: member.standing.swimIncarnation, content: .alive(meta)))
    }

    /// A node that the map does not have, or not yet.
    private mutating func meet(_ rumour: Rumour) {
        guard strangers.count < settings.strangersMax else { return }
        var member = Member(standing: rumour.standing, since: now, isListed: false)
        if case .alive(let meta) = rumour.content { member.meta = meta }
        members[rumour.node] = member
        strangers.append(rumour.node)
        effects.append(.changed(rumour.node, rumour.standing))
    }

    mutating func expireStrangers() {
        guard !strangers.isEmpty else { return }
        for node in strangers where members[node].map({ now - $0.since >= settings.strangerAge }) ?? true {
            forget(node)
        }
    }

    /// A member's standing changes, and whoever accused it has done so.
    mutating func enter(_ standing: Standing, _ node: NodeID) {
        guard var member = members[node] else { return }
        if standing.state != member.state || standing.incarnation != member.incarnation { member.since = now }
        let wasThere = member.isThere
        let isNewProcess = standing.incarnation != member.incarnation
        if standing.state < .unreachable || isNewProcess { member.accusers = [] }
        if isNewProcess, standing.state != .alive { member.meta = NodeMeta() }
        member.standing = standing
        members[node] = member
        suspicions[node] = nil
        if member.isListed, wasThere != member.isThere {
            if member.isThere {
                gone.removeAll { $0 == node }
                offerToActiveView(node)
            } else {
                gone.append(node)
                refreshActiveView()
            }
        }
        effects.append(.changed(node, standing))
    }

    // MARK: Suspicion

    /// This node's own probe of the member has failed.
    mutating func accuse(_ node: NodeID) {
        guard let member = members[node] else { return }
        if member.state == .suspect { return confirm(node, by: me) }
        var standing = member.standing
        standing.state = .suspect
        suspect(node, standing, by: me)
        spread(node)
    }

    private mutating func suspect(_ node: NodeID, _ standing: Standing, by accuser: NodeID) {
        enter(standing, node)
        _ = members[node]?.add(accuser)
        guard members[node]?.isListed == true else { return }
        suspicions[node] = Suspicion(start: now, clusterSize: clusterSize, settings: settings)
    }

    /// Somebody else found the suspect silent, too.
    private mutating func confirm(_ node: NodeID, by accuser: NodeID) {
        guard members[node]?.add(accuser) == true, let suspicion = suspicions[node],
            suspicion.confirmations < suspicion.confirmationsWanted
        else { return }
        suspicions[node]?.confirm()
        guard let member = members[node] else { return }
        var rumour = rumour(about: node, member)
        rumour.content = .suspect(by: accuser)
        if accuser != me || !isLonely { queue.add(rumour) }
    }

    mutating func expireSuspicions() {
        let accuser = me
        for node in suspicions.keys.sorted() {
            guard let suspicion = suspicions[node], let member = members[node] else { continue }
            guard let asked = suspicion.asked else {
                // The objection may have been lost on its way here.
                if now >= suspicion.deadline - settings.probePeriod * 2 {
                    suspicions[node]?.asked = now
                    probe(node, .doubt)
                }
                continue
            }
            // Confirmations can end the time at once, but not the wait for that answer.
            guard now >= max(suspicion.deadline, asked + settings.probePeriod) else { continue }
            var standing = member.standing
            standing.state = .unreachable
            enter(standing, node)
            _ = members[node]?.add(accuser)
            spread(node)
        }
    }

    /// Passes on what this node has concluded itself. One that nobody answers is more likely cut off than
    /// the last that is left, and would only make all others object (D25, D33).
    private mutating func spread(_ node: NodeID) {
        guard !isLonely, let member = members[node] else { return }
        var rumour = rumour(about: node, member)
        switch member.state {
        case .suspect: rumour.content = .suspect(by: me)
        case .unreachable: rumour.content = .unreachable(by: me)
        case .alive, .left: break
        }
        queue.add(rumour)
    }

    // MARK: This process itself

    /// Objects to whatever is said of this process that is not so.
    private mutating func defend(against rumour: Rumour) {
        guard rumour.incarnation <= presence.incarnation else {
            return effects.append(.succeeded(by: rumour.incarnation))
        }
        guard rumour.incarnation == presence.incarnation,
            rumour.swimIncarnation >= presence.swimIncarnation
        else { return }
        switch rumour.content {
        case .suspect(let accuser), .unreachable(let accuser):
            presence.swimIncarnation = rumour.swimIncarnation + 1
            changeLocalHealth(by: 1)
            queue.add(presence.rumour)
            effects.append(.accused(by: accuser == me ? nil : accuser))
        case .alive: presence.swimIncarnation = rumour.swimIncarnation
        case .left: break
        }
    }
}
