import ByteCoding
import Identifiers

extension ClusterMap: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        version = try MapVersion(from: &reader)
        constants = try ClusterConstants(from: &reader)
        settings = try ClusterSettings(from: &reader)
        settingsRevision = try Revision(from: &reader)
        voters = try VoterList(from: &reader)
        nodes = try reader.values("nodes", limit: Self.nodesMax)
        partitions = try reader.values("partitions", limit: constants.ring.partitionCount)
        if let breach = firstBreach() { throw .invalid(breach) }
    }

    func encode(into writer: inout ByteWriter) {
        version.encode(into: &writer)
        constants.encode(into: &writer)
        settings.encode(into: &writer)
        settingsRevision.encode(into: &writer)
        voters.encode(into: &writer)
        writer.values(nodes)
        writer.values(partitions)
    }
}
