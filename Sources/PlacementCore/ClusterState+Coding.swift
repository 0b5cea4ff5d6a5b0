import ByteCoding
import Identifiers

extension ClusterState {
    static let formatVersion: UInt8 = 1

    /// A snapshot for consensus: everything but the switches of tests.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 1024 + 96 * (map?.partitions.count ?? 0))
        writer.byte(Self.formatVersion)
        writer.varint(appliedIndex)
        writer.varint(nodesIssued)
        writer.values(audit)
        writer.optional(map) { $1.encode(into: &$0) }
        return writer.bytes
    }

    /// Reads a snapshot, and refuses one that no sequence of commands could have made.
    public static func decode(_ bytes: [UInt8]) throws(WireError) -> ClusterState {
        var reader = ByteReader(bytes)
        try reader.version(of: "cluster state", newest: formatVersion)
        var state = ClusterState()
        state.appliedIndex = try reader.varint()
        state.nodesIssued = try reader.varint()
        state.audit = try reader.values("audit", limit: AuditEntry.tailMax)
        state.map = try reader.optional { reader throws(WireError) in try ClusterMap(from: &reader) }
        try reader.finish()
        guard state.appliedIndex >= state.map?.version.rawValue ?? 0,
            max(state.appliedIndex, state.nodesIssued) <= ClusterMap.counterMax,
            state.map?.nodes.last.map({ $0.id.rawValue <= state.nodesIssued }) ?? true
        else { throw .invalid("the counters of the cluster state contradict each other") }
        return state
    }
}
