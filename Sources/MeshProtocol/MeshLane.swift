/// A pair of nodes has one connection for each lane, so that the bytes of a snapshot never stand in front of
/// an acknowledgement, nor an acknowledgement in front of a heartbeat.
public enum MeshLane: UInt8, CaseIterable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Gossip, consensus, heartbeats: small and urgent.
    case control = 0
    /// Replication and its acknowledgements, requests between nodes.
    case data = 1
    /// Snapshots and other long transfers.
    case bulk = 2

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    public var description: String {
        switch self {
        case .control: "control"
        case .data: "data"
        case .bulk: "bulk"
        }
    }
}
