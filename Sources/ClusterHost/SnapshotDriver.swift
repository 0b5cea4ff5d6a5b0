import Identifiers
import Logging
import MeshProtocol
import MeshTransport
import PartitionStore
import ReplicationCore

/// Carries whole partitions between nodes, for replicas that the journal does not reach back to
/// (`cluster.md` 2.6.6), on a lane of their own. Lives on the event loop of the mesh.
actor SnapshotDriver {
    /// What the replicas of this node say and hear; all on the loop.
    struct Replicas: Sendable {
        /// Whether the replica here needs such a snapshot, and whether what it has is of no worth.
        var wants: @Sendable (SnapshotHeader) -> (isWanted: Bool, isDamaged: Bool)
        /// A snapshot is here, whole and proven; `install` or `discard` is to follow.
        var isWhole: @Sendable (SnapshotHeader) -> Void
        /// What became of `install`.
        var isInstalled: @Sendable (SnapshotHeader, Bool) -> Void
        /// The stream to a replica has ended, well or not.
        var isSent: @Sendable (ReplicaID, PartitionID) -> Void
    }

    struct Limits: Sendable {
        /// Snapshots that leave at the same time; others wait for their turn.
        var outgoingMax = 2
        /// Snapshots that come in at the same time; others are told to come again.
        var incomingMax = 4
        /// How long the journal is kept behind a snapshot that has arrived, until the replica is fed from it.
        var pinTicks = 1_200
        /// A stream that failed is not begun again before that.
        var pause = Duration.seconds(1)

        init() {}
    }

    private struct Wish {
        var partition: PartitionID
        var replica: ReplicaID
        var epoch: Epoch
        var epochs: [EpochStart]
    }

    private struct Outgoing {
        var replica: ReplicaID
        var sender: SnapshotSender
        var reader: SnapshotReader
    }

    private struct Incoming {
        var node: NodeID
        var receiver: SnapshotReceiver
        var writer: SnapshotWriter
        /// It has arrived, and ends by itself.
        var isWhole = false
    }

    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    private let transport: MeshTransport
    private let store: PartitionStore
    private let limits: Limits
    private let logger: Logger
    private var replicas: Replicas?
    private var wishes: [Wish] = []
    /// Being taken; their tables are held from then on.
    private var exporting: [PartitionID: ReplicaID] = [:]
    private var outgoing: [UInt64: Outgoing] = [:]
    private var incoming: [PartitionID: Incoming] = [:]
    /// Snapshots that were put in place since the start.
    private(set) var receivedCount = 0
    /// Snapshots for others that came to an end, well or not, since the start.
    private(set) var endedCount = 0
    private var pins: [(pin: JournalPin, ticksLeft: Int)] = []

    init(_ store: PartitionStore, transport: MeshTransport, limits: Limits = Limits(), logger: Logger) {
        self.store = store
        self.transport = transport
        loop = transport.loop
        self.limits = limits
        self.logger = logger
    }

    func begin(_ replicas: Replicas) { self.replicas = replicas }

    func stop() {
        replicas = nil
        wishes = []
        for id in outgoing.keys.sorted() { outgoing.removeValue(forKey: id)?.reader.end() }
        for partition in incoming.keys.sorted() { incoming.removeValue(forKey: partition)?.writer.cancel() }
        pins = []
    }

    // MARK: The owner's side

    /// - Parameter epochs: where epochs begin, as the owner's replica knows it.
    func send(_ partition: PartitionID, to replica: ReplicaID, in epoch: Epoch, epochs: [EpochStart]) {
        wishes.removeAll { $0.partition == partition && $0.replica == replica }
        wishes.append(Wish(partition: partition, replica: replica, epoch: epoch, epochs: epochs))
        exportNext()
    }

    /// Whoever is not there waits for its connection, and keeps nobody else waiting.
    private func isLinked(_ node: NodeID) -> Bool {
        transport.assumeIsolated { $0.peer(node, on: .bulk) != nil }
    }

    private func exportNext() {
        while outgoing.count + exporting.count < limits.outgoingMax,
            let place = wishes.firstIndex(where: {
                exporting[$0.partition] == nil && isLinked($0.replica.node)
            })
        {
            let wish = wishes.remove(at: place)
            exporting[wish.partition] = wish.replica
            store.exportSnapshot(of: wish.partition, epoch: wish.epoch, epochs: wish.epochs) {
                [weak self, loop] result in
                loop.post { [weak self] in self?.assumeIsolated { $0.exported(wish, result) } }
            }
        }
    }

    private func exported(_ wish: Wish, _ result: Result<SnapshotReader, SnapshotError>) {
        guard exporting[wish.partition] == wish.replica else { return }
        exporting[wish.partition] = nil
        switch result {
        case .success(let reader):
            guard replicas != nil else { return reader.end() }
            let header = reader.header
            logger.info(
                "sending partition \(wish.partition.rawValue) up to \(header.mark) to \(wish.replica)",
                metadata: ["bytes": "\(header.byteCount)"])
            outgoing[header.id] = Outgoing(
                replica: wish.replica, sender: SnapshotSender(header), reader: reader)
            if isLinked(wish.replica.node) { handle(.linkUp, of: header.id) }
        case .failure(let error):
            logger.error("no snapshot of partition \(wish.partition.rawValue) for \(wish.replica): \(error)")
            tell(wish.replica, wish.partition, isInstalled: false)
            exportNext()
        }
    }

    private func handle(_ event: SnapshotSender.Event, of id: UInt64) {
        guard let effects = outgoing[id]?.sender.handle(event), let stream = outgoing[id] else { return }
        for effect in effects {
            switch effect {
            case .send(let message):
                let frame = Frame(ClusterFrames.snapshot, message.encoded())
                // What the mesh does not take is found missing, and offered again.
                transport.assumeIsolated { _ = $0.send(frame, to: stream.replica.node, on: .bulk) }
            case .read(let chunk):
                stream.reader.read(chunk) { [weak self, loop] result in
                    loop.post { [weak self] in self?.assumeIsolated { $0.read(result, of: id) } }
                }
            case .ended(let outcome): ended(id, outcome)
            }
        }
    }

    private func read(_ result: Result<SnapshotChunk, SnapshotError>, of id: UInt64) {
        switch result {
        case .success(let chunk): handle(.chunk(chunk), of: id)
        case .failure(let error):
            guard let stream = outgoing[id] else { return }
            logger.warning("partition \(stream.reader.header.partition.rawValue) cannot be sent: \(error)")
            handle(.broken, of: id)
        }
    }

    private func ended(_ id: UInt64, _ outcome: SnapshotSender.Outcome) {
        guard let stream = outgoing.removeValue(forKey: id) else { return }
        let partition = stream.reader.header.partition
        logger.info("partition \(partition.rawValue) for \(stream.replica): \(outcome)")
        stream.reader.end()
        endedCount += 1
        if outcome == .installed { pins.append((stream.reader.journal, limits.pinTicks)) }
        tell(stream.replica, partition, isInstalled: outcome == .installed)
        exportNext()
    }

    private func tell(_ replica: ReplicaID, _ partition: PartitionID, isInstalled: Bool) {
        if isInstalled {
            replicas?.isSent(replica, partition)
            return
        }
        transport.assumeIsolated { transport in
            _ = transport.schedule(after: limits.pause) { [weak self] _ in
                self?.assumeIsolated { $0.replicas?.isSent(replica, partition) }
            }
        }
    }

    /// This process does not own the partition any more; its snapshots are of an epoch that is over.
    func standDown(_ partition: PartitionID) {
        wishes.removeAll { $0.partition == partition }
        exporting[partition] = nil
        for id in outgoing.keys.sorted() where outgoing[id]?.reader.header.partition == partition {
            guard let stream = outgoing.removeValue(forKey: id) else { continue }
            stream.reader.end()
            let frame = Frame(ClusterFrames.snapshot, SnapshotMessage.end(partition, id: id).encoded())
            transport.assumeIsolated { _ = $0.send(frame, to: stream.replica.node, on: .bulk) }
        }
        exportNext()
    }

    // MARK: The replica's side

    func received(_ frame: Frame, from node: NodeID) {
        do {
            if frame.kind == ClusterFrames.snapshotAnswer {
                let answer = try SnapshotAnswer.decode(frame.payload)
                if outgoing[answer.id]?.replica.node == node { handle(.answer(answer), of: answer.id) }
                return
            }
            let message = try SnapshotMessage.decode(frame.payload)
            if case .offer(let header) = message, incoming[header.partition]?.receiver.header.id != header.id
            {
                if let refusal = begin(header, from: node) {
                    return answer(
                        SnapshotAnswer(header.partition, id: header.id, .refused(refusal)), to: node)
                }
            }
            guard incoming[message.partition]?.node == node else { return }
            handle(.message(message), of: message.partition)
        } catch {
            logger.error("node \(node.rawValue) sent a part of a snapshot that cannot be read: \(error)")
        }
    }

    private func begin(_ header: SnapshotHeader, from node: NodeID) -> SnapshotAnswer.Refusal? {
        guard let need = replicas?.wants(header), need.isWanted else { return .notWanted }
        // A newer one, or another owner's: the one before will not be completed.
        if let old = incoming[header.partition], !old.isWhole {
            incoming[header.partition] = nil
            old.writer.cancel()
        }
        guard incoming[header.partition] == nil, incoming.count < limits.incomingMax else { return .busy }
        do throws(SnapshotError) {
            let writer = try store.importSnapshot(header, replacingDamaged: need.isDamaged)
            incoming[header.partition] = Incoming(
                node: node, receiver: SnapshotReceiver(header), writer: writer)
            logger.info("partition \(header.partition.rawValue) comes from node \(node.rawValue)")
            return nil
        } catch {
            logger.info("no snapshot of partition \(header.partition.rawValue) is taken: \(error)")
            switch error {
            case .busy: return .busy
            case .older: return .notWanted
            case .newerFormat: return .newerFormat
            default: return .failed
            }
        }
    }

    private func handle(_ event: SnapshotReceiver.Event, of partition: PartitionID) {
        guard let effects = incoming[partition]?.receiver.handle(event), let stream = incoming[partition]
        else { return }
        for effect in effects {
            switch effect {
            case .answer(let body): answer(body, to: stream.node)
            case .write(let chunk):
                let id = stream.receiver.header.id
                stream.writer.write(chunk) { [weak self, loop] result in
                    loop.post { [weak self] in self?.assumeIsolated { $0.wrote(result, partition, id) } }
                }
            case .install:
                incoming[partition]?.isWhole = true
                replicas?.isWhole(stream.receiver.header)
            case .ended(let outcome):
                incoming[partition] = nil
                if outcome != .installed { stream.writer.cancel() }
                logger.info("partition \(partition.rawValue) from node \(stream.node.rawValue): \(outcome)")
            }
        }
    }

    private func wrote(_ result: Result<Int, SnapshotError>, _ partition: PartitionID, _ id: UInt64) {
        guard incoming[partition]?.receiver.header.id == id else { return }
        switch result {
        case .success(let next): handle(.written(next: next), of: partition)
        case .failure(let error):
            logger.error("the snapshot of partition \(partition.rawValue) cannot be written: \(error)")
            handle(.failed, of: partition)
        }
    }

    private func answer(_ answer: SnapshotAnswer, to node: NodeID) {
        let frame = Frame(ClusterFrames.snapshotAnswer, answer.encoded())
        transport.assumeIsolated { _ = $0.send(frame, to: node, on: .bulk) }
    }

    /// Puts the whole snapshot in place, behind everything that was appended to the journal.
    func install(_ partition: PartitionID) {
        // What is whole stays until this.
        guard let stream = incoming[partition], stream.isWhole else { return }
        let header = stream.receiver.header
        stream.writer.install { [weak self, loop] result in
            loop.post { [weak self] in self?.assumeIsolated { $0.installed(header, result) } }
        }
    }

    func discard(_ partition: PartitionID) { handle(.notWanted, of: partition) }

    private func installed(_ header: SnapshotHeader, _ result: Result<Void, SnapshotError>) {
        switch result {
        case .success:
            receivedCount += 1
            replicas?.isInstalled(header, true)
            handle(.installed, of: header.partition)
        case .failure(let error):
            logger.error("the snapshot of partition \(header.partition.rawValue) is not in place: \(error)")
            replicas?.isInstalled(header, false)
            handle(.failed, of: header.partition)
        }
    }

    // MARK: Links and time

    func linkChanged(_ node: NodeID, isUp: Bool) {
        for id in outgoing.keys.sorted() where outgoing[id]?.replica.node == node {
            handle(isUp ? .linkUp : .linkDown, of: id)
        }
        guard !isUp else { return exportNext() }
        for partition in incoming.keys.sorted() where incoming[partition]?.node == node {
            handle(.linkDown, of: partition)
        }
    }

    func ticked() {
        for id in outgoing.keys.sorted() { handle(.tick, of: id) }
        for partition in incoming.keys.sorted() { handle(.tick, of: partition) }
        for index in pins.indices { pins[index].ticksLeft -= 1 }
        pins.removeAll { $0.ticksLeft <= 0 }
    }
}
