/// What can happen next.
extension Model {
    func steps(in world: World, into steps: inout [Step]) {
        steps.removeAll(keepingCapacity: true)
        for node in nodes where world[node].isUp {
            if world[node].role == .owner { ownerSteps(node, in: world, &steps) }
            if !world[node].isFlushed { steps.append(.flush(node)) }
            if mayActivate(node, in: world) { steps.append(.activate(node)) }
        }
        controlSteps(in: world, &steps)
        for slot in 0..<UInt8(world.messages.count) {
            steps.append(.lose(slot: slot))
            if world[world.messages[slot].receiver].isUp {
                steps.append(.deliver(slot: slot))
                steps.append(.deliverCopy(slot: slot))
            }
        }
        for node in nodes { faultSteps(node, in: world, &steps) }
    }

    private func ownerSteps(_ owner: NodeIndex, in world: World, _ steps: inout [Step]) {
        let replica = world[owner]
        let control = world.control
        if replica.log.count < scope.logLength, world.used.values < scope.values {
            steps.append(.write(owner))
        }
        if committable(owner, in: world) > replica.commit { steps.append(.commit(owner)) }
        for node in nodes where node != owner {
            let first = max(1, replica.progress[node].acknowledged)
            if first <= replica.log.count, world.messages.count < scope.messages {
                for index in first...replica.log.count {
                    steps.append(.send(owner: owner, to: node, index: index))
                }
            }
            if replica.isr.contains(node) {
                if !rules.contains(.isrThroughControlPlane) {
                    steps.append(.dropAlone(owner: owner, node))
                }
            } else if mayRequestAddition(of: node, by: owner, in: world) {
                steps.append(.requestAddition(owner: owner, node))
            }
        }
        let isDeposed = control.epoch > replica.epoch && control.owner != owner
        let isBehind =
            control.epoch == replica.epoch && control.owner == owner
            && control.revision != replica.revision
        if isDeposed || isBehind { steps.append(.learn(owner)) }
        if !rules.contains(.stopOnJournalError), !replica.isFlushed,
            world.used.journalErrors < scope.journalErrors
        {
            steps.append(.surviveJournalError(owner))
        }
    }

    private func mayRequestAddition(of node: NodeIndex, by owner: NodeIndex, in world: World) -> Bool {
        guard world.used.additions < scope.additions, !world.control.addition.isUnderWay else {
            return false
        }
        return !world[owner].pending.contains(node) && isCaughtUp(node, with: world[owner])
    }

    private func mayActivate(_ node: NodeIndex, in world: World) -> Bool {
        guard world.control.owner == node, world.control.epoch >= world[node].epoch else {
            return false
        }
        guard world[node].role != .owner || world[node].epoch != world.control.epoch else { return false }
        return !mustAsk(node, in: world) || mayBegin(node, in: world)
    }

    private func controlSteps(in world: World, _ steps: inout [Step]) {
        let control = world.control
        if control.addition.isUnderWay { steps.append(.decideAddition) }
        for node in nodes where mayDrop(node, in: world) { steps.append(.drop(node)) }
        guard control.epoch < scope.epochs else { return }
        // Suspicions need no reason: any member may be promoted at any moment.
        for node in nodes where mayPromote(node, in: world) {
            let candidates = control.isr.inserting(node)
            guard !rules.contains(.ownerShrinks) else {
                steps.append(.promote(node, isr: candidates))
                continue
            }
            for bits in 1..<UInt8(1 << scope.nodes) {
                let isr = NodeSet(bits: bits)
                if isr.contains(node), candidates.isSuperset(of: isr) {
                    steps.append(.promote(node, isr: isr))
                }
            }
        }
    }

    private func faultSteps(_ node: NodeIndex, in world: World, _ steps: inout [Step]) {
        if scope.images > world.used.images { steps.append(.takeImage(node)) }
        if world[node].isUp {
            if world.used.crashes < scope.crashes { steps.append(.crash(node)) }
            return
        }
        steps.append(.start(node))
        // Two disks that are lost together are more than two copies can survive; whether the loss of one was
        // noticed makes no difference.
        guard nodes.contains(where: { $0 != node && world.hasMember($0) }) else { return }
        if world.used.wipes < scope.wipes { steps.append(.wipe(node)) }
        if mayRestore(node, in: world) { steps.append(.restoreImage(node)) }
        if world.used.lostTails < scope.lostTails, world[node].disk.log.count > 0 {
            steps.append(.loseTail(node))
        }
    }
}
