import Identifiers

/// Why a snapshot cannot be made, read, written or put in place. The store itself goes on, unless its own
/// files failed.
public enum SnapshotError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A file could not be read or written.
    case store(StoreError)
    /// The journal or the tables' log would have grown above its limit for the sake of this snapshot.
    case outgrown
    /// Another snapshot of the partition is coming in.
    case busy
    /// The tables here already have as much.
    case older(than: LogPosition)
    /// There is no such partition here.
    case unknownPartition
    /// A newer program made it.
    case newerFormat(found: UInt32, newest: UInt32)
    /// Not the chunk that was to come.
    case wrongChunk(found: Int, expected: Int)
    /// The chunk has another number of bytes than its place says.
    case wrongLength(chunk: Int)
    /// The chunk's bytes, or something before them, changed on the way.
    case wrongHash(chunk: Int)
    /// The whole arrived as it was sent, and still is not what its header says.
    case notAsAnnounced(String)
    /// It was ended, cancelled or put in place before.
    case ended

    public var description: String {
        switch self {
        case .store(let error): error.description
        case .outgrown: "more was written than may be kept for a snapshot; take a new one"
        case .busy: "a snapshot of the partition is coming in already"
        case .older(let position): "the tables already have everything up to record \(position.rawValue)"
        case .unknownPartition: "there is no such partition here"
        case .newerFormat(let found, let newest):
            "the tables have format \(found), this program reads up to \(newest)"
        case .wrongChunk(let found, let expected): "chunk \(found) came instead of chunk \(expected)"
        case .wrongLength(let chunk): "chunk \(chunk) has another length than its place says"
        case .wrongHash(let chunk): "chunk \(chunk), or something before it, changed on the way"
        case .notAsAnnounced(let detail): "the tables are not what their header says: \(detail)"
        case .ended: "the snapshot was ended"
        }
    }
}
