import MeshTransport
import PartitionStore
import Synchronization

/// What one process of a cluster has moved since its start.
public struct MemberTraffic: Hashable, Sendable, Codable {
    /// Records of the actors that it ran, and their bytes.
    public var records: UInt64
    public var recordBytes: UInt64
    /// Bytes written to other nodes, for whatever purpose, TLS included.
    public var meshBytes: UInt64
    /// Group commits of its journal, each with one fsync; those for other nodes' actors included.
    public var journalCommits: UInt64
}

extension ClusterMember {
    /// What this process has moved since its start.
    public var traffic: MemberTraffic {
        MemberTraffic(
            records: replicas.inbox.recordsTotal.load(ordering: .relaxed),
            recordBytes: replicas.inbox.recordBytesTotal.load(ordering: .relaxed),
            meshBytes: transport.bytesWritten, journalCommits: replicas.store.commitCount)
    }
}
