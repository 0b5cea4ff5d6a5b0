import ConsensusCore
import ControlCore
import Identifiers
import PlacementCore
import ReplicationCore

/// The controller on each machine, and an operator with a script, who declares nodes down and replaces disks.
/// He sees the machines, with some delay and error, and acts through the control plane like everybody else.
extension Simulation {
    /// What the leader of the consensus group does of its own accord.
    func control(_ index: Int, _ process: SimulatedProcess) {
        guard let map = process.server.state.map else { return }
        let decisions = process.controller.tick(
            map, group: process.server.group, isLeader: process.server.isLeader,
            evidence: process.server.isLeader ? process.server.evidence() : [:],
            unfit: process.server.isLeader ? process.server.unfit : [],
            reports: { settings.extremes.reportsLogs ? reports($0, of: machines[index].disk.founder) : [] })
        for decision in decisions {
            note("controller at m\(index): \(decision)")
            switch decision {
            case .propose(let commands):
                report.promotions += commands.count { if case .promote = $0 { true } else { false } }
                report.declaredDown += commands.count { if case .nodeDown = $0 { true } else { false } }
                propose(commands, index, process)
            case .ask(let owner, let handovers):
                send(
                    .handovers(Handover.encode(handovers)), from: index,
                    to: machine(owner, seenBy: index), isControl: true)
            case .changeVoters(let change):
                let token = process.nextToken
                process.nextToken += 1
                take(process.client.handle(.changeVoters(token: token, Raft.Change(change))), at: index)
            case .spare: break
            case .handOver(let voter):
                take(process.server.handle(.handOver(to: voter), time: time), at: index)
            }
        }
    }

    func operate() {
        replaceRefused()
        takeDrainingBack()
        guard settings.hasOperator || settings.without != nil,
            let leader = machines.first(where: { $0.process?.server.isLeader == true && isFine($0) }),
            let process = leader.process, let map = process.server.state.map
        else { return }
        var commands: [Command] = []
        for node in map.nodes where node.isUp {
            let machine = machines[Self.machine(node.id)]
            // A process that has just been confirmed may not know it yet.
            let isGone = !isFine(machine) || machine.process?.life.map { $0 != node.life } ?? false
            if isGone, happens(40) { commands.append(.nodeDown(node.id, node.incarnation, .operator)) }
        }
        if settings.without?.placement.contains(.promoteFromInSyncOnly) ?? false {
            commands += carelessPromotions(map)
        }
        guard !commands.isEmpty else { return }
        note("operator at m\(leader.index): \(commands.count) commands, first \(commands[0])")
        propose(commands, leader.index, process)
    }

    private func isFine(_ machine: SimulatedMachine) -> Bool {
        guard let process = machine.process, process.pausedUntil <= now, machine.slowness < 100 else {
            return false
        }
        return machines.count(where: { $0.index != machine.index && network.isCut(machine.index, $0.index) })
            * 2 < machines.count
    }

    /// Without R4, partitions that nobody owns go to anybody.
    private func carelessPromotions(_ map: ClusterMap) -> [Command] {
        let live = map.nodes.filter(\.isUp)
        guard !live.isEmpty else { return [] }
        return map.partitions.indices.filter { map.partitions[$0].owner == nil }.map { number in
            let life = live[Int(chance(0...UInt64(live.count - 1)))].life
            return .promote(PartitionID(number), map.partitions[number].revision, to: life)
        }
    }

    private func reports(_ partition: PartitionID, of founder: Int?) -> [LogReport] {
        machines.compactMap { machine in
            guard machine.disk.founder == founder, let process = machine.process, let life = process.life,
                let replica = process.replication?.replicas[partition]
            else { return nil }
            let end = replica.log.end
            return LogReport(life: life, end: LogReport.End(epoch: end.epoch, position: end.position))
        }
    }

    private func propose(_ commands: [Command], _ index: Int, _ process: SimulatedProcess) {
        let token = process.nextToken
        process.nextToken += 1
        take(process.client.handle(.propose(token: token, commands)), at: index)
    }

    /// Somebody believes that a node is down, and acts on it.
    func alarm(_ index: Int) -> Bool {
        guard let leader = machines.first(where: { $0.process?.server.isLeader == true }),
            let process = leader.process, let node = process.server.state.map?[Self.node(index)], node.isUp
        else { return false }
        propose([.nodeDown(node.id, node.incarnation, .operator)], leader.index, process)
        return true
    }

    /// A node is to be emptied, or not any more.
    func drain(_ index: Int) -> Bool {
        guard let leader = machines.first(where: { $0.process?.server.isLeader == true }),
            let process = leader.process, let map = process.server.state.map, let node = map[Self.node(index)]
        else { return false }
        let others = map.nodes.count { $0.id != node.id && !$0.isDraining }
        guard node.isDraining || others >= settings.copies else { return false }
        propose([.drain(node.id, node.incarnation, !node.isDraining)], leader.index, process)
        return true
    }

    /// Two orders that were under way together can leave fewer nodes than there are to be copies.
    private func takeDrainingBack() {
        guard let leader = machines.first(where: { $0.process?.server.isLeader == true }),
            let process = leader.process, let map = process.server.state.map,
            map.nodes.count(where: { !$0.isDraining }) < settings.copies,
            let node = map.nodes.first(where: \.isDraining)
        else { return }
        propose([.drain(node.id, node.incarnation, false)], leader.index, process)
    }

    /// A process that ends in good order gives what it owns away first, has itself declared down, and ends
    /// then, or when that takes too long.
    func leave(_ index: Int, _ process: SimulatedProcess) {
        guard let deadline = process.leavesAt else { return }
        guard now < deadline else {
            stop(index, "it ends, with or without an heir")
            return events.plan(.start(machine: index), at: now + chance(1_000...1_000_000))
        }
        guard let life = process.client.life, let map = process.client.map,
            !map.partitions.contains(where: { $0.owner == life }), !process.client.isProposing
        else { return }
        propose([.nodeDown(life.node, life.incarnation, .reported)], index, process)
    }

    /// A disk that the cluster refuses is replaced by an empty one.
    private func replaceRefused() {
        for machine in machines where machine.refusal != nil && machine.process == nil {
            note("m\(machine.index) was refused (\(machine.refusal ?? "")) and gets an empty disk")
            replaceDisk(machine.index)
        }
    }
}
