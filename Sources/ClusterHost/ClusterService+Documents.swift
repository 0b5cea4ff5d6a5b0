import ClientProtocol
import Identifiers
import MeshTransport
import PlacementCore

/// What is told about the node and about all actors of the cluster.
extension ClusterService {
    public func status() async -> Payload { await local.status() }

    /// Puts together what every owner lists of its partitions; fails rather than to leave out a partition
    /// that nobody owns, or that has moved meanwhile.
    public func list(kind: String?, after: ActorAddress?, limit: Int) async throws(ActorError) -> Payload {
        let limit = min(max(1, limit), PeerCall.listMax)
        for _ in 0..<3 {
            let epochs = try ownership()
            var pages: [ActorPage] = []
            for node in Set(epochs.map(\.owner)).sorted() {
                let document =
                    node == me
                    ? try await local.list(kind: kind, after: after, limit: limit)
                    : try await list(at: node, kind: kind, after: after, limit: limit)
                do { pages.append(try ActorPage(document)) } catch { throw .internalError }
            }
            if try ownership() == epochs { return ActorPage(merging: pages, limit: limit).document }
        }
        throw .moved
    }

    private struct Ownership: Hashable {
        var epoch: Epoch
        var owner: NodeID
    }

    private func ownership() throws(ActorError) -> [Ownership] {
        var all: [Ownership] = []
        for partition in maps.map?.partitions ?? [] {
            guard let owner = partition.owner?.node else { throw .unserved }
            all.append(Ownership(epoch: partition.epoch, owner: owner))
        }
        guard !all.isEmpty else { throw .unserved }
        return all
    }

    private func list(
        at node: NodeID, kind: String?, after: ActorAddress?, limit: Int
    ) async throws(ActorError) -> Payload {
        let outcome = await withCheckedContinuation { continuation in
            loop.post { [exchange] in
                exchange.assumeIsolated { exchange in
                    _ = exchange.call(.list(kind: kind, after: after, limit: limit), at: node) {
                        continuation.resume(returning: $0)
                    }
                }
            }
        }
        guard case .answered(let result) = outcome else { throw .unserved }
        guard case .document(let document) = try result.get() else { throw .internalError }
        return document
    }
}
