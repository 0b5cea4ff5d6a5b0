import ClientProtocol

/// A cluster as text.
package enum ClusterText {
    package static func show(_ cluster: ClusterDocument, _ style: Style) -> [String] {
        let message = cluster.message.map { Phrases.oneLine($0) }
        guard cluster.member else { return [message ?? "the node is not a member of a cluster"] }
        var lines: [String] = []
        func line(_ name: String, _ value: String?) {
            guard let value else { return }
            lines.append(style(.faint, name.padded(to: 12)) + value)
        }
        let part = cluster.founder == true ? ", which founded the cluster" : ""
        line("cluster", cluster.cluster.map { Phrases.oneLine($0) })
        line("this node", cluster.node.map { "\($0)\(part)" })
        line("leader", cluster.leader.map { "node \($0)" })
        line("voters", cluster.voters.map { numbers($0) })
        if let nodes = cluster.nodes, let up = cluster.nodesUp {
            let text = up == nodes ? "\(nodes), all up" : "\(nodes), \(up) of them up"
            line("nodes", up == nodes ? text : style(.yellow, text))
        }
        line("copies", cluster.replicationFactor.map { "\($0) of each partition" })
        if let count = cluster.partitions { line("partitions", "\(count)\(troubles(of: cluster, style))") }
        line("map", cluster.mapVersion.map { "version \($0)" })
        if let message { lines.append(style(.yellow, message)) }
        return lines
    }

    private static func troubles(of cluster: ClusterDocument, _ style: Style) -> String {
        var parts: [String] = []
        if let count = cluster.partitionsOffline, count > 0 { parts.append(style(.red, "\(count) offline")) }
        if let count = cluster.partitionsWithoutOwner, count > 0 {
            parts.append(style(.yellow, "\(count) without owner"))
        }
        if let count = cluster.partitionsAtRisk, count > 0 {
            parts.append(style(.yellow, "\(count) with too few copies"))
        }
        if parts.isEmpty { return cluster.partitionsOffline == nil ? "" : ", all well" }
        return ", " + parts.joined(separator: ", ")
    }

    package static func nodes(_ document: NodesDocument, now: Instant, _ style: Style) -> [String] {
        var table = TextTable([
            ("NODE", .right), ("STATE", .left), ("FOR", .right), ("SEEMS", .left), ("FOR", .right),
            ("ZONE", .left), ("CONSENSUS", .left), ("OWNS", .right), ("IN SYNC", .right), ("LEARNS", .right),
            ("CLIENTS", .left), ("MESH", .left),
        ])
        for node in document.nodes {
            let since = Instant(node.since).map { Phrases.duration(now - $0) } ?? ""
            let seemingSince =
                node.gossipSince.flatMap { Instant($0) }.map { Phrases.duration(now - $0) } ?? ""
            let state = node.draining ? "\(node.state), draining" : node.state
            table.add([
                .init(String(node.node)), .init(Phrases.oneLine(state), colour(ofNode: node.state)),
                .init(since), seeming(node), .init(seemingSince), .init(Phrases.oneLine(node.zone)),
                .init(Phrases.oneLine(node.consensus ?? "")),
                .init(String(node.owns)), .init(String(node.inSync)), .init(String(node.learns)),
                .init(Phrases.oneLine(node.clientAddress)), .init(Phrases.oneLine(node.meshAddress)),
            ])
        }
        return table.lines(style)
    }

    /// How the node seems to the one that was asked.
    private static func seeming(_ node: NodesDocument.Node) -> TextTable.Cell {
        guard let gossip = node.gossip else { return .init("") }
        if gossip == "self" { return .init("(this node)") }
        let word = Phrases.oneLine(gossip)
        let isUnwell = node.gossip == "alive" && (node.health ?? 0) > 0
        let text = isUnwell ? "\(word), health \(node.health ?? 0) of 8" : word
        switch gossip {
        case "alive": return .init(text, isUnwell ? .yellow : .green)
        case "suspect", "left": return .init(text, .yellow)
        default: return .init(text, .red)
        }
    }

    private static func colour(ofNode state: String) -> Style.Colour? {
        switch state {
        case "up": .green
        case "joining": .yellow
        default: .red
        }
    }

    package static func partitions(
        _ document: PartitionsDocument, onlyTroubled: Bool = false, on node: UInt64? = nil, _ style: Style
    ) -> [String] {
        let shown = document.partitions.filter { partition in
            let isThere = node.map { (partition.inSync + partition.learners).contains($0) } ?? true
            return isThere && (!onlyTroubled || partition.state != "ok")
        }
        guard !shown.isEmpty else {
            return [onlyTroubled ? "all \(document.partitions.count) partitions are ok" : "there are none"]
        }
        var table = TextTable([
            ("PARTITION", .right), ("STATE", .left), ("EPOCH", .right), ("OWNER", .right),
            ("IN SYNC", .left), ("LEARNING", .left), ("WANTED ON", .left), ("", .left),
        ])
        for partition in shown {
            let losses = partition.dataLossGeneration
            table.add([
                .init(String(partition.partition)),
                .init(Phrases.oneLine(partition.state), colour(ofPartition: partition.state)),
                .init(String(partition.epoch)), .init(partition.owner.map(String.init) ?? "-"),
                .init(numbers(partition.inSync)), .init(numbers(partition.learners)),
                .init(numbers(partition.targets)),
                .init(losses == 0 ? "" : "records were given up \(losses) times", .red),
            ])
        }
        return table.lines(style)
    }

    private static func colour(ofPartition state: String) -> Style.Colour? {
        switch state {
        case "ok": nil
        case "offline": .red
        default: .yellow
        }
    }

    package static func tokens(_ document: TokensDocument, now: Instant, _ style: Style) -> [String] {
        guard !document.tokens.isEmpty else { return ["there are no join tokens"] }
        var table = TextTable([("TOKEN", .left), ("USED", .right), ("OF", .right), ("EXPIRES", .left)])
        for token in document.tokens {
            let expiry = Instant(token.expiresAt)
            let isOver = expiry.map { $0 <= now } ?? false
            table.add([
                .init(Phrases.oneLine(token.id)), .init(String(token.used)), .init(String(token.uses)),
                .init(
                    isOver ? "expired" : expiry.map { Phrases.until($0, now) } ?? "", isOver ? .red : nil),
            ])
        }
        return table.lines(style)
    }

    /// Why no cluster may be founded at the node (D29); nil if nobody knows of one.
    package static func objection(
        to own: ClusterDocument, at node: NodeLocation, seeds: [(NodeLocation, ClusterDocument)]
    ) -> String? {
        if own.member {
            return
                "the node at \(node) is a member of cluster \(own.cluster ?? "(unknown)") already; nothing "
                + "was done (--once makes this no failure)"
        }
        guard let (seed, known) = seeds.first(where: { $0.1.member }) else { return nil }
        return
            "the node at \(seed) is a member of cluster \(known.cluster ?? "(unknown)"): let this node join "
            + "that one with `apus cluster join \(seed) --node \(node)`; if this node has lost its data, "
            + "founding again would make a second cluster"
    }

    private static func numbers(_ numbers: [UInt64]) -> String {
        numbers.map(String.init).joined(separator: " ")
    }
}
