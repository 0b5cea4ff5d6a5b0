import Identifiers

/// Actors as text.
package enum ActorText {
    /// As it stands in paths: kind and key.
    package static func name(_ actor: ActorDocument) -> String {
        let key = (try? ActorKey(actor.key))?.description ?? actor.key.joined(separator: "/")
        return "\(actor.kind)/\(key)"
    }

    /// What `actors show` and `runs show` say of the actor itself.
    static func facts(_ actor: ActorDocument) -> [(String, String)] {
        var facts = [("created", Phrases.time(actor.createdAt))]
        facts.append(("in memory", actor.awake ? "yes" : "no, it hibernates"))
        let queues = actor.queues.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value))" }
        if !queues.isEmpty { facts.append(("queues", queues.joined(separator: ", "))) }
        return facts
    }

    package static func show(_ actor: ActorDocument, now: Instant, _ style: Style) -> [String] {
        var lines = [style(.bold, name(actor))]
        if let run = actor.run {
            let since = style.status(run.status) + " for \(Phrases.duration(now - run.since))"
            lines.append(line("run", since, style))
            if let (label, text) = RunText.waiting(run, [], now) { lines.append(line(label, text, style)) }
            if let reason = run.reason { lines.append(line("stalled by", Phrases.oneLine(reason), style)) }
            if let failure = run.failure { lines.append(line("failed with", RunText.phrase(failure), style)) }
        }
        lines += facts(actor).map { line($0, $1, style) }
        if let input = actor.input { lines.append(line("input", input.description, style)) }
        lines.append(line("state", actor.state?.description ?? "null", style))
        return lines
    }

    private static func line(_ label: String, _ text: String, _ style: Style) -> String {
        "  " + style(.faint, label.padded(to: 12)) + text
    }

    package static func list(_ list: ListDocument, kind: String?, now: Instant, _ style: Style) -> [String] {
        guard !list.actors.isEmpty else {
            return [kind.map { "no actors of kind \($0)" } ?? "no actors yet"]
        }
        var table = TextTable([
            ("ACTOR", .left), ("RUN", .left), ("FOR", .right), ("WAITS FOR", .left), ("STATE", .left),
        ])
        for actor in list.actors {
            let run = actor.run
            let detail = run.map { $0.failure.map(RunText.phrase) ?? $0.reason ?? $0.waitingFor ?? "" } ?? ""
            table.add([
                .init(name(actor)),
                .init(run?.status ?? "", run.flatMap { Style.colour(ofStatus: $0.status) }),
                .init(run.map { Phrases.duration(now - $0.since) } ?? ""),
                .init(Phrases.cut(Phrases.oneLine(detail), 40)),
                .init(Phrases.brief(actor.state, 40), .faint),
            ])
        }
        var lines = table.lines(style)
        if list.more, let last = list.actors.last {
            lines.append(style(.faint, "more: add --after \(name(last))"))
        }
        return lines
    }

    package static func status(
        _ status: StatusDocument, at location: NodeLocation, now: Instant, _ style: Style
    ) -> [String] {
        let backlog = Phrases.bytes(status.backlogBytes)
        let facts = [
            ("up", "\(Phrases.duration(now - status.startedAt)), since \(Phrases.time(status.startedAt))"),
            ("kinds", status.kinds.isEmpty ? "none" : status.kinds.joined(separator: ", ")),
            ("actors", "\(status.actorsAwake) in memory, \(status.timers) timers pending"),
            (
                "requests",
                "\(status.requests), of which \(status.repliesRepeated) were answered from the record"
            ),
            ("work", "\(status.records) records, \(status.steps) steps"),
            (
                "turnover",
                "\(status.creations) created, \(status.wakes) woken, \(status.hibernations) hibernated"
            ),
            ("backlog", "\(backlog) durable and not yet in the tables"),
            ("partitions", String(status.partitions)),
            ("identity", "cluster \(status.cluster), store \(status.store), start \(status.incarnation)"),
        ]
        let title = style(.bold, "node \(status.node)") + " at \(location)  " + style(.green, "serving")
        return [title] + facts.map { line($0, $1, style) }
    }
}
