import Identifiers

extension Placement {
    /// Draws copies to nodes that have far too few, up to their share, and sheds those of nodes that have far
    /// too many, down to the bound. Each step brings two nodes nearer to their shares, so this ends.
    mutating func balanceCopies() {
        var held = copiesByNode()
        for node in load.indices where accepts[node] {
            let (share, low) = (shares.copies[node], bounds(shares.copies[node]).lowerBound)
            guard load[node] < low else { continue }
            while Double(load[node] + 1) <= share, draw(to: node, widening: false, &held) {}
            // The scatter width matters less than a node that has far too little to do.
            while load[node] < low, draw(to: node, widening: true, &held) {}
        }
        for node in load.indices where keeps[node] {
            for widening in [false, true] {
                while load[node] > bounds(shares.copies[node]).upperBound,
                    shed(from: node, widening: widening, &held)
                {}
            }
        }
    }

    /// Takes one copy from the most loaded node that can give one.
    private mutating func draw(to node: Int, widening: Bool, _ held: inout [[Int]]) -> Bool {
        let donors = load.indices.filter { $0 != node && isFairer(from: $0, to: node) }
            .sorted { (overload($1), $0) < (overload($0), $1) }
        for donor in donors where moveCopy(from: donor, to: node, widening: widening, &held) { return true }
        return false
    }

    /// Gives one copy to the least loaded node that can take one.
    private mutating func shed(from node: Int, widening: Bool, _ held: inout [[Int]]) -> Bool {
        let takers = load.indices.filter { accepts[$0] && $0 != node && isFairer(from: node, to: $0) }
            .sorted { (overload($0), $0) < (overload($1), $1) }
        for taker in takers where moveCopy(from: node, to: taker, widening: widening, &held) { return true }
        return false
    }

    /// Partitions of each node that may move.
    private func copiesByNode() -> [[Int]] {
        var held = Array(repeating: [Int](), count: load.count)
        for partition in targets.indices where isSettled[partition] {
            for node in targets[partition] { held[node].append(partition) }
        }
        return held
    }

    /// Moves the copy whose move costs least: within the scatter width, rather a follower than an owner;
    /// among equals, the hash decides. Never into a zone that has enough.
    /// - Parameter widening: whether the scatter width may be exceeded.
    private mutating func moveCopy(from: Int, to: Int, widening: Bool, _ held: inout [[Int]]) -> Bool {
        var best: (place: Int, cost: (Int, Int, UInt64))?
        let id = map.nodes[to].id.rawValue
        for (place, partition) in held[from].enumerated() where isSettled[partition] {
            guard !targets[partition].contains(to) else { continue }
            let excess = zoneExcess(of: to, in: partition, insteadOf: from)
            guard excess <= zoneExcess(of: from, in: partition, insteadOf: from) else { continue }
            let scatter = scatterExcess(of: to, in: partition, insteadOf: from)
            guard scatter == 0 || widening else { continue }
            let cost = (
                scatter, targets[partition][0] == from ? 1 : 0,
                PlacementRing.hash(map.constants.ring, UInt64(partition), id)
            )
            if let best, best.cost <= cost { continue }
            best = (place, cost)
        }
        guard let place = best?.place else { return false }
        replace(from, by: to, in: held[from].remove(at: place))
        return true
    }

    /// Evens out how many partitions each node owns, along chains of partitions whose owner and follower swap
    /// roles: from a node that owns far too many to the nearest that has room, and likewise to one that owns
    /// far too few.
    mutating func balanceOwners() {
        for node in load.indices {
            while owned[node] > bounds(ownerShares[node]).upperBound {
                let hasRoom = load.indices.map { Double(owned[$0] + 1) <= ownerShares[$0].rounded(.up) }
                guard swapAlongChain(from: node, until: { hasRoom[$0] }) else { break }
            }
        }
        for node in load.indices where owned[node] < bounds(ownerShares[node]).lowerBound {
            while Double(owned[node] + 1) <= ownerShares[node] {
                let donors = load.indices.filter { Double(owned[$0]) > ownerShares[$0] }
                    .sorted { (ownerOverload($1), $0) < (ownerOverload($0), $1) }
                var hasSwapped = false
                for donor in donors where !hasSwapped {
                    hasSwapped = swapAlongChain(from: donor, until: { $0 == node })
                }
                guard hasSwapped else { break }
            }
        }
    }

    private func ownerOverload(_ node: Int) -> Double { Double(owned[node]) / max(ownerShares[node], 0.001) }

    /// Breadth first over "owns a partition that the next node follows".
    private mutating func swapAlongChain(from start: Int, until isEnd: (Int) -> Bool) -> Bool {
        var ownedBy = Array(repeating: [Int](), count: load.count)
        for partition in targets.indices where !isFrozen[partition] {
            if let owner = targets[partition].first { ownedBy[owner].append(partition) }
        }
        var cameBy: [(partition: Int, owner: Int)?] = Array(repeating: nil, count: load.count)
        var queue = [start]
        var next = 0
        while next < queue.count {
            let owner = queue[next]
            next += 1
            for partition in ownedBy[owner] {
                for follower in targets[partition].dropFirst()
                where follower != start && cameBy[follower] == nil && ownerShares[follower] > 0 {
                    cameBy[follower] = (partition, owner)
                    guard isEnd(follower) else {
                        queue.append(follower)
                        continue
                    }
                    var node = follower
                    while node != start, let step = cameBy[node] {
                        makeOwner(node, of: step.partition)
                        node = step.owner
                    }
                    return true
                }
            }
        }
        return false
    }
}
