import ClusterMembership
import ConsensusCore
import ControlCore
import Identifiers
import Logging
import MeshProtocol
import MeshTransport
import PlacementCore

/// Following the map: who votes, and where the others are.
extension ControlDriver {
    func connect(_ peers: [Peer]) {
        for peer in peers where peer.node != me { connect(peer.node, [peer.address]) }
    }

    private func connect(_ node: NodeID, _ addresses: [MeshAddress]) {
        transport.assumeIsolated { $0.connect(node, at: addresses, lanes: Set(MeshLane.allCases)) }
    }

    func follow() {
        guard let map = client.map else { return }
        // Whoever is in the group knows it better than the map, which is told afterwards.
        let members = Set(map.voters.voters + server.raft.configuration.voters).sorted()
        client.setVoters(members.map { ControlPeer(rawValue: $0.node.rawValue) })
        transport.assumeIsolated { $0.learn(members: map.nodes.map(\.id)) }
        for node in map.nodes where node.id != me { follow(node) }
        for node in addresses.keys.sorted() where map[node] == nil {
            addresses[node] = nil
            transport.assumeIsolated { $0.disconnect(node) }
        }
        maps.publish(map)
        setup.onMap(map)
    }

    private func follow(_ node: NodeState) {
        // What is issued and not yet known to be on the node's disk is no ground to turn the node away.
        let record = PeerDirectory.Record(store: node.store, incarnation: node.disk.persisted)
        transport.assumeIsolated { $0.learn(node.id, record) }
        let text = node.profile.meshAddress
        guard addresses[node.id] != text else { return }
        addresses[node.id] = text
        let address = MeshAddress(text)
        if address == nil {
            setup.logger.error("node \(node.id.rawValue) advertises \"\(text)\", which is no host and port")
        }
        // The map may be older than the node's last move, and what an operator has configured is never given
        // up.
        let known = setup.peers.filter { $0.node == node.id }.map(\.address)
        connect(node.id, (address.map { [$0] } ?? []) + known.filter { $0 != address })
    }

    // MARK: The leader's decisions

    func decide() {
        guard let map = server.state.map else { return }
        let decisions = controller?.tick(
            map, group: server.group, isLeader: server.isLeader && client.life != nil,
            evidence: server.isLeader ? server.evidence() : [:], unfit: server.isLeader ? server.unfit : [])
        for decision in decisions ?? [] {
            setup.logger.info("the control plane's leader decides: \(decision)")
            switch decision {
            // What becomes of it shows in the map, and what does not is decided again.
            case .propose(let commands): propose(commands) { _ in }
            case .ask(let owner, let handovers): ask(owner, handovers)
            case .changeVoters(let change): changeVoters(Raft.Change(change)) { _ in }
            case .handOver(let voter): handOver(to: voter)
            case .spare(let nodes):
                let names = nodes.map { "\($0.rawValue)" }.joined(separator: ", ")
                setup.logger.error(
                    "so many nodes seem to be down that \(names) are not declared so: is this node cut off?")
            }
        }
    }

    // MARK: Planned changes of owner

    /// Tells an owner what it should hand over. Who does not hear it is relieved without.
    private func ask(_ owner: NodeID, _ handovers: [Handover]) {
        guard owner == me else {
            _ = send(Frame(ClusterFrames.handover, Handover.encode(handovers)), to: owner)
            return
        }
        take(client.handle(.handOver(handovers)))
        settle()
    }

    func receivedHandovers(_ frame: Frame, from peer: MeshPeer) {
        guard !hasEnded else { return }
        do { take(client.handle(.handOver(try Handover.decode(frame.payload)))) } catch {
            setup.logger.error("node \(peer.node.rawValue) sent what cannot be read: \(error)")
        }
        settle()
    }

    func readyToHandOver(_ partition: PartitionID, _ epoch: Epoch) {
        guard !hasEnded else { return }
        take(client.handle(.readyToHandOver(partition, epoch)))
        settle()
    }
}
