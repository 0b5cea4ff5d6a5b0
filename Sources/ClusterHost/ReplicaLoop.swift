import ActorHost
import ControlCore
import Identifiers
import Logging
import MeshProtocol
import MeshTransport
import PartitionStore
import PlacementCore
import ReplicationCore
import Synchronization
import TimeAndChance

/// Drives the replicas of this node on the event loop of the mesh: feeds `NodeReplication` with what happens
/// and carries out its rounds, in the order that the simulator shows (`Simulation+Hosting.swift`).
actor ReplicaLoop {
    /// Batches on their way to the disk of which the times are kept; between those of more, they are guessed.
    private static let unsyncedMax = 1_024

    /// As for the control plane; also how often what was lost on the way is looked for.
    static let tick = Duration.milliseconds(50)

    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    nonisolated let store: PartitionStore
    nonisolated let inbox: ReplicaInbox
    private nonisolated let listener = Mutex<Listener?>(nil)

    /// A closure that a lock holds by itself is wrapped once more at each use, for ever.
    private struct Listener: Sendable {
        var hear: @Sendable ([PartitionEvent]) -> Void
    }

    let transport: MeshTransport
    let control: ControlDriver
    nonisolated let snapshots: SnapshotDriver
    let logger: Logger
    private let onFailure: @Sendable (MemberFailure) -> Void
    var replication: NodeReplication?
    /// What the replicas begin with; let go of when they do.
    private var logs: [RecoveredLog]
    /// By partition, the latest time of any record that was ever in its log here. Records that were cut off
    /// count too: an owner's time only must not go back behind the last record's.
    var times: [UInt64]
    private var configured: [PartitionID: PartitionConfiguration] = [:]
    /// Who waits for which confirmation of an epoch.
    private var reads: [UInt64: [@Sendable (Bool) -> Void]] = [:]
    private var nextRead: UInt64 = 1
    /// What the host is to hear after the round.
    private var events: [PartitionEvent] = []
    private var isRoundPosted = false
    /// Batches on their way to the disk, and since when.
    private var unsynced: [(batch: UInt64, since: Duration)] = []
    private var tickedAt: Duration?
    /// How the disk and the loop get on.
    private(set) var health = HealthMeter()
    private var timer: MeshTimer?
    private let settings: ReplicationSettings
    /// For tests: the rules that the replicas keep.
    private let rules: ReplicationRules

    /// - Parameter store: opened for replicas, and not started.
    init(
        _ store: PartitionStore, control: ControlDriver,
        settings: ReplicationSettings = ReplicationSettings(),
        rules: ReplicationRules = .all, logger: Logger,
        onFailure: @escaping @Sendable (MemberFailure) -> Void
    ) {
        self.store = store
        self.control = control
        self.settings = settings
        self.rules = rules
        self.logger = logger
        self.onFailure = onFailure
        transport = control.transport
        loop = control.loop
        inbox = ReplicaInbox(on: loop)
        snapshots = SnapshotDriver(store, transport: control.transport, logger: logger)
        let partitions = (0..<store.identity.ring.partitionCount).map { PartitionID($0) }
        logs = partitions.map { store.recoveredLog(of: $0) }
        times = partitions.map { store.logEnd(of: $0).time }
    }

    // MARK: Beginning and ending

    /// - Parameter onEvents: called on the loop.
    nonisolated func begin(onEvents: @escaping @Sendable ([PartitionEvent]) -> Void) {
        listener.withLock { $0 = Listener(hear: onEvents) }
        inbox.listen { [weak self] in self?.assumeIsolated { $0.takeInbox() } }
    }

    nonisolated func failed(_ error: StoreError) { onFailure(.store(error)) }

    func start() {
        listenToSnapshots()
        timer = transport.assumeIsolated { transport in
            transport.schedule(after: Self.tick, every: Self.tick) { [weak self] _ in
                self?.assumeIsolated { $0.ticked() }
            }
        }
    }

    /// The replicas of this process say and do nothing any more.
    func stop() {
        if let timer { transport.assumeIsolated { $0.cancel(timer) } }
        timer = nil
        replication = nil
        snapshots.assumeIsolated { $0.stop() }
        inbox.close()
        for id in reads.keys.sorted() { answer(id, false) }
    }

    /// The process may take part from now on (R12), by a map that may stay as it is for a long time.
    func registered(_ life: NodeLife, _ map: ClusterMap) {
        var replication = NodeReplication(me: life)
        for (number, log) in logs.enumerated() {
            var replica = Replica(
                partition: PartitionID(number), me: life, log: log.tail, promised: log.promised,
                committed: log.applied, settings: settings)
            replica.rules = rules
            replication.add(replica)
        }
        logs = []
        self.replication = replication
        follow(map)
    }

    /// How far a partition's log here is on this disk.
    func durable(_ partition: PartitionID) -> LogPosition {
        replication?.replicas[partition]?.durable ?? .zero
    }

    /// How far it is known to be committed.
    func committed(_ partition: PartitionID) -> LogPosition {
        replication?.replicas[partition]?.committed ?? .zero
    }

    var now: UInt64 { UInt64(max(0, EventLoop.now.wholeMicroseconds)) }

    // MARK: What happens

    func follow(_ map: ClusterMap) {
        guard replication != nil else { return }
        for (number, state) in map.partitions.enumerated() {
            let configuration = PartitionConfiguration(
                epoch: state.epoch, revision: state.revision.rawValue, owner: state.owner,
                inSync: state.inSync, learners: state.learners, leaving: map.leaving(state),
                replaced: map.replaced(state), inSyncMin: map.settings.inSyncMin)
            let partition = PartitionID(number)
            guard configured[partition] != configuration else { continue }
            configured[partition] = configuration
            replication?.handle(.configured(configuration), of: partition, now: now)
        }
        finishSoon()
    }

    func linkChanged(_ node: NodeID) {
        replication?.handleAll(.linkChanged(node), now: now)
        finishSoon()
    }

    func received(_ frame: Frame, from peer: MeshPeer) {
        guard replication != nil else { return }
        let life = NodeLife(node: peer.node, incarnation: peer.incarnation, store: peer.store)
        do {
            replication?.receive(try ReplicationFrame.decode(frame.payload), from: life, now: now)
        } catch {
            logger.error("node \(peer.node.rawValue) sent records that cannot be read: \(error)")
        }
        finishSoon()
    }

    private func ticked() {
        let time = EventLoop.now
        health.tick(
            late: tickedAt.map { time - $0 - Self.tick } ?? .zero,
            waiting: unsynced.first.map { time - $0.since })
        tickedAt = time
        let health = health
        control.assumeIsolated { $0.note(health) }
        replication?.handleAll(.tick, now: now)
        snapshots.assumeIsolated { $0.ticked() }
        finishRound()
    }

    private func synced(_ batch: UInt64) {
        let time = EventLoop.now
        guard let last = unsynced.lastIndex(where: { $0.batch <= batch }) else { return }
        // They went to the disk together; the first has waited longest.
        health.synced(after: time - unsynced[0].since)
        unsynced.removeSubrange(...last)
    }

    private func takeInbox() {
        let content = inbox.take()
        guard replication != nil else {
            for read in content.reads { read.reply(false) }
            return
        }
        if content.persisted > 0 {
            synced(content.persisted)
            replication?.persisted(batch: content.persisted, now: now)
        }
        append(content.records)
        for (partition, event) in content.logs { replication?.handle(event, of: partition, now: now) }
        confirm(content.reads)
        finishRound()
    }

    /// Hands the host's records to the replicas that own their epoch; the others are of an epoch that is
    /// over.
    private func append(_ records: [SealedRecord]) {
        var index = 0
        while index < records.count {
            let partition = records[index].partition
            let epoch = replication?.replicas.ownedEpoch(of: partition)
            var run: [LogRecord] = []
            while index < records.count, records[index].partition == partition {
                if records[index].epoch == epoch { run.append(LogRecord(records[index])) }
                index += 1
            }
            if !run.isEmpty { replication?.handle(.append(run), of: partition, now: now) }
        }
    }

    /// Readers of one partition that come together ask together.
    private func confirm(_ wanted: [(partition: PartitionID, reply: @Sendable (Bool) -> Void)]) {
        var replies: [PartitionID: [@Sendable (Bool) -> Void]] = [:]
        for read in wanted { replies[read.partition, default: []].append(read.reply) }
        for partition in replies.keys.sorted() {
            reads[nextRead] = replies[partition]
            replication?.handle(.confirmRead(nextRead), of: partition, now: now)
            nextRead += 1
        }
    }

    private func answer(_ read: UInt64, _ isConfirmed: Bool) {
        for reply in reads.removeValue(forKey: read) ?? [] { reply(isConfirmed) }
    }

    // MARK: Rounds

    /// Ends the round after everything else that the loop has read together.
    func finishSoon() {
        guard !isRoundPosted else { return }
        isRoundPosted = true
        loop.post { [weak self] in self?.assumeIsolated { $0.finishRound() } }
    }

    /// Carries out what the replicas want until nothing is left.
    func finishRound() {
        isRoundPosted = false
        while let round = replication?.finishRound(now: now), !round.isEmpty {
            if !round.writes.isEmpty { write(round) }
            for (node, frame) in round.frames {
                let frame = Frame(ClusterFrames.replication, frame.encoded())
                // What the mesh does not take is lost like anything on the way, and sent again after a while.
                transport.assumeIsolated { _ = $0.send(frame, to: node, on: .data) }
            }
            var marks: [DurableMark] = []
            for (partition, effect) in round.actions {
                if case .committed(let position) = effect {
                    marks.append(DurableMark(partition: partition, position: position))
                }
                perform(effect, of: partition)
            }
            if !marks.isEmpty { store.commit(marks) }
            propose(round.actions.compactMap { if case .propose(let request) = $1 { request } else { nil } })
        }
        guard !events.isEmpty else { return }
        let told = events
        events = []
        listener.withLock { $0 }?.hear(told)
    }

    private func write(_ round: NodeReplication.Round) {
        for (partition, write) in round.writes {
            guard case .append(let records) = write, let last = records.last else { continue }
            let index = Int(partition.rawValue)
            times[index] = max(times[index], last.time)
        }
        store.append(round.writes, batch: round.batch)
        if unsynced.count < Self.unsyncedMax { unsynced.append((round.batch, EventLoop.now)) }
    }

    private func perform(_ effect: ReplicaEffect, of partition: PartitionID) {
        switch effect {
        case .committed(let position):
            if replication?.replicas.ownedEpoch(of: partition) != nil {
                events.append(.committed(partition, position))
            }
        case .lead(let epoch, let mark):
            let end = LogEnd(
                epoch: mark.epoch, position: mark.position, hash: mark.hash,
                time: times[Int(partition.rawValue)])
            events.append(.lead(partition, epoch, after: end))
        case .serve(let epoch):
            logger.info("this node serves partition \(partition.rawValue) in epoch \(epoch.rawValue)")
            events.append(.serve(partition, epoch))
        case .standDown(let epoch):
            logger.info("this node no longer owns partition \(partition.rawValue), epoch \(epoch.rawValue)")
            events.append(.standDown(partition, epoch))
            snapshots.assumeIsolated { $0.standDown(partition) }
        case .readLog(let replica, let position, let bytesMax):
            store.readLog(of: partition, after: position, bytesMax: bytesMax) { [inbox] records in
                inbox.logRead(partition, .logRead(for: replica, after: position, records: records))
            }
        case .sendSnapshot(let replica): sendSnapshot(to: replica, of: partition)
        case .readConfirmed(let read): answer(read, true)
        case .readLost(let read): answer(read, false)
        case .damaged(let reason):
            logger.critical(
                "partition \(partition.rawValue) of this node is damaged (\(reason)) and waits for a snapshot"
            )
        case .installSnapshot: snapshots.assumeIsolated { $0.install(partition) }
        case .discardSnapshot: snapshots.assumeIsolated { $0.discard(partition) }
        case .handOver(let life, let revision): handOver(partition, revision, to: life)
        case .persist, .send, .propose: break
        }
    }

    /// What becomes of it shows in the map, and the replica asks again for as long as it must (R20).
    private func handOver(_ partition: PartitionID, _ revision: UInt64, to life: NodeLife) {
        logger.warning(
            """
            node \(life.node.rawValue) has more of partition \(partition.rawValue) than this node and is to \
            own it; if this node's directory was restored from an image or a copy, stop it, and let it begin \
            with an empty one
            """)
        control.assumeIsolated {
            $0.propose([.promote(partition, Revision(rawValue: revision), to: life)]) { _ in }
        }
    }

    /// What the replicas ask for in one round goes into one entry.
    private func propose(_ requests: [MembershipRequest]) {
        guard !requests.isEmpty else { return }
        let commands = requests.map { request in
            logger.info("this node proposes \(request.change) for partition \(request.partition.rawValue)")
            return Command.changeInSync(
                request.partition, request.epoch, Revision(rawValue: request.revision), request.change)
        }
        control.assumeIsolated { control in
            control.propose(commands) { [weak self] outcomes in
                self?.assumeIsolated { $0.proposed(requests, outcomes) }
            }
        }
    }

    private func proposed(_ requests: [MembershipRequest], _ outcomes: [Outcome]?) {
        guard let outcomes else {
            for request in requests {
                replication?.handle(.changeLost(request), of: request.partition, now: now)
            }
            return
        }
        for (request, outcome) in zip(requests, outcomes) {
            switch outcome {
            // Only a life that was up is asked for, and one that is no longer up never is again.
            case .refused(.staleLife), .refused(.notUp):
                replication?.handle(.changeRefused(request), of: request.partition, now: now)
            default: break
            }
        }
        finishSoon()
    }
}
