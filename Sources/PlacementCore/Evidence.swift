import Identifiers

/// What speaks for a node being down: hints, never proof (`cluster.md` 2.3.4).
public struct Evidence: Hashable, Sendable {
    /// The life that is meant.
    public var incarnation: Incarnation
    /// Nodes that cannot reach it and have said so lately.
    public var reporters: [NodeID]
    /// For how many ticks it has been silent at each voter that waits for it, the longest first.
    public var silentTicks: [UInt64]

    public init(incarnation: Incarnation, reporters: [NodeID] = [], silentTicks: [UInt64] = []) {
        self.incarnation = incarnation
        self.reporters = reporters
        self.silentTicks = silentTicks
    }

    /// - Returns: whether more than half of the voters have waited for so long.
    func isSilent(for ticks: UInt64, atMostOf voters: Int) -> Bool {
        silentTicks.count(where: { $0 >= ticks }) > voters / 2
    }
}
