import Identifiers

extension Swim {
    /// Follows the cluster's map: who is a member, and since which start of its process.
    mutating func follow(_ listed: [Listed]) {
        let others = listed.filter { $0.node != me }
        let nodes = Set(others.map(\.node))
        for node in roster where !nodes.contains(node) { forget(node) }
        var newcomers: [NodeID] = []
        for entry in others.sorted(by: { $0.node < $1.node }) {
            if members[entry.node]?.isListed != true { newcomers.append(entry.node) }
            follow(entry)
        }
        roster = nodes.sorted()
        for node in newcomers where members[node]?.isThere == true { offerToActiveView(node) }
        for node in newcomers {
            round.insert(node, at: Int.random(in: 0...round.count, using: &random))
        }
        refreshActiveView()
    }

    private mutating func follow(_ entry: Listed) {
        // Nothing is spread of it: everybody follows the map.
        let standing = Standing(entry.isUp ? .alive : .unreachable, entry.incarnation, 0)
        guard let member = members[entry.node] else {
            members[entry.node] = Member(standing: standing, since: now, isListed: true)
            // How this node begins to think of it is no news.
            if !entry.isUp { gone.append(entry.node) }
            return
        }
        if !member.isListed {
            strangers.removeAll { $0 == entry.node }
            members[entry.node]?.isListed = true
            if !member.isThere { gone.append(entry.node) }
            if member.state == .suspect {
                suspicions[entry.node] = Suspicion(start: now, clusterSize: clusterSize, settings: settings)
            }
        }
        if entry.incarnation > member.incarnation { enter(standing, entry.node) }
    }

    /// Removes every trace of a node.
    mutating func forget(_ node: NodeID) {
        members[node] = nil
        suspicions[node] = nil
        queue.remove(node)
        for list in [\Swim.roster, \Swim.round, \Swim.gone, \Swim.strangers, \Swim.activeView] {
            self[keyPath: list].removeAll { $0 == node }
        }
        probes = probes.filter { $0.value.target != node }
        relays = relays.filter { $0.value.target != node }
    }

    /// In a small cluster everybody; in a large one about log2(n) + 3 that seem to be there, who stay the
    /// same as long as they do (the active view of HyParView: Leitao, Pereira and Rodrigues, 2007). Probes
    /// go to all nodes in either.
    mutating func refreshActiveView() {
        guard clusterSize > settings.fullViewMax else {
            activeView = roster
            return
        }
        let size = activeViewSize
        activeView.removeAll { members[$0]?.isThere != true }
        activeView = Array(activeView.prefix(size))
        guard activeView.count < size else { return }
        let present = Set(activeView)
        let candidates = roster.filter { !present.contains($0) }
        activeView += pick(size - activeView.count, from: candidates)
    }

    /// Whoever comes, or comes back, gets into as many active views as if all were drawn anew; else nobody
    /// would pass rumours to it.
    mutating func offerToActiveView(_ node: NodeID) {
        guard clusterSize > settings.fullViewMax, !activeView.contains(node) else { return }
        let draw = Int.random(in: 0..<clusterSize, using: &random)
        guard activeView.count >= activeViewSize else { return refreshActiveView() }
        if draw < activeView.count { activeView[draw] = node }
    }

    private var activeViewSize: Int { Int(Logarithm.binary(clusterSize).rounded(.up)) + 3 }
}
