/// What an owner does.
extension Model {
    /// Takes up the grant of the control plane.
    func becomeOwner(_ node: NodeIndex, in world: inout World) {
        if mustAsk(node, in: world) { askMembers(of: node, in: &world) }
        var replica = world[node]
        replica.follow()
        adopt(world.control.epoch, &replica)
        if rules.contains(.flushBeforeVouching) { replica.flush() }
        replica.role = .owner
        replica.isr = world.control.isr
        replica.revision = world.control.revision
        replica.epochStart = replica.log.count
        for peer in nodes {
            // No disk has the number 0: nobody speaks for one that was replaced (R12).
            let isGone = world.control.replaced.contains(peer) && rules.contains(.membersNameStore)
            replica.progress[peer] = (isGone ? 0 : world.control.stores[peer], 0)
        }
        world[node] = replica
    }

    func write(_ node: NodeIndex, in world: inout World) {
        world.used.values += 1
        let entry = Entry(epoch: world[node].epoch, value: world.used.values)
        world[node].log.append(entry)
        if !rules.contains(.outputGate) { acknowledge(entry, at: world[node].log.count, in: &world) }
    }

    /// Entries go to the peers while the owner's own disk still writes them.
    func send(_ index: UInt8, from owner: NodeIndex, to node: NodeIndex, in world: inout World) {
        let replica = world[owner]
        var message = Message(.append, from: owner, to: node, epoch: replica.epoch, index: index)
        message.previousEpoch = replica.log[index - 1].epoch
        message.entry = replica.log[index]
        if !rules.contains(.truncateByMatch) { message.commit = replica.commit }
        world.messages.insert(message, limit: scope.messages)
    }

    /// R1 and R3: the end of the log that is on every disk that counts.
    func committable(_ node: NodeIndex, in world: World) -> UInt8 {
        let replica = world[node]
        var end = replica.disk.log.count
        guard rules.contains(.commitNeedsEveryMember) else { return end }
        let needed = rules.contains(.maximalISR) ? replica.isr.union(replica.pending) : replica.isr
        for peer in nodes where peer != node && needed.contains(peer) {
            end = min(end, replica.progress[peer].acknowledged)
        }
        return end
    }

    func commit(_ node: NodeIndex, in world: inout World) {
        let end = committable(node, in: world)
        for index in world[node].commit + 1...end {
            acknowledge(world[node].log[index], at: index, in: &world)
        }
        world[node].commit = end
        if !rules.contains(.truncateByMatch) {
            world[node].disk.commit = max(world[node].disk.commit, end)
        }
    }

    /// A client is told that its write will not be lost.
    private func acknowledge(_ entry: Entry, at index: UInt8, in world: inout World) {
        let told = world.acknowledged[index]
        if told.exists {
            if told.value != entry.value { world.conflict = index }
        } else if index == world.acknowledged.count + 1 {
            world.acknowledged.append(entry)
        }
    }

    /// R9: a member must have what may have been committed in an earlier epoch, of which the owner's commit
    /// index says nothing.
    func isCaughtUp(_ node: NodeIndex, with owner: Replica) -> Bool {
        let start = rules.contains(.caughtUpPastEpochStart) ? owner.epochStart : 0
        return owner.progress[node].acknowledged >= max(owner.commit, start)
    }

    func requestAddition(of node: NodeIndex, by owner: NodeIndex, in world: inout World) {
        let replica = world[owner]
        world.used.additions += 1
        world[owner].pending = replica.pending.inserting(node)
        world.control.addition = Addition(
            isUnderWay: true, node: node, store: replica.progress[node].store, epoch: replica.epoch,
            revision: replica.revision)
    }

    func learn(_ node: NodeIndex, in world: inout World) {
        if world.control.owner == node {
            world[node].isr = world.control.isr
            world[node].pending = NodeSet()
            world[node].revision = world.control.revision
        } else {
            world[node].follow()
            adopt(world.control.epoch, &world[node])
        }
    }
}
