import ActorHost
import ControlCore
import Identifiers
import MailboxCore
import PlacementCore
import ReplicationCore

/// Messages between partitions of different nodes, as `MeshCarrier` carries them.
extension Simulation {
    func takeMail(_ index: Int, _ process: SimulatedProcess, _ node: WholeNode) {
        for (batch, done) in node.carrier.take() {
            checkPosted(batch, at: index)
            guard let owner = process.client.map?[batch.destination]?.owner,
                owner.node != Self.node(index)
            else {
                done(.unavailable)
                continue
            }
            node.carrier.nextID += 1
            let target = Self.machine(owner.node)
            node.carrier.pending[node.carrier.nextID] = (target, done)
            send(
                .mail(id: node.carrier.nextID, batch.encoded(), isAnswer: false), from: index, to: target,
                isControl: false)
        }
    }

    /// I17: a message leaves after its record is committed.
    private func checkPosted(_ batch: MessageBatch, at index: Int) {
        let stream =
            [batch.flow.rawValue] + withUnsafeBytes(of: batch.destination.rawValue.bigEndian) { Array($0) }
        let posted = whole?.committed[batch.source].posted[stream] ?? 0
        if batch.last > posted {
            checker.fail(
                "I17: m\(index) sends message \(batch.last) of p\(batch.source.rawValue) to "
                    + "p\(batch.destination.rawValue), \(posted) are committed")
        }
    }

    func mail(
        _ id: UInt64, _ bytes: [UInt8], isAnswer: Bool, _ line: SimulatedNetwork.Line,
        _ process: SimulatedProcess
    ) {
        guard let node = process.node else { return }
        if isAnswer {
            guard let result = try? BatchResult.decode(bytes) else {
                return checker.fail("m\(line.to) cannot read an answer of m\(line.from)")
            }
            node.carrier.pending.removeValue(forKey: id)?.done(result)
            return
        }
        guard let batch = try? MessageBatch.decode(bytes) else {
            return checker.fail("m\(line.to) cannot read messages of m\(line.from)")
        }
        let (replies, sender) = (node.replies, line.from)
        node.host.deliver(batch) { replies.add(.mail(id, $0, to: sender)) }
    }

    /// Messages that wait for a partition go to its new owner without delay.
    func followOwners(_ map: ClusterMap, _ index: Int, _ process: SimulatedProcess) {
        guard let node = process.node else { return }
        for (number, partition) in map.partitions.enumerated() {
            let partitionID = PartitionID(number)
            guard let owner = partition.owner, owner.node != Self.node(index),
                node.owners[partitionID] != owner.node
            else {
                node.owners[partitionID] = partition.owner?.node
                continue
            }
            node.owners[partitionID] = owner.node
            node.host.retryMessages(to: partitionID)
        }
        retryAsks(index, process)
    }

    /// What was on its way to a machine may have arrived, or not.
    func linkBroke(_ index: Int, _ other: Int, _ process: SimulatedProcess) {
        guard let node = process.node else { return }
        for (id, pending) in node.carrier.pending.sorted(by: { $0.key < $1.key })
        where pending.machine == other {
            node.carrier.pending[id] = nil
            pending.done(.unavailable)
        }
        for (id, ask) in node.asks.sorted(by: { $0.key < $1.key }) where ask.place == .machine(other) {
            node.asks[id]?.place = .nowhere
        }
        wakeHost(index)
    }
}
