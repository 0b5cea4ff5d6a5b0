/// What nodes do with messages.
extension Model {
    func deliver(_ message: Message, in world: inout World) {
        switch message.kind {
        case .append: receiveAppend(message, in: &world)
        case .acknowledge: receiveAcknowledgement(message, &world[message.receiver])
        case .none: break
        }
    }

    /// R18: the epoch is on disk before the node acts in it.
    func adopt(_ epoch: UInt8, _ replica: inout Replica) {
        replica.epoch = epoch
        if rules.contains(.epochIsDurable) { replica.disk.epoch = epoch }
    }

    private func receiveAppend(_ message: Message, in world: inout World) {
        var replica = world[message.receiver]
        guard message.epoch >= replica.epoch else { return }
        if message.epoch > replica.epoch {
            replica.follow()
            adopt(message.epoch, &replica)
        }
        let isAppended = replica.role == .follower && append(message, &replica)
        world[message.receiver] = replica
        guard isAppended else { return }
        var answer = Message(
            .acknowledge, from: message.receiver, to: message.sender, epoch: message.epoch,
            index: message.index)
        answer.store = replica.disk.store
        world.messages.insert(answer, limit: scope.messages)
    }

    /// Whether the log now has the entry, at the place where the owner has it.
    private func append(_ message: Message, _ replica: inout Replica) -> Bool {
        let previous = message.index - 1
        // An entry that is not there has epoch 0, as what comes before the first one.
        guard replica.log[previous].epoch == message.previousEpoch else { return false }
        if replica.log[message.index].epoch == message.entry.epoch {
            if rules.contains(.flushBeforeVouching) { replica.flush() }
        } else {
            replica.log.truncate(to: previous)
            replica.log.append(message.entry)
            if rules.contains(.acknowledgeAfterSync) { replica.flush() }
        }
        replica.disk.commit = max(replica.disk.commit, min(message.commit, message.index))
        return true
    }

    private func receiveAcknowledgement(_ message: Message, _ replica: inout Replica) {
        guard replica.role == .owner, replica.epoch == message.epoch else { return }
        var (store, acknowledged) = replica.progress[message.sender]
        if message.store != store, rules.contains(.identitiesInChanges) {
            // R12: the member is the disk, not the node; a learner may begin anew with another disk.
            let counts = replica.isr.union(replica.pending).contains(message.sender)
            if counts, rules.contains(.membersNameStore) { return }
            (store, acknowledged) = (message.store, 0)
        }
        replica.progress[message.sender] = (store, max(acknowledged, message.index))
    }
}
