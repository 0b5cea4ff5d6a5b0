/// What the control plane does, and nodes that register with it.
extension Model {
    /// Compare-and-set; R8: the store must be the registered one.
    func decideAddition(in world: inout World) {
        let request = world.control.addition
        world.control.addition = Addition()
        guard request.epoch == world.control.epoch, request.revision == world.control.revision else {
            return
        }
        if rules.contains(.identitiesInChanges), request.store != world.control.stores[request.node] {
            return
        }
        world.control.change(isr: world.control.isr.inserting(request.node))
    }

    /// R4: only a member has every acknowledged entry. Whether its disk is still there, the control plane
    /// does not know.
    func mayPromote(_ node: NodeIndex, in world: World) -> Bool {
        guard rules.contains(.promoteFromISR) else { return world.hasRegisteredStore(node) }
        return world.control.isr.contains(node) && !world.control.replaced.contains(node)
    }

    /// R19: the owner asks for it. Its request may be under way for long, but not for longer than its disk
    /// is there: from asking on, that one may be the only one (`faultSteps` counts on nothing else). An owner
    /// whose disk was set back does without nobody: the others answer before its patience ends.
    func mayDrop(_ node: NodeIndex, in world: World) -> Bool {
        let control = world.control
        guard control.isr.contains(node), control.owner != node else { return false }
        guard rules.contains(.ownerShrinks) else { return !control.isr.removing(node).isEmpty }
        return control.owner != ControlPlane.nobody && world.hasMember(control.owner)
    }

    func promote(_ node: NodeIndex, isr: NodeSet, in world: inout World) {
        world.control.epoch += 1
        world.control.owner = node
        world.control.change(isr: isr)
    }

    /// R13 and R15: what such a disk says is not believed; the node starts with an empty one.
    private func isRefused(_ node: NodeIndex, in world: World) -> Bool {
        if rules.contains(.logEndIsNoProof), world.damaged.contains(node) { return true }
        let disk = world[node].disk
        let isOlder =
            disk.store < world.control.stores[node]
            || disk.store == world.control.stores[node]
                && disk.incarnation < world.control.incarnations[node]
        return isOlder && rules.contains(.noGoingBack)
    }

    func start(_ node: NodeIndex, in world: inout World) {
        var replica = world[node]
        if isRefused(node, in: world) {
            replica.disk = Disk(store: world.control.stores[node] + 1)
            if world.setBack == node { world.forgetSetBack() }
        }
        world.damaged = world.damaged.removing(node)
        if scope.restoresImageOfSameLife {
            replica.hasOnlyItsDisk = true
            endConnections(of: node, in: &world)
        }
        register(node, &replica.disk, in: &world)
        replica.log = replica.disk.log
        if !rules.contains(.truncateByMatch) { replica.log.truncate(to: replica.disk.commit) }
        replica.role = .follower
        replica.epoch = max(replica.disk.epoch, replica.log.last.epoch)
        world[node] = replica
    }

    private func register(_ node: NodeIndex, _ disk: inout Disk, in world: inout World) {
        let isOwner = world.control.owner == node
        if disk.store == world.control.stores[node] {
            // R5: the grant was given to the process that ended.
            if isOwner, rules.contains(.oneLifePerEpoch) { world.control.voidGrant() }
            // R12: a disk that was set back has forgotten what it promised.
            if scope.restoresImageOfSameLife, rules.contains(.membersNameStore) {
                disk.epoch = max(disk.epoch, world.control.epoch)
            }
        } else {
            world.control.stores[node] = disk.store
            if world.control.isr.contains(node) {
                let others = world.control.isr.removing(node)
                if rules.contains(.ownerShrinks) || others.isEmpty {
                    world.control.replaced = world.control.replaced.inserting(node)
                } else {
                    world.control.change(isr: others)
                }
            }
            // R11: the grant was given to the disk that is gone.
            if isOwner, rules.contains(.grantsNameStore) { world.control.voidGrant() }
            // R12: so that the node refuses what an earlier owner may still send.
            if rules.contains(.membersNameStore) { disk.epoch = max(disk.epoch, world.control.epoch) }
        }
        // Without images nothing tells incarnations apart, and counting them would only multiply the states.
        if scope.images > 0 { world.control.incarnations[node] += 1 }
        disk.incarnation = world.control.incarnations[node]
    }

    func wipe(_ node: NodeIndex, in world: inout World) {
        world[node].disk = Disk(store: world.control.stores[node] + 1)
        world.damaged = world.damaged.removing(node)
        if world.setBack == node { world.forgetSetBack() }
        world.used.wipes += 1
    }
}
