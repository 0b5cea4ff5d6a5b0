import ByteCoding
import Identifiers

extension ByteWriter {
    mutating func member(_ member: Raft.Member) {
        varint(member.node.rawValue)
        fixed(member.store.high)
        fixed(member.store.low)
    }

    mutating func position(_ position: Raft.Position) {
        varint(position.term)
        varint(position.index)
    }

    mutating func configuration(_ configuration: Raft.Configuration) {
        varint(configuration.voters.count)
        for member in configuration.voters { self.member(member) }
        varint(configuration.learners.count)
        for member in configuration.learners { self.member(member) }
    }

    mutating func entry(_ entry: Raft.Entry) {
        position(entry.position)
        switch entry.payload {
        case .noop: byte(0)
        case .command(let bytes):
            byte(1)
            blob(bytes)
        case .configuration(let configuration):
            byte(2)
            self.configuration(configuration)
        }
    }
}

extension ByteReader {
    mutating func version(_ what: String, newest: UInt8) throws(WireError) {
        let version = try byte()
        guard version == newest else {
            throw .version(what: what, found: UInt64(version), newest: UInt64(newest))
        }
    }

    /// A term or an index.
    mutating func number(_ what: String) throws(WireError) -> UInt64 {
        let value = try varint()
        guard value <= Raft.Position.numberMax else {
            throw .tooLong(what: what, count: value, limit: Raft.Position.numberMax)
        }
        return value
    }

    mutating func member() throws(WireError) -> Raft.Member {
        Raft.Member(
            node: NodeID(rawValue: try varint()), store: StoreID(high: try fixed(), low: try fixed()))
    }

    mutating func position() throws(WireError) -> Raft.Position {
        Raft.Position(term: try number("term"), index: try number("index"))
    }

    mutating func configuration() throws(WireError) -> Raft.Configuration {
        let voters = try members("voters")
        let learners = try members("learners")
        guard let configuration = Raft.Configuration(voters: voters, learners: learners) else {
            throw .invalid("a raft configuration names a node twice or has too many members")
        }
        return configuration
    }

    private mutating func members(_ what: String) throws(WireError) -> [Raft.Member] {
        let count = try count(what, limit: Raft.Configuration.membersMax)
        var members: [Raft.Member] = []
        for _ in 0..<count { members.append(try member()) }
        return members
    }

    mutating func entry() throws(WireError) -> Raft.Entry {
        let position = try position()
        switch try byte() {
        case 0: return Raft.Entry(position: position, payload: .noop)
        case 1: return Raft.Entry(position: position, payload: .command(try blob()))
        case 2: return Raft.Entry(position: position, payload: .configuration(try configuration()))
        case let kind: throw .unknown(what: "raft entry kind", value: UInt64(kind))
        }
    }
}
