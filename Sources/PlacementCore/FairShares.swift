/// How many copies each node should hold.
///
/// Proportional to weight, except that no node can hold two copies of a partition, and no zone more than
/// the least number of copies of a partition that some zone must hold. What a full node or zone cannot take
/// is shared among the others in the same way.
struct FairShares {
    /// Copies by node.
    let copies: [Double]
    /// Copies of one partition that may be in one zone.
    let copiesPerZoneMax: Int
    /// Distinct nodes that a partition gets.
    let copiesPerPartition: Int

    /// - Parameters:
    ///   - weights: by node; 0 for those that take nothing.
    ///   - zones: by node, from 0.
    init(weights: [Double], zones: [Int], partitions: Int, replicationFactor: Int) {
        let zoneCount = (zones.max() ?? -1) + 1
        var nodesByZone = Array(repeating: [Int](), count: zoneCount)
        for node in weights.indices where weights[node] > 0 { nodesByZone[zones[node]].append(node) }
        let nodeCount = nodesByZone.reduce(0) { $0 + $1.count }
        copiesPerPartition = min(replicationFactor, nodeCount)
        var perZone = 1
        while nodesByZone.reduce(0, { $0 + min(perZone, $1.count) }) < copiesPerPartition { perZone += 1 }
        copiesPerZoneMax = perZone

        let zoneShares = Self.fill(
            Double(copiesPerPartition * partitions),
            weights: nodesByZone.map { $0.reduce(0) { $0 + weights[$1] } },
            limits: nodesByZone.map { Double(min(perZone, $0.count) * partitions) })
        var copies = Array(repeating: 0.0, count: weights.count)
        for (zone, nodes) in nodesByZone.enumerated() {
            let shares = Self.fill(
                zoneShares[zone], weights: nodes.map { weights[$0] },
                limits: nodes.map { _ in Double(partitions) })
            for (node, share) in zip(nodes, shares) { copies[node] = share }
        }
        self.copies = copies
    }

    /// Divides by weight what has limits: whoever would get more than its limit gets that, and the rest is
    /// divided again.
    static func fill(_ total: Double, weights: [Double], limits: [Double]) -> [Double] {
        var shares = Array(repeating: 0.0, count: weights.count)
        var open = weights.indices.filter { weights[$0] > 0 }
        var rest = total
        while !open.isEmpty, rest > 0 {
            let weight = open.reduce(0) { $0 + weights[$1] }
            let full = open.filter { rest * weights[$0] / weight >= limits[$0] }
            if full.isEmpty {
                for index in open { shares[index] = rest * weights[index] / weight }
                break
            }
            for index in full {
                shares[index] = min(limits[index], rest)
                rest -= shares[index]
            }
            open.removeAll(where: full.contains)
        }
        return shares
    }
}
