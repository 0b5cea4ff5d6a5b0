import Identifiers
import MembershipCore

/// What came out of a trial. Times are in virtual seconds.
public struct GossipReport: Hashable, Sendable {
    /// Until the first node took the lost one for unreachable, for each time that one was lost.
    public internal(set) var first: [Double] = []
    /// Until all did; infinite if that took more than five minutes.
    public internal(set) var all: [Double] = []
    /// Suspicions of nodes that were sound; the same one at many nodes counts once.
    public internal(set) var suspicions = 0
    /// Sound nodes that were called unreachable, counted in the same way.
    public internal(set) var falsePositives = 0
    /// Nodes that stood still and were called unreachable for it.
    public internal(set) var stillCalledUnreachable = 0
    public internal(set) var virtualSeconds = 0.0
    /// Sent by a node, in the mean.
    public internal(set) var messagesPerSecond = 0.0
    /// The same in bytes, with the mesh's frames and without TLS and TCP.
    public internal(set) var bytesPerSecond = 0.0
    /// Messages that could not be read.
    public internal(set) var damaged = 0
    /// Of a one-way cut: whether the node that is cut off knows it, how many others think so of themselves,
    /// and whether all take all for alive one or two minutes after it.
    public internal(set) var isCutOffLonely = false
    public internal(set) var othersLonely = 0
    public internal(set) var isHealed = false

    /// - Parameter sound: nodes of which nothing but life should be said.
    mutating func count(_ changes: [GossipCluster.Change], sound: Range<Int>) {
        struct Saying: Hashable {
            var node: Int
            var standing: Standing
        }
        let said = Set(changes.map { Saying(node: $0.node, standing: $0.standing) })
        suspicions += said.count { sound.contains($0.node) && $0.standing.state == .suspect }
        falsePositives += said.count { sound.contains($0.node) && $0.standing.state == .unreachable }
        stillCalledUnreachable += said.count {
            !sound.contains($0.node) && $0.standing.state == .unreachable
        }
    }

    /// The value that a share of the others does not exceed (nearest rank).
    public static func quantile(_ share: Double, of values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let rank = Int((share * Double(values.count)).rounded(.up))
        return values.sorted()[min(max(rank, 1), values.count) - 1]
    }
}
