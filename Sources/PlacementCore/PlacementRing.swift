import ByteCoding
import Identifiers

/// Weighted virtual points of nodes on the ring of hashes; partition p is the arc that begins at p/P.
struct PlacementRing {
    static let pointsPerNode = 32.0
    static let pointsMax = 512

    private var points: [(hash: UInt64, node: Int)] = []
    private let partitionCount: Int

    /// - Parameter weights: by node; nodes with 0 have no points.
    init(_ ring: HashRing, nodes: [NodeID], weights: [Double]) {
        partitionCount = ring.partitionCount
        let total = weights.reduce(0, +)
        let weighted = Double(weights.count { $0 > 0 })
        for (index, node) in nodes.enumerated() where weights[index] > 0 {
            let wanted = Self.pointsPerNode * weights[index] * weighted / total
            for number in 0..<max(1, min(Self.pointsMax, Int(wanted.rounded()))) {
                points.append((Self.hash(ring, node.rawValue, UInt64(number)), index))
            }
        }
        points.sort { ($0.hash, $0.node) < ($1.hash, $1.node) }
    }

    /// A number that depends on the cluster's seed and the two values only.
    static func hash(_ ring: HashRing, _ a: UInt64, _ b: UInt64) -> UInt64 {
        var writer = ByteWriter(capacity: 16)
        writer.fixed(a)
        writer.fixed(b)
        return SipHash24.hash(writer.bytes, key: ring.seed)
    }

    /// The nodes clockwise from the beginning of the partition's arc; a node comes as often as it has points.
    func walk(from partition: Int) -> some Sequence<Int> {
        let start = UInt64(partition) &* (UInt64.max / UInt64(partitionCount))
        var range = 0..<points.count
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            range =
                points[middle].hash < start
                ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        let first = range.lowerBound
        return points.indices.lazy.map { points[(first + $0) % points.count].node }
    }
}
