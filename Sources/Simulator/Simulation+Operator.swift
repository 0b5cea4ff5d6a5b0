import ConsensusCore
import ControlCore
import Identifiers
import PlacementCore
import ReplicationCore

/// An operator with a script: declares nodes down, promotes, lets the planner fill holes, and replaces
/// voters. Sees the machines, with some delay and error, and acts through the control plane like everybody
/// else.
extension Simulation {
    func operate() {
        guard let leader = machines.first(where: { $0.process?.server.isLeader == true && isFine($0) }),
            let process = leader.process, let map = process.server.state.map
        else { return }
        var commands: [Command] = []
        for node in map.nodes where node.isUp {
            let machine = machines[Self.machine(node.id)]
            // A process that has just been confirmed may not know it yet.
            let isGone = !isFine(machine) || machine.process?.life.map { $0 != node.life } ?? false
            if isGone, happens(40), mayDeclareDown(node.id) {
                commands.append(.nodeDown(node.id, node.incarnation, .operator))
            }
        }
        for (number, partition) in map.partitions.enumerated() {
            let id = PartitionID(number)
            let owner = partition.owner.map { machines[Self.machine($0.node)] }
            if let owner, isFine(owner), owner.process?.life == partition.owner { continue }
            guard let command = promotion(of: id, map),
                case .promote(_, _, _, let inSync) = command, inSync.contains(where: isIntact)
            else { continue }
            report.promotions += 1
            commands.append(command)
        }
        if commands.isEmpty { commands = Planner().plan(map).commands }
        replaceRefused(map)
        if !commands.isEmpty {
            note("operator at m\(leader.index): \(commands.count) commands, first \(commands[0])")
            propose(commands, leader.index, process)
        }
        changeVoters(leader.index, process)
    }

    private func isFine(_ machine: SimulatedMachine) -> Bool {
        guard let process = machine.process, process.pausedUntil <= now, machine.slowness < 100 else {
            return false
        }
        return machines.count(where: { $0.index != machine.index && network.isCut(machine.index, $0.index) })
            * 2 < machines.count
    }

    private func promotion(of partition: PartitionID, _ map: ClusterMap) -> Command? {
        if settings.without?.placement.contains(.promoteFromInSyncOnly) ?? false {
            let live = map.nodes.filter(\.isUp)
            guard let state = map[partition], !live.isEmpty else { return nil }
            let life = live[Int(chance(0...UInt64(live.count - 1)))].life
            let others = state.inSync.filter { $0.node != life.node }
            return .promote(partition, state.revision, to: life, inSync: others + [life.replica])
        }
        return map.promotionCandidates(for: partition, reports: reports(partition, map)).first
            .flatMap { map.promotion(of: partition, to: $0) }
    }

    private func reports(_ partition: PartitionID, _ map: ClusterMap) -> [LogReport] {
        machines.compactMap { machine in
            guard let process = machine.process, let life = process.life,
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
            let process = leader.process, let node = process.server.state.map?[Self.node(index)], node.isUp,
            mayDeclareDown(node.id)
        else { return false }
        propose([.nodeDown(node.id, node.incarnation, .operator)], leader.index, process)
        return true
    }

    /// A disk that the cluster refuses is replaced by an empty one.
    private func replaceRefused(_ map: ClusterMap) {
        for machine in machines where machine.refusal != nil && machine.process == nil {
            note("m\(machine.index) was refused (\(machine.refusal ?? "")) and gets an empty disk")
            replaceDisk(machine.index)
        }
    }

    /// One change at a time: a voter whose disk is gone leaves, a machine without a vote gets one.
    private func changeVoters(_ index: Int, _ process: SimulatedProcess) {
        let configuration = process.server.raft.configuration
        func isRegistered(_ member: ReplicaID) -> Bool {
            machines[Self.machine(member.node)].disk.store == member.store
        }
        var change: Raft.Change?
        if let lost = configuration.members.first(where: { !isRegistered($0) }) {
            change = .remove(lost)
        } else if let learner = configuration.learners.first {
            change = .promote(learner)
        } else if configuration.voters.count < settings.voters,
            let machine = machines.first(where: { machine in
                machine.process?.life != nil && isFine(machine)
                    && !configuration.members.contains { $0.node == Self.node(machine.index) }
            })
        {
            change = .addLearner(ReplicaID(node: Self.node(machine.index), store: machine.disk.store))
        }
        guard let change else { return }
        note("operator: voters \(change)")
        let token = process.nextToken
        process.nextToken += 1
        take(process.client.handle(.changeVoters(token: token, change)), at: index)
    }
}
