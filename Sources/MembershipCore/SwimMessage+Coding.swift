import ByteCoding
import Identifiers

/// On the wire: version u8, kind u8, the sender's presence, what the kind has, and the rumours. Whoever
/// carries a message guards it against damage; the frame has a checksum.
extension SwimMessage {
    public static let version: UInt8 = 1

    private enum Kind: UInt8 {
        case ping = 1
        case ack, pingRequest, nack, gossip, pull, push
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 32 + rumours.count * 16)
        writer.byte(Self.version)
        writer.byte(kind.rawValue)
        writer.varint(sender.node.rawValue)
        writer.varint(UInt64(sender.incarnation.rawValue))
        writer.varint(sender.swimIncarnation)
        writer.meta(sender.meta)
        switch body {
        case .ping(let sequence), .ack(let sequence), .nack(let sequence): writer.varint(sequence)
        case .pingRequest(let sequence, let target):
            writer.varint(sequence)
            writer.varint(target.rawValue)
        case .gossip, .pull, .push: break
        }
        writer.varint(rumours.count)
        for rumour in rumours { writer.rumour(rumour) }
        return writer.bytes
    }

    /// Reads one whole message; anything else is an error.
    public static func decode(_ bytes: [UInt8]) throws(WireError) -> SwimMessage {
        var reader = ByteReader(bytes)
        let found = try reader.byte()
        guard found == version else {
            throw .version(what: "gossip message", found: UInt64(found), newest: UInt64(version))
        }
        let rawKind = try reader.byte()
        guard let kind = Kind(rawValue: rawKind) else {
            throw .unknown(what: "gossip message", value: UInt64(rawKind))
        }
        let sender = Presence(
            node: try reader.node(), incarnation: try reader.incarnation(),
            swimIncarnation: try reader.varint().countable("a SWIM incarnation"), meta: try reader.meta())
        let body: Body =
            switch kind {
            case .ping: .ping(try reader.varint())
            case .ack: .ack(try reader.varint())
            case .pingRequest: .pingRequest(try reader.varint(), target: try reader.node())
            case .nack: .nack(try reader.varint())
            case .gossip: .gossip
            case .pull: .pull
            case .push: .push
            }
        let limit = kind == .pull || kind == .push ? statesMax : rumoursMax
        let count = try reader.count("rumours", limit: limit)
        var rumours: [Rumour] = []
        // Each takes four bytes at least, so a false count makes no room for more than is there.
        rumours.reserveCapacity(min(count, reader.remaining / 4))
        for _ in 0..<count { rumours.append(try reader.rumour()) }
        try reader.finish()
        return SwimMessage(sender: sender, body: body, rumours: rumours)
    }

    private var kind: Kind {
        switch body {
        case .ping: .ping
        case .ack: .ack
        case .pingRequest: .pingRequest
        case .nack: .nack
        case .gossip: .gossip
        case .pull: .pull
        case .push: .push
        }
    }
}

extension ByteWriter {
    fileprivate mutating func meta(_ meta: NodeMeta) {
        varint(meta.revision)
        varint(meta.mapVersion)
        byte(meta.health)
        varint(UInt64(meta.backlog))
        bool(meta.isLonely)
    }

    fileprivate mutating func rumour(_ rumour: Rumour) {
        byte(rumour.standing.state.rawValue)
        varint(rumour.node.rawValue)
        varint(UInt64(rumour.incarnation.rawValue))
        varint(rumour.swimIncarnation)
        switch rumour.content {
        case .alive(let meta): self.meta(meta)
        case .suspect(let accuser), .unreachable(let accuser): varint(accuser.rawValue)
        case .left: break
        }
    }
}

extension ByteReader {
    fileprivate mutating func node() throws(WireError) -> NodeID { NodeID(rawValue: try varint()) }

    fileprivate mutating func incarnation() throws(WireError) -> Incarnation {
        let raw = try varint()
        guard let short = UInt32(exactly: raw) else { throw .integerOverflow }
        return Incarnation(rawValue: short)
    }

    fileprivate mutating func meta() throws(WireError) -> NodeMeta {
        let revision = try varint().countable("a revision")
        let mapVersion = try varint()
        let health = try byte()
        guard health <= NodeMeta.healthMax else {
            throw .tooLarge(what: "health", value: UInt64(health), limit: UInt64(NodeMeta.healthMax))
        }
        guard let backlog = UInt32(exactly: try varint()) else { throw .integerOverflow }
        var meta = NodeMeta(mapVersion: mapVersion, health: health, backlog: backlog)
        meta.revision = revision
        meta.isLonely = try bool()
        return meta
    }

    fileprivate mutating func rumour() throws(WireError) -> Rumour {
        let rawState = try byte()
        guard let state = MemberState(rawValue: rawState) else {
            throw .unknown(what: "state of a member", value: UInt64(rawState))
        }
        let node = try node()
        let incarnation = try incarnation()
        let swimIncarnation = try varint().countable("a SWIM incarnation")
        let content: Rumour.Content =
            switch state {
            case .alive: .alive(try meta())
            case .suspect: .suspect(by: try self.node())
            case .unreachable: .unreachable(by: try self.node())
            case .left: .left
            }
        return Rumour(
            node: node, incarnation: incarnation, swimIncarnation: swimIncarnation, content: content)
    }
}
