import Identifiers

/// What a member of an in-sync set says about its log of one partition.
public struct LogReport: Hashable, Sendable {
    /// The end of a log. Logs are compared by the epoch of their last record first.
    public struct End: Hashable, Comparable, Sendable {
        public var epoch: Epoch
        public var position: LogPosition

        public init(epoch: Epoch, position: LogPosition) {
            self.epoch = epoch
            self.position = position
        }

        public static func < (a: Self, b: Self) -> Bool { (a.epoch, a.position) < (b.epoch, b.position) }
    }

    public var life: NodeLife
    public var end: End
    /// The furthest that anybody heard this replica acknowledge.
    public var acknowledged: End?

    public init(life: NodeLife, end: End, acknowledged: End? = nil) {
        self.life = life
        self.end = end
        self.acknowledged = acknowledged
    }
}

extension ClusterMap {
    /// Who may be granted a partition, best first (R4, R13).
    ///
    /// Any live member of the in-sync set has all acknowledged records. The longest log also keeps those
    /// whose acknowledgement was under way; then whoever owns least for its weight. A member that does not
    /// report comes last, and one whose log ends before what it acknowledged lost records: it is not a
    /// candidate. Among equals, a node that drains comes after the others.
    public func promotionCandidates(
        for id: PartitionID, reports: [LogReport], excluding excluded: Set<NodeID> = []
    ) -> [NodeLife] {
        guard let partition = self[id] else { return [] }
        return candidates(for: partition, reports: reports, excluding: excluded, owned: ownedCounts())
    }

    /// How many partitions each node owns.
    func ownedCounts() -> [NodeID: Int] {
        partitions.reduce(into: [:]) { counts, partition in
            if let owner = partition.owner { counts[owner.node, default: 0] += 1 }
        }
    }

    func candidates(
        for partition: PartitionState, reports: [LogReport], excluding excluded: Set<NodeID> = [],
        owned: [NodeID: Int]
    ) -> [NodeLife] {
        struct Candidate {
            var life: NodeLife
            var drains: Bool
            var end: LogReport.End?
            var ownedPerWeight: Double
        }
        var candidates: [Candidate] = []
        for member in partition.inSync where isLive(member) && !excluded.contains(member.node) {
            guard let node = self[member.node] else { continue }
            let report = reports.last { $0.life == node.life }
            if let report, let acknowledged = report.acknowledged, report.end < acknowledged { continue }
            candidates.append(
                Candidate(
                    life: node.life, drains: node.isDraining, end: report?.end,
                    ownedPerWeight: Double(owned[node.id] ?? 0) / max(Double(node.profile.weight), 0.5)))
        }
        candidates.sort { a, b in
            if a.end != b.end {
                guard let b = b.end else { return true }
                return a.end.map { $0 > b } ?? false
            }
            if a.drains != b.drains { return b.drains }
            if a.ownedPerWeight != b.ownedPerWeight { return a.ownedPerWeight < b.ownedPerWeight }
            return a.life.node < b.life.node
        }
        return candidates.map(\.life)
    }

    /// The command that grants the partition. The in-sync set stays: which of its members are gone for good
    /// is for the new owner to say, which has its own log before its eyes (R19).
    public func promotion(of id: PartitionID, to life: NodeLife) -> Command? {
        self[id].map { .promote(id, $0.revision, to: life) }
    }
}
