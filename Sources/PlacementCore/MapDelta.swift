import ByteCoding
import Identifiers

/// One change of the map; carries the new value, so applying it twice is harmless.
public enum MapChange: Hashable, Sendable {
    case settings(ClusterSettings, Revision)
    case voters(VoterList)
    case node(NodeState)
    case left(NodeID)
    case partition(PartitionID, PartitionState)
}

/// What one log entry changed.
public struct MapDelta: Hashable, Sendable {
    public let from: MapVersion
    public let to: MapVersion
    public let changes: [MapChange]
}

/// What a follower of the map gets.
public enum MapUpdate: Hashable, Sendable {
    case delta(MapDelta)
    /// For whoever has nothing, or is too far behind.
    case snapshot(ClusterMap)

    /// The version after this.
    public var version: MapVersion {
        switch self {
        case .delta(let delta): delta.to
        case .snapshot(let map): map.version
        }
    }
}

extension MapUpdate {
    static let formatVersion: UInt8 = 1

    /// The bytes for the wire.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(Self.formatVersion)
        switch self {
        case .delta(let delta):
            writer.byte(1)
            delta.from.encode(into: &writer)
            delta.to.encode(into: &writer)
            writer.values(delta.changes)
        case .snapshot(let map):
            writer.byte(2)
            map.encode(into: &writer)
        }
        return writer.bytes
    }

    /// Reads what `encoded` wrote.
    public static func decode(_ bytes: [UInt8]) throws(WireError) -> MapUpdate {
        var reader = ByteReader(bytes)
        try reader.version(of: "map update", newest: formatVersion)
        let update: MapUpdate
        switch try reader.byte() {
        case 1:
            let (from, to) = (try MapVersion(from: &reader), try MapVersion(from: &reader))
            guard from < to else { throw .invalid("a map update does not lead forward") }
            update = .delta(
                MapDelta(
                    from: from, to: to, changes: try reader.values("map changes", limit: 1 << 17)))
        case 2: update = .snapshot(try ClusterMap(from: &reader))
        case let tag: throw .unknown(what: "map update", value: UInt64(tag))
        }
        try reader.finish()
        return update
    }
}

extension MapChange: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        switch try reader.byte() {
        case 1: self = .settings(try ClusterSettings(from: &reader), try Revision(from: &reader))
        case 2: self = .voters(try VoterList(from: &reader))
        case 3: self = .node(try NodeState(from: &reader))
        case 4: self = .left(try NodeID(from: &reader))
        case 5: self = .partition(try PartitionID(from: &reader), try PartitionState(from: &reader))
        case let tag: throw .unknown(what: "map change", value: UInt64(tag))
        }
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .settings(let settings, let revision):
            writer.byte(1)
            settings.encode(into: &writer)
            revision.encode(into: &writer)
        case .voters(let voters):
            writer.byte(2)
            voters.encode(into: &writer)
        case .node(let node):
            writer.byte(3)
            node.encode(into: &writer)
        case .left(let node):
            writer.byte(4)
            node.encode(into: &writer)
        case .partition(let id, let partition):
            writer.byte(5)
            id.encode(into: &writer)
            partition.encode(into: &writer)
        }
    }
}
