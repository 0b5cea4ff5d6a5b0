/// The replication protocol of one partition (`cluster.md` 2.5 to 2.7) as a transition system: the states are
/// `World`s, `steps(in:)` says what can happen next and `apply` what comes of it.
public struct Model: Sendable {
    public let rules: Rules
    public let scope: Scope

    public init(scope: Scope, rules: Rules = .all) {
        self.scope = scope
        self.rules = rules
    }

    var nodes: Range<NodeIndex> { 0..<scope.nodes }

    /// Node 0 owns epoch 1, and everybody knows.
    var initial: World {
        var world = World()
        for node in nodes {
            var replica = Replica()
            replica.role = .follower
            replica.epoch = 1
            replica.disk.epoch = 1
            replica.disk.store = 1
            world[node] = replica
            world.control.stores[node] = 1
        }
        world.control.isr = NodeSet(bits: 1 << scope.members - 1)
        becomeOwner(0, in: &world)
        return world
    }

    func apply(_ step: Step, to world: World) -> World {
        var next = world
        switch step {
        case .write(let node): write(node, in: &next)
        case .flush(let node): next[node].flush()
        case .send(let owner, let node, let index): send(index, from: owner, to: node, in: &next)
        case .commit(let node): commit(node, in: &next)
        case .requestAddition(let owner, let node): requestAddition(of: node, by: owner, in: &next)
        case .learn(let node): learn(node, in: &next)
        case .activate(let node): becomeOwner(node, in: &next)
        case .decideAddition: decideAddition(in: &next)
        case .drop(let node): next.control.change(isr: world.control.isr.removing(node))
        case .promote(let node, let isr): promote(node, isr: isr, in: &next)
        case .deliver(let slot):
            next.messages.remove(slot)
            deliver(world.messages[slot], in: &next)
        case .deliverCopy(let slot): deliver(world.messages[slot], in: &next)
        case .lose(let slot): next.messages.remove(slot)
        case .crash(let node):
            next[node].crash()
            next.used.crashes += 1
        case .start(let node): start(node, in: &next)
        case .wipe(let node): wipe(node, in: &next)
        case .takeImage(let node):
            next.imageOf = node
            next.image = world[node].disk
            next.used.images += 1
        case .restoreImage(let node):
            restore(node, in: &next)
            next.imageOf = ControlPlane.nobody
            next.image = Disk()
        case .loseTail(let node):
            next[node].disk.log.truncate(to: world[node].disk.log.count - 1)
            next.damaged = world.damaged.inserting(node)
            next.used.lostTails += 1
        case .dropAlone(let owner, let node): next[owner].isr = world[owner].isr.removing(node)
        case .surviveJournalError(let node):
            next[node].log = world[node].disk.log
            next.used.journalErrors += 1
        }
        if next.setBack != ControlPlane.nobody, LogEnd(next[next.setBack].disk.log) >= next.lostEnd {
            next.forgetSetBack()
        }
        return next
    }
}
