extension Raft {
    mutating func receive(_ append: Append, from leader: Member) {
        guard isConsecutive(append) else { return }
        var previous = append.previous
        var entries = append.entries[...]
        if previous.index < commit {
            // What is committed here is in every leader's log, so that part of the message holds nothing
            // new. It is looked at where it can be, because a leader without it must not be believed.
            let known = entries.prefix(Int(min(commit - previous.index, Index(entries.count))))
            for entry in known where log.term(at: entry.index).map({ $0 != entry.term }) ?? false {
                fault = .committedEntryContradicted(entry.index)
                return
            }
            entries = entries.dropFirst(known.count)
            previous = Position(term: log.term(at: commit) ?? 0, index: commit)
        }
        guard log.term(at: previous.index) == previous.term else {
            let hint = log.agreement(with: previous, notBelow: commit)
            return answer(leader, .rejected(previous: append.previous.index, hint: hint), append.round)
        }
        add(entries)
        let match = previous.index + Index(entries.count)
        let proven = mutations.contains(.commitsUnproven) ? log.last.index : match
        commit = max(commit, min(append.commit, proven))
        answer(leader, .accepted(match: match), append.round)
    }

    /// Bytes off the wire can be well formed and still make no sense.
    private func isConsecutive(_ append: Append) -> Bool {
        var previous = append.previous
        guard previous.term <= term, previous.index <= Position.numberMax else { return false }
        for entry in append.entries {
            guard entry.index == previous.index + 1, previous.term...term ~= entry.term else { return false }
            previous = entry.position
        }
        return true
    }

    /// Entries that are there already stay, and all behind them: an append may arrive late, after later
    /// ones. Only one that contradicts the log cuts it off.
    private mutating func add(_ entries: ArraySlice<Entry>) {
        guard
            let place = entries.firstIndex(where: {
                log.term(at: $0.index) != $0.term || mutations.contains(.truncatesMatching)
            })
        else { return }
        let first = entries[place].index
        if first <= log.last.index {
            log.truncate(from: first)
            persistence.truncate(from: first)
        }
        for entry in entries[place...] { append(entry) }
    }

    mutating func append(_ entry: Entry) {
        log.append(entry)
        persistence.append(at: entry.index)
    }

    /// An acceptance is a promise, whenever the entries came: it waits for what is being written (R10).
    mutating func answer(_ leader: Member, _ result: AppendResponse.Result, _ round: UInt64) {
        send(.appendResponse(AppendResponse(result: result, round: round)), to: leader, promising: true)
    }
}
