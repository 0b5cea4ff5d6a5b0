import Identifiers

extension Placement {
    /// Gives every partition as many copies as it can have.
    mutating func fillHoles() {
        for partition in targets.indices where !isFrozen[partition] {
            while targets[partition].count < shares.copiesPerPartition,
                let node = bestNode(for: partition, insteadOf: nil)
            {
                place(node, in: partition)
            }
        }
    }

    /// Moves copies out of zones that hold too many of one partition.
    mutating func separateZones() {
        for partition in targets.indices where isSettled[partition] {
            // The owner last: it costs a promotion too.
            for old in targets[partition].reversed()
            where zoneExcess(of: old, in: partition, insteadOf: old) > 0 {
                guard let new = bestNode(for: partition, insteadOf: old),
                    zoneExcess(of: new, in: partition, insteadOf: old) == 0
                else { continue }
                replace(old, by: new, in: partition)
                break
            }
        }
    }

    /// What speaks against a node for a copy, the weightiest first.
    private struct Objections: Comparable {
        var zone: Int
        var scatter: Int
        var isOverloaded: Bool
        var hasNoCopy: Bool
        var isSatisfied: Bool
        /// How loaded the node is, if it has its share already; else the ring decides.
        var overload: Double

        static func < (a: Self, b: Self) -> Bool {
            if a.zone != b.zone { return a.zone < b.zone }
            if a.scatter != b.scatter { return a.scatter < b.scatter }
            if a.isOverloaded != b.isOverloaded { return b.isOverloaded }
            if a.hasNoCopy != b.hasNoCopy { return b.hasNoCopy }
            if a.isSatisfied != b.isSatisfied { return b.isSatisfied }
            return a.overload < b.overload
        }

        var isNone: Bool { zone == 0 && !isOverloaded && !hasNoCopy && scatter == 0 && !isSatisfied }
    }

    /// The first node clockwise against which least speaks.
    private func bestNode(for partition: Int, insteadOf old: Int?) -> Int? {
        var best: (node: Int, objections: Objections)?
        var seen = Array(repeating: false, count: load.count)
        let state = map.partitions[partition]
        // Where a node without a task has a copy already, a node without one cannot be perfect.
        let spare = map.nodes.indices.contains {
            accepts[$0] && !targets[partition].contains($0) && state.holds(map.nodes[$0].id)
        }
        for node in ring.walk(from: partition) where !seen[node] {
            seen[node] = true
            guard accepts[node], !targets[partition].contains(node) else { continue }
            let isSatisfied = Double(load[node]) >= shares.copies[node].rounded(.up)
            let objections = Objections(
                zone: zoneExcess(of: node, in: partition, insteadOf: old),
                scatter: scatterExcess(of: node, in: partition, insteadOf: old),
                isOverloaded: load[node] >= bounds(shares.copies[node]).upperBound,
                hasNoCopy: spare && !state.holds(map.nodes[node].id),
                isSatisfied: isSatisfied, overload: isSatisfied ? overload(node) : 0)
            if objections.isNone { return node }
            if let best, !(objections < best.objections) { continue }
            best = (node, objections)
        }
        return best?.node
    }
}
