/// A run and its history as text.
package struct RunText: Sendable {
    package var actor: ActorDocument
    package var history: HistoryDocument

    package init(actor: ActorDocument, history: HistoryDocument) {
        self.actor = actor
        self.history = history
    }

    package func lines(now: Instant, _ style: Style) -> [String] {
        guard let run = actor.run else { return [ActorText.name(actor) + "  has no run"] }
        var lines = [
            style(.bold, ActorText.name(actor)) + "  " + style.status(run.status)
                + " for \(Phrases.duration(now - run.since))"
        ]
        for (label, text) in facts(run, now) {
            lines.append("  " + style(.faint, label.padded(to: 12)) + text)
        }
        lines.append("")
        guard !history.entries.isEmpty else { return lines + ["  nothing recorded yet"] }
        return lines + table(now, style).lines(style, indent: "  ")
    }

    private func facts(_ run: RunDocument, _ now: Instant) -> [(String, String)] {
        var facts: [(String, String)] = []
        if let waiting = Self.waiting(run, history.entries, now) { facts.append(waiting) }
        if let reason = run.reason { facts.append(("stalled by", Phrases.oneLine(reason))) }
        if let failure = run.failure { facts.append(("failed with", Self.phrase(failure))) }
        facts.append(("started", Phrases.time(run.startedAt)))
        if run.hasEnded {
            facts.append(
                ("ended", "\(Phrases.time(run.since)), after \(Phrases.duration(run.since - run.startedAt))"))
        }
        facts += ActorText.facts(actor).filter { $0.0 != "created" }
        return facts
    }

    /// What the run does or waits for, with the time that it waits until.
    static func waiting(_ run: RunDocument, _ entries: [EntryDocument], _ now: Instant) -> (String, String)? {
        guard let what = run.waitingFor, !run.hasEnded else { return nil }
        if run.status == "running" { return ("now in", what) }
        let entry = entries.last { $0.status == run.status && $0.path.isEmpty == false }
        let time = entry.flatMap { $0.until ?? $0.retryAt ?? $0.deadline }
        let suffix = time.map { ", until \(Phrases.time($0)) (\(Phrases.until($0, now)))" } ?? ""
        return ("waits for", what + suffix)
    }

    static func phrase(_ failure: FailureDocument) -> String {
        Phrases.cut(Phrases.oneLine("\(failure.type): \(failure.message)"), 160)
    }

    private func table(_ now: Instant, _ style: Style) -> TextTable {
        var table = TextTable([
            ("OPERATION", .left), ("KIND", .left), ("STATUS", .left), ("TOOK", .right), ("TRIES", .right),
            ("AT", .left), ("RESULT", .left),
        ])
        for (depth, branch) in HistoryTree(history.entries).flattened {
            let indent = String(repeating: "  ", count: depth)
            guard let entry = branch.entry else {
                table.note(indent + Phrases.oneLine(branch.name), .faint)
                continue
            }
            table.add([
                .init(indent + Phrases.oneLine(branch.name)), .init(entry.kind, .faint),
                .init(entry.status, Style.colour(ofStatus: entry.status)), .init(Self.took(entry)),
                .init(entry.attempts.map(String.init) ?? "", (entry.attempts ?? 1) > 1 ? .yellow : nil),
                .init(Phrases.clock(entry.at), .faint), .init(Self.result(entry, now)),
            ])
            for line in Self.failures(entry) { table.note(indent + "  " + line, .red) }
        }
        return table
    }

    /// A step's time from its first attempt to its end, all retries included.
    static func took(_ entry: EntryDocument) -> String {
        guard let start = entry.startedAt, start.seconds > 0,
            ["completed", "failed", "timedOut"].contains(entry.status)
        else { return "" }
        return Phrases.duration(entry.at - start)
    }

    static func result(_ entry: EntryDocument, _ now: Instant) -> String {
        switch entry.kind {
        case "sleep":
            guard let until = entry.until else { return "" }
            return entry.status == "sleeping"
                ? "wakes \(Phrases.until(until, now))" : "until \(Phrases.clock(until))"
        case "loop":
            let iteration = entry.iteration.map { "iteration \($0)" } ?? ""
            return entry.status == "completed" ? Phrases.brief(entry.value) : iteration
        case "next":
            if let messages = entry.messages, let first = messages.first {
                let more = messages.count > 1 ? " and \(messages.count - 1) more" : ""
                return "\(first.queue) \(Phrases.brief(first.body))\(more)"
            }
            return entry.deadline.map { "gives up \(Phrases.until($0, now))" } ?? ""
        case "send": return entry.to.map { "to \($0)" } ?? ""
        case "call":
            let value = entry.status == "completed" ? Phrases.brief(entry.value) : ""
            return [entry.to ?? "", value].filter { !$0.isEmpty }.joined(separator: " ")
        case "completion": return entry.message.map { "message \($0)" } ?? ""
        default:
            if let retry = entry.retryAt { return "next try \(Phrases.until(retry, now))" }
            return Phrases.brief(entry.value)
        }
    }

    /// What went wrong in an operation, equal failures in one line.
    static func failures(_ entry: EntryDocument) -> [String] {
        var groups: [(failure: FailureDocument, count: Int)] = []
        for failure in entry.failures ?? [] {
            if groups.last?.failure == failure {
                groups[groups.count - 1].count += 1
            } else {
                groups.append((failure, 1))
            }
        }
        if let failure = entry.failure, groups.last?.failure != failure { groups.append((failure, 1)) }
        return groups.map { group in (group.count > 1 ? "\(group.count) times " : "") + phrase(group.failure)
        }
    }
}

extension String {
    func padded(to columns: Int) -> String { self + String(repeating: " ", count: max(0, columns - count)) }
}
