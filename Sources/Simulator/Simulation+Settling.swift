import ConsensusCore
import ControlCore
import Identifiers
import PlacementCore
import ReplicationCore
import TimeAndChance

/// Liveness: after everything was healed, the cluster comes to rest with as many copies as were asked for
/// (`cluster.md` 4.2, the second phase).
extension Simulation {
    /// Whether the healed cluster has done everything that it must.
    var isSettled: Bool {
        guard now > settings.faultyMicros + 1_000_000 else { return false }
        stopsCalling = true
        guard clients.allSatisfy({ $0.call == nil }), let map = checker.decided else { return false }
        if let whole {
            guard now >= whole.looksAgainAt else { return false }
            self.whole?.looksAgainAt = now + Self.tickMicros
            guard whole.whatIsMissing(at: time.rawValue) == nil else { return false }
        }
        return map.partitions.indices.allSatisfy { whatIsMissing(PartitionID($0), map.partitions[$0]) == nil }
    }

    private func whatIsMissing(_ id: PartitionID, _ partition: PartitionState) -> String? {
        guard let owner = partition.owner else { return "nobody owns it" }
        guard partition.inSync.count >= settings.copies else { return "it has too few copies" }
        let machine = machines[Self.machine(owner.node)]
        guard let process = machine.process, process.life == owner,
            let replica = process.replication?.replicas[id]
        else { return "its owner does not run" }
        guard replica.servingEpoch == partition.epoch else { return "its owner does not serve" }
        guard replica.committed == replica.log.end.position else { return "not everything is committed" }
        for member in partition.inSync {
            let stored = machines[Self.machine(member.node)].disk.partitions[Int(id.rawValue)]
            guard stored.end == replica.log.end else { return "\(member) does not have everything" }
        }
        return nil
    }

    /// Why the cluster is not at rest, for people.
    func unsettled() -> String {
        guard let map = checker.decided else { return "there is no map" }
        let leaders = machines.filter { $0.process?.server.isLeader == true }.map { "m\($0.index)" }
        var lines = ["leaders \(leaders)"]
        for machine in machines {
            guard let raft = machine.process?.server.raft, raft.role == .leader || raft.commit > 0 else {
                continue
            }
            lines.append(
                "m\(machine.index) \(raft.role) term \(raft.term), log to \(raft.lastPosition.index), "
                    + "committed \(raft.commit), voters \(raft.configuration.voters) "
                    + "learners \(raft.configuration.learners)")
        }
        for call in clients.compactMap(\.call) {
            lines.append("client \(call.client) waits for p\(call.partition.rawValue)")
        }
        if let missing = whole?.whatIsMissing(at: time.rawValue) { lines.append(missing) }
        for node in map.nodes where machines[Self.machine(node.id)].process?.life != node.life {
            let machine = machines[Self.machine(node.id)]
            let process = machine.process.map { "\($0.client.phase), map \($0.client.follower.version)" }
            lines.append(
                "m\(machine.index) should be \(node.life) \(node.liveness), is \(process ?? "stopped") "
                    + (machine.refusal ?? "")
            )
        }
        for (number, partition) in map.partitions.enumerated() {
            guard let reason = whatIsMissing(PartitionID(number), partition) else { continue }
            let members = partition.inSync.map { "m\(Self.machine($0.node))" }
            let learners = partition.learners.map { "m\(Self.machine($0.node))" }
            lines.append(
                "p\(number): \(reason); epoch \(partition.epoch.rawValue), in sync \(members), "
                    + "learners \(learners), targets \(partition.targets.map { Self.machine($0) })")
            guard let owner = partition.owner,
                let process = machines[Self.machine(owner.node)].process,
                let replica = process.replication?.replicas[PartitionID(number)]
            else { continue }
            lines.append(
                "  m\(Self.machine(owner.node)): end \(replica.log.end), durable \(replica.durable), "
                    + "committed \(replica.committed), \(replica.owner.map { "\($0)" } ?? "does not own it")")
        }
        return lines.joined(separator: "\n")
    }
}
