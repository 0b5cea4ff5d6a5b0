import ActorHost
import Apus
import ControlCore
import Identifiers
import Logging
import PartitionStore
import PlacementCore
import ReplicationCore
import TimeAndChance

/// Real hosts: what `ReplicaLoop` and a node's threads do around them, with the seed in place of threads.
extension Simulation {
    func beginHost(_ life: NodeLife, _ index: Int, _ process: SimulatedProcess) {
        guard let whole, process.node == nil else { return }
        let machine = machines[index]
        let identity = StoreIdentity(
            .member, cluster: cluster, node: life.node, store: life.store, incarnation: life.incarnation,
            ring: whole.ring)
        let store = SimulatedStore(identity, on: machine)
        let carrier = SimulatedCarrier(process: process.number)
        let port = WorldPort(machine: index, process: process.number)
        var hosting = HostSettings(
            shards: whole.plan.shards, idleOverride: .microseconds(Int64(clamping: whole.plan.idleMicros)),
            fullQueuePatience: .seconds(1_000_000))
        hosting.steppedSeed = chance(1...UInt64(UInt32.max))
        hosting.rules = settings.without?.host ?? .all
        let kinds = (try? RegistryReader.kinds(of: Bank(port: port))) ?? []
        let host = ActorHost(
            kinds: kinds, store: store, clock: whole.clocks[index], settings: hosting, carrier: carrier,
            logger: logger(index)
        ) { _ in }
        process.node = WholeNode(
            host: host, store: store, carrier: carrier, port: port,
            times: machine.disk.partitions.map(\.time))
    }

    /// What hosts log is of interest only to people who follow one run.
    private func logger(_ index: Int) -> Logger {
        var logger = Logger(label: "m\(index)") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        return logger
    }

    /// The process has ended, or the simulation: nothing of the host reaches anybody any more.
    func endHost(_ index: Int, _ process: SimulatedProcess) {
        guard let node = process.node else { return }
        process.node = nil
        node.store.end()
        node.carrier.end()
        node.port.close()
        whole?.world.drop(machine: index, process: process.number)
        node.host.dissolve()
    }

    // MARK: Replicas and host

    /// - Returns: whether that was all.
    func note(
        _ effect: ReplicaEffect, of partition: PartitionID, at index: Int, _ process: SimulatedProcess,
        _ node: WholeNode
    ) -> Bool {
        switch effect {
        case .committed(let position): committed(position, partition, index, process, node)
        case .lead(let epoch, let mark):
            let end = LogEnd(
                epoch: mark.epoch, position: mark.position, hash: mark.hash,
                time: node.times[Int(partition.rawValue)])
            node.events.append(.lead(partition, epoch, after: end))
        case .serve(let epoch):
            checker.serve(partition, epoch, by: index, process.number)
            note("m\(index) serves p\(partition.rawValue) in epoch \(epoch.rawValue)")
            node.events.append(.serve(partition, epoch))
        case .standDown(let epoch):
            note("m\(index) no longer owns p\(partition.rawValue), epoch \(epoch.rawValue)")
            node.events.append(.standDown(partition, epoch))
        case .readConfirmed(let id): node.reads.removeValue(forKey: id)?(true)
        case .readLost(let id): node.reads.removeValue(forKey: id)?(false)
        default: return false
        }
        return true
    }

    private func committed(
        _ position: LogPosition, _ partition: PartitionID, _ index: Int, _ process: SimulatedProcess,
        _ node: WholeNode
    ) {
        guard let replica = process.replication?.replicas[partition] else { return }
        report.commits += 1
        let stored = machines[index].disk.partitions[Int(partition.rawValue)]
        let safe = min(position, replica.durable)
        if let hash = stored.hash(at: safe) { checker.committed(partition, safe, hash, by: index) }
        while let next = whole?.committed[partition].position.next, next <= safe,
            let record = stored.record(at: next)
        {
            whole?.committed.commit(record, of: partition, now: time.rawValue)
        }
        if let failure = whole?.committed.failure { checker.fail(failure) }
        node.store.commit(position, of: partition)
        if replica.owner != nil { node.events.append(.committed(partition, position)) }
        planApply(index, process, node, isUrgent: false)
    }

    /// Hands the host what the replicas had to say in a round.
    func tellHost(_ index: Int) {
        guard let node = machines[index].process?.node, !node.events.isEmpty else { return }
        let events = node.events
        node.events = []
        node.store.onEvents?(events)
    }

    // MARK: Tables

    private func planApply(_ index: Int, _ process: SimulatedProcess, _ node: WholeNode, isUrgent: Bool) {
        guard !node.isApplyPlanned, let plan = whole?.plan else { return }
        node.isApplyPlanned = true
        let delay = chance(50...(isUrgent ? 500 : plan.applyMicrosMax))
        events.plan(.apply(machine: index, process: process.number), at: now + delay)
    }

    func applyTables(_ index: Int, _ number: Int, _ event: EventQueue.Event) {
        guard let process = running(index, number, event), let node = process.node else { return }
        node.isApplyPlanned = false
        node.store.wantsApply = false
        if let store = machines[index].files?.store { while store.stepTables(isRound: true) {} }
        var marks: [DurableMark] = []
        for number in 0..<settings.partitions {
            let partition = PartitionID(number)
            guard let replica = process.replication?.replicas[partition] else { continue }
            let safe = min(replica.committed, replica.durable)
            let before = machines[index].disk.partitions[number].applied
            guard safe > before else { continue }
            machines[index].disk.partitions[number].apply(through: safe)
            let applied = machines[index].disk.partitions[number].applied
            marks.append(DurableMark(partition: partition, position: applied))
        }
        if !marks.isEmpty { node.store.onApplied?(marks) }
    }

    // MARK: Rounds

    /// Makes sure that the host's threads get to what there is for them.
    func wakeHost(_ index: Int) {
        guard index < machines.count, let process = machines[index].process, let node = process.node else {
            return
        }
        let round = EventQueue.Event.hostRound(machine: index, process: process.number)
        if node.hasWork {
            guard !node.isRoundPlanned else { return }
            node.isRoundPlanned = true
            events.plan(round, at: now + chance(1...60))
        } else if let due = node.dueAt {
            let at = max(now + 1, due)
            guard at < node.wakeAt else { return }
            node.wakeAt = at
            events.plan(round, at: at)
        }
    }

    /// One round of each shard, or of most of them, and of the loop of the replicas.
    func hostRound(_ index: Int, _ number: Int, _ event: EventQueue.Event) {
        guard let process = running(index, number, event), let node = process.node, let plan = whole?.plan
        else { return }
        node.isRoundPlanned = false
        if node.wakeAt <= now { node.wakeAt = .max }
        var shards = Array(0..<node.host.shardCount)
        if happens(50) { shards.reverse() }
        let isDue = node.dueAt.map { $0 <= now } ?? false
        var isLeftOut = false
        for shard in shards where isDue || node.host.hasWork(shard) {
            if happens(plan.laggingPercent) { isLeftOut = true } else { node.host.step([shard]) }
        }
        node.dueAt = node.host.nextDue()
        // What is due by a clock that jumped and not by its partition's time would else be tried at each
        // microsecond.
        if !isLeftOut, let due = node.dueAt, due <= now { node.dueAt = now + 1_000 }
        takeEffects(index, process, node)
        takeMail(index, process, node)
        takeReplies(index, process, node)
        takeRecords(index, process, node)
        if node.store.wantsApply {
            node.store.wantsApply = false
            planApply(index, process, node, isUrgent: true)
        }
    }

    /// Like `ReplicaLoop.takeInbox`.
    private func takeRecords(_ index: Int, _ process: SimulatedProcess, _ node: WholeNode) {
        guard node.store.hasNews else { return }
        let records = node.store.takeRecords()
        var place = 0
        while place < records.count {
            let partition = records[place].partition
            let epoch = process.replication?.replicas[partition]?.owner?.epoch
            var run: [LogRecord] = []
            while place < records.count, records[place].partition == partition {
                node.epochs[partition] = records[place].epoch
                if records[place].epoch == epoch { run.append(LogRecord(records[place])) }
                place += 1
            }
            if !run.isEmpty { process.replication?.handle(.append(run), of: partition, now: now) }
        }
        for read in node.store.takeReads() {
            let id = process.nextToken
            process.nextToken += 1
            node.reads[id] = read.reply
            process.replication?.handle(.confirmRead(id), of: read.partition, now: now)
        }
        finishRound(index)
    }
}
