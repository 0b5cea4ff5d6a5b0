/// Disks that go back to an image of the same life, and what is done about them (R20).
extension Model {
    func mayRestore(_ node: NodeIndex, in world: World) -> Bool {
        guard world.imageOf == node else { return false }
        if isOfSameLife(world.image, world[node].disk) {
            return scope.restoresImageOfSameLife && world.setBack == ControlPlane.nobody
        }
        return world.image.incarnation < world.control.incarnations[node]
    }

    func restore(_ node: NodeIndex, in world: inout World) {
        let disk = world[node].disk
        world[node].disk = world.image
        if isOfSameLife(world.image, disk) { (world.setBack, world.lostEnd) = (node, LogEnd(disk.log)) }
    }

    private func isOfSameLife(_ one: Disk, _ other: Disk) -> Bool {
        one.store == other.store && one.incarnation == other.incarnation
    }

    /// A process that ran all along knows what it has acknowledged. One that began later may be sure of its
    /// log again some day, which is not in the model: here it asks each time.
    func mustAsk(_ node: NodeIndex, in world: World) -> Bool {
        rules.contains(.asksBeforeItBegins) && world[node].hasOnlyItsDisk
    }

    /// Whether every other member answers, and none has more.
    func mayBegin(_ node: NodeIndex, in world: World) -> Bool {
        let end = LogEnd(world[node].log)
        return nodes.allSatisfy { other in
            guard other != node, isAsked(other, in: world) else { return true }
            return world[other].isUp && LogEnd(world[other].log) <= end
        }
    }

    /// Who answers takes part in the new epoch, with everything on disk, so that the answer stays true.
    func askMembers(of node: NodeIndex, in world: inout World) {
        for other in nodes where other != node && isAsked(other, in: world) {
            if world[other].epoch < world.control.epoch {
                world[other].follow()
                adopt(world.control.epoch, &world[other])
            }
            world[other].flush()
        }
    }

    private func isAsked(_ node: NodeIndex, in world: World) -> Bool {
        world.control.isr.contains(node) && !world.control.replaced.contains(node)
    }

    /// What an earlier process said says nothing about this one's disk: it went with its connections, an
    /// addition names the process that it was asked for (R8), and owners ask anew what the node has.
    func endConnections(of node: NodeIndex, in world: inout World) {
        for slot in (0..<UInt8(world.messages.count)).reversed()
        where world.messages[slot].sender == node || world.messages[slot].receiver == node {
            world.messages.remove(slot)
        }
        if world.control.addition.node == node { world.control.addition = Addition() }
        for owner in nodes where owner != node && world[owner].role == .owner {
            world[owner].progress[node].acknowledged = 0
        }
    }
}
