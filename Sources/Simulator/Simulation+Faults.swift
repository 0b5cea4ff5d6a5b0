import ConsensusCore
import ControlCore
import Identifiers
import PlacementCore
import ReplicationCore

/// What goes wrong. Damage is limited to what the cluster promises to survive; anything more would only show
/// that two lost copies are two lost copies.
extension Simulation {
    /// - Returns: whether anything happened.
    func happen(_ kind: FaultKind) -> Bool {
        let machine = machines[Int(chance(0...UInt64(machines.count - 1)))]
        let index = machine.index
        mark(UInt64(index), now)
        switch kind {
        case .crash:
            guard machine.process != nil else { return false }
            stop(index, "it crashes")
            events.plan(.start(machine: index), at: now + chance(1_000...4_000_000))
        case .wipe:
            guard maySpare(index) else { return false }
            stop(index, "its disk is lost")
            replaceDisk(index)
        case .image: machine.image = machine.disk
        case .rollback:
            guard rollBack(machine) else { return false }
        case .pause:
            guard let process = machine.process else { return false }
            process.pausedUntil = now + chance(10_000...3_000_000)
        case .cut: cut()
        case .reset:
            let other = Int(chance(0...UInt64(machines.count - 1)))
            guard other != index else { return false }
            resetLink(index, other)
        case .slowDisk: machine.slowness = happens(50) ? 1 : chance(2...2_000)
        case .falseAlarm:
            guard alarm(index) else { return false }
        case .election:
            guard stand(machine) else { return false }
        case .trim: trim(index)
        case .setBack:
            guard setBack(machine) else { return false }
        case .leave:
            guard let process = machine.process, process.leavesAt == nil else { return false }
            process.leavesAt = now + chance(100_000...4_000_000)
            process.client.condition.isLeaving = true
        case .drain:
            guard drain(index) else { return false }
        case .clockJump:
            guard setClock(index) else { return false }
        }
        count(kind)
        note("fault: \(kind.rawValue) m\(index)")
        return true
    }

    /// An image of the last life that was confirmed cannot be told from the disk itself, and is not promised
    /// to be (R15). Consensus keeps its log: a voter that forgets its votes is outside of what Raft promises,
    /// and it votes before anybody can refuse it.
    private func rollBack(_ machine: SimulatedMachine) -> Bool {
        guard var image = machine.image, let node = checker.decided?[Self.node(machine.index)],
            image.store == machine.disk.store, image.store == node.store,
            image.incarnation < node.disk.persisted, maySpare(machine.index)
        else { return false }
        stop(machine.index, "its disk goes back to an earlier state")
        image.raft = machine.disk.raft
        machine.disk = image
        machine.image = nil
        events.plan(.start(machine: machine.index), at: now + chance(1_000...2_000_000))
        return true
    }

    /// The disk goes back to an image of the same life, which looks like the disk of a process that crashed
    /// (R20). Only where the disk could be lost altogether; and while it lacks what it had, it counts as
    /// lost. The others answer before an owner's patience with them ends, which is longer than faults last.
    private func setBack(_ machine: SimulatedMachine) -> Bool {
        guard machine.files == nil else { return false }
        guard var image = machine.liveImage, image.store == machine.disk.store,
            image.incarnation == machine.disk.incarnation
        else {
            machine.liveImage = machine.disk
            return true
        }
        guard maySpare(machine.index) else { return false }
        stop(machine.index, "its disk goes back to an earlier state of the same life")
        for (number, stored) in machine.disk.partitions.enumerated() {
            let partition = PartitionID(number)
            machine.lostEnds[partition] = machine.lostEnd(of: partition) ?? stored.end
        }
        image.raft = machine.disk.raft
        machine.disk = image
        machine.liveImage = nil
        events.plan(.start(machine: machine.index), at: now + chance(1_000...2_000_000))
        return true
    }

    /// A leader tells another voter to stand for election although it need not have the whole log.
    private func stand(_ machine: SimulatedMachine) -> Bool {
        guard let leader = machines.first(where: { $0.process?.server.isLeader == true }),
            let raft = leader.process?.server.raft, machine.index != leader.index,
            let target = raft.configuration.voters.first(where: { Self.machine($0.node) == machine.index })
        else { return false }
        let message = Raft.Message(from: raft.id, to: target, term: raft.term, body: .timeoutNow)
        send(.raft(message), from: leader.index, to: machine.index, isControl: true)
        return true
    }

    func replaceDisk(_ index: Int) {
        machines[index].disk = emptyDisk()
        machines[index].files = emptyFiles()
        machines[index].image = nil
        machines[index].lostEnds = [:]
        machines[index].refusal = nil
        events.plan(.start(machine: index), at: now + chance(1_000...2_000_000))
    }

    func isIntact(_ replica: ReplicaID) -> Bool {
        let machine = machines[Self.machine(replica.node)]
        return machine.disk.store == replica.store && machine.refusal == nil
            && !checker.isRolledBack(machine) && !machine.isSetBack
    }

    /// Whether every partition and the control plane outlive the loss of this disk, whenever somebody
    /// notices: in every in-sync set another disk must be whole, also in those that are asked for.
    func maySpare(_ index: Int) -> Bool {
        guard let map = checker.decided else { return false }
        let node = Self.node(index)
        func isLeft(_ members: [ReplicaID]) -> Bool {
            members.contains { $0.node != node && isIntact($0) }
        }
        for (number, partition) in map.partitions.enumerated() where partition.inSync.holds(node) {
            let dropped = requested[PartitionID(number)]?.dropped(at: partition) ?? []
            for former in dropped + [nil] {
                guard isLeft(partition.inSync.filter { $0 != former }) else { return false }
            }
        }
        // Under any configuration that some voter still goes by, or may be about to: who has answered the
        // question for a change is counted on.
        for configuration in machines.flatMap(configurations(of:)) {
            for promoted in configuration.learners.map({ [$0] }) + [[]] {
                let voters = configuration.voters + promoted
                guard voters.contains(where: { $0.node == node }) else { continue }
                guard voters.count(where: { $0.node != node && isIntact($0) }) * 2 > voters.count else {
                    return false
                }
            }
        }
        return true
    }

    private func configurations(of machine: SimulatedMachine) -> [Raft.Configuration] {
        if let raft = machine.process?.server.raft {
            return [raft.configuration] + (raft.askedConfiguration.map { [$0] } ?? [])
        }
        let state = machine.disk.raft
        for entry in state.entries.reversed() {
            if case .configuration(let configuration) = entry.payload { return [configuration] }
        }
        return [state.snapshot.configuration]
    }

    private func cut() {
        if !network.cuts.isEmpty, happens(70) { return healNetwork() }
        let all = Array(machines.indices)
        let side = all.filter { _ in happens(40) }
        let isOneWay = happens(30)
        for one in side {
            for other in all where !side.contains(other) {
                network.cut(one, other)
                if !isOneWay { network.cut(other, one) }
            }
        }
        note("the network is cut: \(side)\(isOneWay ? " are not heard" : "")")
    }

    func healNetwork() {
        let pairs = Set(network.cuts.map { $0.sorted() }).sorted { $0.lexicographicallyPrecedes($1) }
        network.heal()
        for pair in pairs { resetLink(pair[0], pair[1]) }
        note("the network is whole")
    }

    func trim(_ index: Int) {
        guard let process = machines[index].process, let replication = process.replication else { return }
        for replica in replication.replicas.all {
            let safe = min(replica.committed, replica.durable)
            machines[index].disk.partitions[Int(replica.partition.rawValue)].trim(through: safe)
        }
    }

    func heal() {
        isFaulty = false
        note("everything is healed")
        healNetwork()
        for machine in machines {
            machine.slowness = 1
            machine.process?.pausedUntil = now
            if machine.process == nil { events.plan(.start(machine: machine.index), at: now + 1) }
        }
    }
}
