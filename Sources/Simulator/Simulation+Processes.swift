import ConsensusCore
import ControlCore
import Identifiers
import MembershipCore
import PartitionStore
import PlacementCore
import ReplicationCore
import TimeAndChance

/// Starting, stopping, and carrying out what the cores want.
extension Simulation {
    /// In the cluster that the first machine has founded, which is the only one but in situations.
    static func node(_ machine: Int) -> NodeID { NodeID(rawValue: UInt64(machine + 1)) }
    static func machine(_ node: NodeID) -> Int { Int(node.rawValue) - 1 }

    var cluster: ClusterID { cluster(of: 0) }
    var formats: FormatVersions { FormatVersions(journal: 1, map: 1) }

    func profile(_ machine: Int) -> NodeProfile {
        NodeProfile(
            meshAddress: "m\(machine)",
            clientAddress: settings.whole == nil ? "c\(machine)" : clientAddress(machine), zone: "", weight: 1
        )
    }

    /// The first state: every machine is known, the first few vote, and nobody owns anything yet.
    /// - Returns: the ring of the cluster.
    func found() throws -> HashRing {
        var commands = [try initialization(at: 0)]
        let ring = try ring(of: 0)
        guard settings.isFormed else { return ring }
        for machine in machines.dropFirst() {
            commands.append(
                .register(
                    Registration(
                        cluster: cluster, node: nil, store: machine.disk.store,
                        lastIncarnation: Incarnation(rawValue: 0), profile: profile(machine.index),
                        formats: formats)))
        }
        var state = ClusterState()
        _ = state.apply(ClusterEntry(time: time, commands: commands), at: 1)
        let voters = machines.prefix(settings.voters).map {
            ReplicaID(node: Self.node($0.index), store: $0.disk.store)
        }
        guard let configuration = Raft.Configuration(voters: voters) else {
            throw Violation("these cannot all vote: \(voters)")
        }
        for machine in machines.prefix(settings.voters) {
            machine.disk.raft = Raft.PersistentState(founding: configuration, state: state.encoded())
        }
        checker.decided = state.map
        return ring
    }

    func start(_ index: Int) throws {
        let machine = machines[index]
        guard machine.process == nil, let founder = machine.disk.founder else { return }
        let seed = chance(1...UInt64(UInt32.max))
        let id = ReplicaID(node: node(index, of: founder), store: machine.disk.store)
        let registration = Registration(
            cluster: cluster(of: founder), node: node(index, of: founder), store: machine.disk.store,
            lastIncarnation: machine.disk.incarnation, profile: profile(index), formats: formats)
        var server = try ControlServer(
            id: id, state: machine.disk.raft, settings: raftSettings, seed: seed)
        if let broken = settings.without { server.disable(broken.placement, broken.consensus) }
        // A process believes the clock that it finds; the machine's is right again when one starts.
        whole?.clocks[index].jump = 0
        let process = SimulatedProcess(
            number: nextProcessNumber(), server: server,
            client: ControlClient(
                registration: registration, voters: peers(of: founder), seed: seed),
            controller: Controller(me: id, settings: controllerSettings))
        machine.process = process
        note(
            "m\(index) starts with store \(machine.disk.store.high), "
                + "incarnation \(machine.disk.incarnation.rawValue)"
        )
        events.plan(.tick(machine: index, process: process.number), at: now + chance(1...Self.tickMicros))
    }

    func stop(_ index: Int, _ reason: String) {
        guard let process = machines[index].process else { return }
        note("m\(index) stops: \(reason)")
        machines[index].process = nil
        hangUp(index)
        endHost(index, process)
        // A sync under way may have reached the disk, as a whole or not at all.
        if machines[index].files != nil {
            closeFiles(index, process)
        } else if process.isLaneSyncing, happens(50) {
            storeLane(index, process, process.laneWrites.count / 2 + 1)
        }
        if process.isRaftSyncing, happens(50), let write = process.raftWrites.first {
            machines[index].disk.raft.apply(write)
        }
        for other in machines.indices where other != index { resetLink(index, other) }
        network.reset(index, index)
    }

    func resetLink(_ a: Int, _ b: Int) {
        network.reset(a, b)
        for (one, other) in [(a, b), (b, a)] {
            guard let process = machines[one].process else { continue }
            process.replication?.handleAll(.linkChanged(node(other, seenBy: one)), now: now)
            linkBroke(one, other, process)
            gossip(.linkChanged(node(other, seenBy: one)), one, process)
            take(process.client.handle(.gone(peer(other, seenBy: one))), at: one)
            take(process.server.handle(.gone(peer(other, seenBy: one)), time: time), at: one)
        }
    }

    // MARK: The control plane

    func take(_ output: ControlServer.Output, at index: Int) {
        guard let process = machines[index].process else { return }
        if let fault = output.fault {
            checker.fail("m\(index): consensus contradicts itself: \(fault)")
            return
        }
        process.raftWrites += output.writes
        syncRaft(index, process)
        for message in output.messages {
            send(.raft(message), from: index, to: machine(message.to.node, seenBy: index), isControl: true)
        }
        for (peer, reply) in output.replies {
            send(.reply(reply), from: index, to: machine(peer, seenBy: index), isControl: true)
        }
        watch(at: index) { $0.observe(process.server, at: index) }
        guard output.hasMapChanged, let map = process.server.state.map else { return }
        watch(at: index) { $0.decide(map) }
        take(process.client.handle(.applied(map)), at: index)
    }

    private func syncRaft(_ index: Int, _ process: SimulatedProcess) {
        guard !process.isRaftSyncing, !process.raftWrites.isEmpty else { return }
        process.isRaftSyncing = true
        let count = process.raftWrites.count
        events.plan(
            .raftSynced(machine: index, process: process.number, count: count), at: now + syncMicros(index))
    }

    func raftSynced(_ index: Int, _ number: Int, _ count: Int, _ event: EventQueue.Event) {
        guard let process = running(index, number, event) else { return }
        var last: UInt64 = 0
        for write in process.raftWrites.prefix(count) {
            machines[index].disk.raft.apply(write)
            last = write.number
        }
        process.raftWrites.removeFirst(count)
        process.isRaftSyncing = false
        take(process.server.handle(.persisted(last), time: time), at: index)
        syncRaft(index, process)
    }

    func take(_ effects: [ControlClient.Effect], at index: Int) {
        guard let process = machines[index].process else { return }
        for effect in effects {
            switch effect {
            case .send(let request, let peer):
                send(.request(request), from: index, to: machine(peer, seenBy: index), isControl: true)
            case .persistIncarnation(let life):
                events.plan(
                    .identitySynced(machine: index, process: process.number, life),
                    at: now + syncMicros(index))
            case .registered(let life): begin(life, index, process)
            case .mapChanged:
                publishRoutes(index, process)
                configure(index, process)
            case .refused(let refusal): return refused(index, refusal)
            case .contradiction(let reason): return checker.fail("m\(index): the map goes back: \(reason)")
            case .outcomes(let token, let outcomes):
                if let order = process.orders.removeValue(forKey: token) {
                    answered(order, outcomes, index)
                }
                for (request, outcome) in zip(process.proposals.removeValue(forKey: token) ?? [], outcomes) {
                    note("m\(index): \(request.change) of p\(request.partition.rawValue): \(outcome)")
                    switch outcome {
                    // Only a life that was up is asked for, and one that is no longer up never is again.
                    case .refused(.staleLife), .refused(.notUp):
                        process.replication?.handle(.changeRefused(request), of: request.partition, now: now)
                    default: break
                    }
                }
            case .unknown(let token):
                if let order = process.orders.removeValue(forKey: token) { repeatLater(order, index) }
                for request in process.proposals.removeValue(forKey: token) ?? [] {
                    process.replication?.handle(.changeLost(request), of: request.partition, now: now)
                }
            case .votersChanged: break
            case .handOver(let partition, let epoch, let stage):
                handOver(partition, epoch, stage, index, process)
            }
        }
    }

    private func refused(_ index: Int, _ refusal: Refusal) {
        stop(index, "refused: \(refusal)")
        switch refusal {
        case .otherCluster: checker.fail("D29: m\(index) is refused: \(refusal)")
        case .staleLife, .notUp: events.plan(.start(machine: index), at: now + chance(10_000...500_000))
        default: machines[index].refusal = "\(refusal)"
        }
    }

    // MARK: Replication

    func begin(_ life: NodeLife, _ index: Int, _ process: SimulatedProcess) {
        note("m\(index) is \(life)")
        guard process.replication == nil else { return configure(index, process) }
        guard openFiles(index) else { return }
        process.life = life
        var replication = NodeReplication(me: life)
        for (number, stored) in machines[index].disk.partitions.enumerated() {
            var replica = Replica(
                partition: PartitionID(number), me: life, log: stored.tail,
                promised: max(stored.promised, stored.end.epoch),
                committed: machines[index].files?.applied[number] ?? stored.applied,
                settings: replicationSettings)
            replica.rules = settings.without?.replication ?? .all
            replication.add(replica)
        }
        process.replication = replication
        if whole != nil { beginHost(life, index, process) }
        configure(index, process)
    }

    private var replicationSettings: ReplicationSettings {
        var replication = ReplicationSettings()
        replication.tailBytesMax = settings.extremes.tailBytesMax
        replication.windowBytesMax = settings.extremes.windowBytesMax
        replication.appendBytesMax = settings.extremes.appendBytesMax
        replication.expandAfterMicros = settings.extremes.expandAfterMicros
        // As long as faults happen, nobody takes a silent member for one that will never answer (R20).
        replication.askPatienceMicros = settings.faultyMicros + 5_000_000
        return replication
    }

    private var controllerSettings: Controller.Settings {
        var controller = Controller.Settings()
        controller.planTicks = 8
        controller.awaitTicks = settings.extremes.awaitTicks
        controller.stableTicks = settings.extremes.stableTicks
        var failures = Controller.FailureSettings()
        failures.unreachableTicks = settings.extremes.unreachableTicks
        failures.silentTicks = settings.extremes.silentTicks
        failures.breakerPercent = settings.extremes.breakerPercent
        failures.breakerTicks = 200
        controller.failures = failures
        return controller
    }

    private var raftSettings: Raft.Settings {
        var raft = Raft.Settings()
        raft.compactionBytes = settings.extremes.compactionBytes
        raft.snapshotChunkBytes = settings.extremes.snapshotChunkBytes
        raft.retainedEntries = settings.extremes.retainedEntries
        return raft
    }

    private func configure(_ index: Int, _ process: SimulatedProcess) {
        guard process.life != nil, let map = process.client.map else { return }
        for (number, state) in map.partitions.enumerated() {
            let configuration = PartitionConfiguration(
                epoch: state.epoch, revision: state.revision.rawValue, owner: state.owner,
                inSync: state.inSync, learners: state.learners, leaving: map.leaving(state),
                replaced: map.replaced(state), inSyncMin: map.settings.inSyncMin)
            let partition = PartitionID(number)
            guard process.configured[partition] != configuration else { continue }
            process.configured[partition] = configuration
            process.replication?.handle(.configured(configuration), of: partition, now: now)
        }
        followMembers(map, index, process)
        followOwners(map, index, process)
        finishRound(index)
    }

    /// Carries out what the replicas want until nothing is left.
    func finishRound(_ index: Int) {
        while let process = machines[index].process, let round = process.replication?.finishRound(now: now),
            !round.isEmpty
        {
            if !round.writes.isEmpty { process.laneWrites.append((round.batch, round.writes)) }
            process.node?.noteTimes(of: round.writes)
            if !round.writes.isEmpty {
                machines[index].files?.store?.append(round.writes, batch: round.batch)
            }
            syncLane(index, process)
            for (node, frame) in round.frames {
                send(
                    .replication(frame.encoded(), from: process.replication?.me ?? Self.nobody), from: index,
                    to: machine(node, seenBy: index), isControl: false)
            }
            for (partition, effect) in round.actions { perform(effect, of: partition, at: index, process) }
            let requests = round.actions.compactMap {
                if case .propose(let request) = $1 { request } else { nil }
            }
            propose(requests, index, process)
        }
        if whole != nil { tellHost(index) }
    }

    private static let nobody = NodeLife(
        node: NodeID(rawValue: 0), incarnation: Incarnation(rawValue: 0), store: StoreID(high: 0, low: 0))

    private func syncLane(_ index: Int, _ process: SimulatedProcess) {
        guard !process.isLaneSyncing, !process.laneWrites.isEmpty else { return }
        process.isLaneSyncing = true
        let count = process.laneWrites.count
        events.plan(
            .laneSynced(machine: index, process: process.number, count: count), at: now + syncMicros(index))
    }

    func laneSynced(_ index: Int, _ number: Int, _ count: Int, _ event: EventQueue.Event) {
        guard let process = running(index, number, event) else { return }
        let last = storeLane(index, process, writeJournal(index, process, through: count))
        process.isLaneSyncing = false
        process.replication?.persisted(batch: last, now: now)
        finishRound(index)
        syncLane(index, process)
        checkAcknowledged()
    }

    @discardableResult
    private func storeLane(_ index: Int, _ process: SimulatedProcess, _ count: Int) -> UInt64 {
        var last: UInt64 = 0
        for (batch, writes) in process.laneWrites.prefix(count) {
            for (partition, write) in writes {
                machines[index].disk.partitions[Int(partition.rawValue)].apply(write)
            }
            last = batch
        }
        process.laneWrites.removeFirst(min(count, process.laneWrites.count))
        return last
    }

    private func syncMicros(_ index: Int) -> UInt64 { chance(200...1_200) * machines[index].slowness }

    // MARK: Packets

    func send(_ packet: Packet, from: Int, to: Int, isControl: Bool) {
        let line = SimulatedNetwork.Line(from: from, to: to, isControl: isControl)
        let isLate = happens(isFaulty ? settings.extremes.latePercent : 0)
        let latency = isLate ? chance(1_000...settings.extremes.lateMicrosMax) : chance(100...700)
        guard let (arrival, connection) = network.send(line, at: now, latency: latency) else { return }
        let event = EventQueue.Event.arrive(packet, line: line, connection: connection)
        events.plan(event, at: arrival)
        // A mesh that sends again what it does not know to have arrived may send it twice.
        if case .replication = packet, isFaulty, happens(settings.extremes.repeatedPercent) {
            events.plan(event, at: arrival + chance(100...50_000))
        }
    }
}
