import Identifiers

/// What a replica does with what the owner of an epoch sends.
extension Replica {
    mutating func receive(_ append: Append, _ sender: NodeLife, _ effects: inout [ReplicaEffect]) {
        guard append.epoch >= promised else {
            effects.append(
                .send(.rejected(epoch: append.epoch, promised: promised), to: sender.node))
            return
        }
        if append.epoch > promised {
            standDown(&effects)
            adopt(append.epoch, &effects)
        }
        // An owner hears of no other one in its epoch: it is the only process that was granted it.
        guard owner == nil else { return }
        leader = sender
        guard !isInstalling else { return }
        guard !isDamaged else {
            return effects.append(.send(.damaged(epoch: append.epoch), to: sender.node))
        }
        guard continues(append.previous, &effects) else {
            if !isDamaged { reportMismatch(append, sender, &effects) }
            return
        }
        var fresh: [LogRecord] = []
        for record in append.records where !has(record.mark) {
            if record.mark.position <= log.end.position {
                guard record.mark.position > committed else { return contradicted(record.mark, &effects) }
                truncate(after: LogPosition(rawValue: record.mark.position.rawValue - 1), &effects)
            }
            guard record.mark.position == log.end.position.next, record.previousHash == log.end.hash else {
                return damage("\(record.mark) does not follow \(log.end)", &effects)
            }
            var kept = record
            kept.bytes = []
            log.append(kept)
            fresh.append(record)
        }
        let last = append.records.last?.mark.position ?? append.previous.position
        matched = max(matched, last)
        if !fresh.isEmpty { write(.append(fresh), &effects) }
        if !rules.contains(.acknowledgeSynced) || fresh.isEmpty && !rules.contains(.flushBeforeVouching) {
            effects.append(
                .send(.acknowledged(epoch: promised, position: matched), to: sender.node))
        } else {
            // What was sent again was perhaps acknowledged in vain.
            if fresh.isEmpty { acknowledged = .zero }
            acknowledge(&effects)
        }
        commit(through: min(append.committed, matched), &effects)
        // An owner that has committed a record of its epoch knows of all that was committed before.
        if matched >= append.committed, log.epoch(at: append.committed) == promised { isProven = true }
    }

    /// Whether the log here has what the owner's records follow.
    private mutating func continues(_ previous: LogMark, _ effects: inout [ReplicaEffect]) -> Bool {
        if previous.position < log.base.position {
            if isOfAnotherHistory(previous) { contradicted(previous, &effects) }
            return !isDamaged
        }
        guard let mine = log.mark(at: previous.position), mine.epoch == previous.epoch else { return false }
        guard mine.hash == previous.hash else {
            damage("\(mine) has another hash than the owner's", &effects)
            return false
        }
        return true
    }

    /// What was let go of is committed, and so the same everywhere.
    private func has(_ mark: LogMark) -> Bool {
        mark.position <= log.base.position && !isOfAnotherHistory(mark) || log.mark(at: mark.position) == mark
    }

    /// Unless an operator has accepted that committed records are lost, or the owner's disk was set back and
    /// nobody else could be asked: its log then goes on from before what was let go of here. In one epoch one
    /// owner gives out the positions, so position and epoch tell; an epoch that one side has forgotten does
    /// not.
    private func isOfAnotherHistory(_ mark: LogMark) -> Bool {
        guard LogPosition.zero < mark.position, mark.position <= log.base.position else { return false }
        let mine = log.epoch(at: mark.position).rawValue
        return mine > 0 && mark.epoch.rawValue > 0 && mine != mark.epoch.rawValue
    }

    private mutating func contradicted(_ mark: LogMark, _ effects: inout [ReplicaEffect]) {
        damage("the owner's \(mark) contradicts a committed record", &effects)
    }

    mutating func reportMismatch(_ append: Append, _ sender: NodeLife, _ effects: inout [ReplicaEffect]) {
        // It is as much an answer in the epoch as an acknowledgement (R18).
        guard promisedDurable >= promised else {
            owedMismatch = append
            return
        }
        owedMismatch = nil
        let epochs = Array(log.epochs.suffix(settings.epochsPerMismatchMax))
        effects.append(
            .send(
                .mismatch(
                    epoch: append.epoch, probe: append.probe, end: log.end.position, epochs: epochs),
                to: sender.node))
    }

    /// Tells the owner what is on disk of its log (R6, R10), once the epoch itself is (R18).
    mutating func acknowledge(_ effects: inout [ReplicaEffect]) {
        let position = min(durable, matched)
        guard let leader, promisedDurable >= promised, position > acknowledged else { return }
        acknowledged = position
        effects.append(.send(.acknowledged(epoch: promised, position: position), to: leader.node))
    }

    mutating func commit(through position: LogPosition, _ effects: inout [ReplicaEffect]) {
        guard position > committed else { return }
        committed = position
        effects.append(.committed(position))
        trim()
    }

    mutating func damage(_ reason: String, _ effects: inout [ReplicaEffect]) {
        isDamaged = true
        effects.append(.damaged(reason))
    }

    /// A snapshot of the owner of `epoch` has replaced everything here.
    mutating func installed(
        _ mark: LogMark, _ epochs: [EpochStart], _ epoch: Epoch, _ effects: inout [ReplicaEffect]
    ) {
        log = LogTail(base: mark, epochs: epochs)
        durable = mark.position
        writes.removeAll { $0.epoch <= promisedDurable }
        for index in writes.indices { writes[index].position = mark.position }
        isDamaged = false
        isInstalling = false
        acknowledged = .zero
        matched = epoch == promised ? mark.position : .zero
        // What a damaged replica took for committed says nothing about the tables that it has now.
        committed = mark.position
        effects.append(.committed(committed))
        acknowledge(&effects)
    }

    /// Whether a snapshot is wanted here: a log that has the mark already needs none.
    public func wantsSnapshot(_ mark: LogMark, epoch: Epoch) -> Bool {
        guard epoch == promised, owner == nil else { return false }
        return isDamaged || mark.position > log.end.position || !has(mark)
    }
}
