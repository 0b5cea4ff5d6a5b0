import ByteCoding
import ConsensusCore
import Identifiers
import PlacementCore

/// On the wire: version u8, id, kind u8, then what the kind has. Whoever carries a message guards it against
/// damage; the frame has a checksum and a greatest length.
extension ControlRequest {
    public static let formatVersion: UInt8 = 1

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        writer.byte(Self.formatVersion)
        writer.varint(id)
        switch body {
        case .commands(let commands):
            writer.byte(1)
            writer.commands(commands)
        case .map(let version):
            writer.byte(2)
            writer.varint(version.rawValue)
        case .voters(let change):
            writer.byte(3)
            writer.change(change)
        case .heartbeat(let heartbeat):
            writer.byte(4)
            writer.heartbeat(heartbeat)
        }
        return writer.bytes
    }

    /// Reads one whole request; anything else is an error.
    public static func decode(_ bytes: [UInt8]) throws(WireError) -> ControlRequest {
        var reader = ByteReader(bytes)
        let id = try reader.beginning("control request", newest: formatVersion)
        let body: Body
        switch try reader.byte() {
        case 1: body = .commands(try reader.commands())
        case 2: body = .map(after: MapVersion(rawValue: try reader.varint()))
        case 3: body = .voters(try reader.change())
        case 4: body = .heartbeat(try reader.heartbeat())
        case let kind: throw .unknown(what: "control request", value: UInt64(kind))
        }
        try reader.finish()
        return ControlRequest(id: id, body: body)
    }
}

extension ControlReply {
    public static let formatVersion: UInt8 = 1
    /// A map's log holds fewer.
    static let updatesMax = 1 << 16

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        writer.byte(Self.formatVersion)
        writer.varint(id)
        switch body {
        case .outcomes(let outcomes, let version):
            writer.byte(1)
            writer.outcomes(outcomes)
            writer.varint(version.rawValue)
        case .map(let updates):
            writer.byte(2)
            writer.varint(updates.count)
            for update in updates { writer.blob(update.encoded()) }
        case .votersChanged: writer.byte(3)
        case .notLeader(let leader):
            writer.byte(4)
            writer.optional(leader) { $0.varint($1.rawValue) }
        case .unavailable(let refusal):
            writer.byte(5)
            writer.optional(refusal) { $0.refusal($1) }
        }
        return writer.bytes
    }

    /// Reads one whole reply; anything else is an error.
    public static func decode(_ bytes: [UInt8]) throws(WireError) -> ControlReply {
        var reader = ByteReader(bytes)
        let id = try reader.beginning("control reply", newest: formatVersion)
        let body: Body
        switch try reader.byte() {
        case 1:
            body = .outcomes(try reader.outcomes(), version: MapVersion(rawValue: try reader.varint()))
        case 2:
            var updates: [MapUpdate] = []
            for _ in 0..<(try reader.count("map updates", limit: updatesMax)) {
                updates.append(try MapUpdate.decode(try reader.blob()))
            }
            body = .map(updates)
        case 3: body = .votersChanged
        case 4:
            body = .notLeader(
                try reader.optional { reader throws(WireError) in NodeID(rawValue: try reader.varint()) })
        case 5:
            body = .unavailable(
                try reader.optional { reader throws(WireError) in try reader.refusal() })
        case let kind: throw .unknown(what: "control reply", value: UInt64(kind))
        }
        try reader.finish()
        return ControlReply(id: id, body: body)
    }
}

extension ByteReader {
    /// The version, then the message's id.
    fileprivate mutating func beginning(_ what: String, newest: UInt8) throws(WireError) -> UInt64 {
        let found = try byte()
        guard found == newest else {
            throw .version(what: what, found: UInt64(found), newest: UInt64(newest))
        }
        return try varint()
    }
}
