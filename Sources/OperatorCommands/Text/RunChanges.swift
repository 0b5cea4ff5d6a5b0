/// What happened in a run between two looks at it, a line each.
package struct RunChanges: Sendable {
    private var entries: [UInt64: EntryDocument] = [:]
    private var run: RunDocument?

    package init() {}

    /// Takes the newer look, and returns what is new in it.
    package mutating func take(_ text: RunText, now: Instant, _ style: Style) -> [String] {
        var lines: [String] = []
        for entry in text.history.entries.sorted(by: { ($0.at, $0.sequence) < ($1.at, $1.sequence) })
        where entries[entry.sequence] != entry {
            lines.append(Self.line(entry, now, style))
        }
        entries = Dictionary(text.history.entries.map { ($0.sequence, $0) }, uniquingKeysWith: { $1 })
        if let new = text.actor.run, Self.differs(run, new) {
            lines.append(Self.line(new, text, now, style))
        }
        run = text.actor.run
        return lines
    }

    /// `since` alone moves with each message and retry, and says nothing to a person.
    private static func differs(_ old: RunDocument?, _ new: RunDocument) -> Bool {
        guard let old else { return true }
        return old.status != new.status || old.waitingFor != new.waitingFor || old.reason != new.reason
    }

    private static func line(_ entry: EntryDocument, _ now: Instant, _ style: Style) -> String {
        var line = style(.faint, Phrases.clock(entry.at)) + "  \(Phrases.oneLine(entry.path))  "
        line += "\(entry.kind) " + style.status(entry.status)
        let took = RunText.took(entry)
        if !took.isEmpty { line += " in \(took)" }
        if let attempts = entry.attempts, attempts > 1 { line += ", \(attempts) tries" }
        let result = RunText.result(entry, now)
        if !result.isEmpty { line += "  \(result)" }
        if let failure = RunText.failures(entry).last { line += "  " + style(.red, failure) }
        return line
    }

    private static func line(_ run: RunDocument, _ text: RunText, _ now: Instant, _ style: Style) -> String {
        var line = style(.faint, Phrases.clock(run.since)) + "  run " + style.status(run.status)
        if let (label, what) = RunText.waiting(run, text.history.entries, now) {
            line += ", \(label) \(what)"
        }
        if let reason = run.reason { line += ": \(Phrases.oneLine(reason))" }
        if let failure = run.failure { line += ": " + style(.red, RunText.phrase(failure)) }
        if run.hasEnded { line += " after \(Phrases.duration(run.since - run.startedAt))" }
        return line
    }
}
