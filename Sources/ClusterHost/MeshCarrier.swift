import ActorHost
import ByteCoding
import Identifiers
import Logging
import MailboxCore
import MeshProtocol
import MeshTransport
import PlacementCore

/// Brings messages of one partition to another one that another node owns, and takes in those for partitions
/// of this node. Lives on the event loop of the mesh.
actor MeshCarrier: PartitionCarrier {
    /// Batches under way to one node.
    static let batchesMax = 4_096

    private struct Pending {
        var node: NodeID
        var done: @Sendable (BatchResult) -> Void
    }

    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    private let transport: MeshTransport
    private let maps: MapBoard
    private let me: NodeID
    private let logger: Logger
    private var host: (any PartitionHost)?
    private var pending: [UInt64: Pending] = [:]
    private var counts: [NodeID: Int] = [:]
    private var nextID: UInt64
    private var owners: [NodeID?] = []

    init(_ transport: MeshTransport, maps: MapBoard, me: NodeID, seed: UInt64, logger: Logger) {
        self.transport = transport
        loop = transport.loop
        self.maps = maps
        self.me = me
        self.logger = logger
        // An answer to an earlier process of this node must not be taken for one to this.
        nextID = seed << 24
    }

    /// - Parameter host: performs what comes for this node's partitions.
    func begin(_ host: any PartitionHost) { self.host = host }

    // MARK: Sending

    nonisolated func carry(_ batch: MessageBatch, _ done: @escaping @Sendable (BatchResult) -> Void) {
        loop.post { self.assumeIsolated { $0.send(batch, done) } }
    }

    private func send(_ batch: MessageBatch, _ done: @escaping @Sendable (BatchResult) -> Void) {
        guard host != nil, let node = maps.owner(of: batch.destination), node != me,
            counts[node, default: 0] < Self.batchesMax
        else { return done(.unavailable) }
        nextID += 1
        let frame = Frame(ClusterFrames.messages, MailFrame(id: nextID, batch.encoded()).encoded())
        let outcome = transport.assumeIsolated { $0.send(frame, to: node, on: .data) }
        if case .invalid(let reason) = outcome { logger.error("messages cannot be carried: \(reason)") }
        guard outcome == .queued else { return done(.unavailable) }
        pending[nextID] = Pending(node: node, done: done)
        counts[node, default: 0] += 1
    }

    private func finish(_ id: UInt64, _ result: BatchResult) {
        guard let batch = pending.removeValue(forKey: id) else { return }
        counts[batch.node, default: 1] -= 1
        batch.done(result)
    }

    // MARK: What the mesh and the map bring

    func received(_ frame: Frame, from node: NodeID) {
        do throws(WireError) {
            let mail = try MailFrame.decode(frame.payload)
            if frame.kind == ClusterFrames.messages {
                deliver(try MessageBatch.decode(mail.bytes), mail.id, from: node)
            } else {
                finish(mail.id, try BatchResult.decode(mail.bytes))
            }
        } catch {
            logger.error("node \(node.rawValue) sent messages that cannot be read: \(error)")
        }
    }

    private func deliver(_ batch: MessageBatch, _ id: UInt64, from node: NodeID) {
        guard let host else { return }
        host.deliver(batch) { [loop] result in
            loop.post { self.assumeIsolated { $0.answer(id, result, to: node) } }
        }
    }

    private func answer(_ id: UInt64, _ result: BatchResult, to node: NodeID) {
        let frame = Frame(ClusterFrames.messagesAnswer, MailFrame(id: id, result.encoded()).encoded())
        guard transport.assumeIsolated({ $0.send(frame, to: node, on: .data) }) == .full else { return }
        // Whoever waits would wait for ever.
        transport.assumeIsolated { transport in
            _ = transport.schedule(after: .milliseconds(50)) { [weak self] _ in
                self?.assumeIsolated { $0.answer(id, result, to: node) }
            }
        }
    }

    func disconnected(_ node: NodeID) {
        for id in pending.keys.sorted() where pending[id]?.node == node { finish(id, .unavailable) }
    }

    /// Messages that wait for a partition go to its new owner without delay.
    func follow(_ map: ClusterMap) {
        let now = map.partitions.map { $0.owner?.node }
        for (number, owner) in now.enumerated() where owner != nil && owner != me {
            if owners.count <= number || owners[number] != owner {
                host?.retryMessages(to: PartitionID(number))
            }
        }
        owners = now
    }

    func stop() {
        host = nil
        for id in pending.keys.sorted() { finish(id, .unavailable) }
    }
}
