import ByteCoding
import Identifiers
import TimeAndChance

extension ClusterEntry {
    static let formatVersion: UInt8 = 1

    /// The bytes of a log entry; they are read for ever.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 64 * commands.count)
        writer.byte(Self.formatVersion)
        time.encode(into: &writer)
        writer.values(commands)
        return writer.bytes
    }

    /// Reads what `encoded` wrote.
    public static func decode(_ bytes: [UInt8]) throws(WireError) -> ClusterEntry {
        var reader = ByteReader(bytes)
        try reader.version(of: "cluster entry", newest: formatVersion)
        let entry = ClusterEntry(
            time: try Timestamp(from: &reader), commands: try reader.values("commands", limit: commandsMax))
        try reader.finish()
        return entry
    }
}

extension Command: WireValue {
    /// The first byte of a command; a number is never used again.
    private enum CommandTag: UInt8, WireValue {
        case initialize = 1
        case register, confirm, nodeDown, drain, leave, changeInSync, promote, forcePromote, addLearner
        case removeReplica, setTargets, changeVoters, changeSettings
    }

    init(from reader: inout ByteReader) throws(WireError) {
        switch try CommandTag(from: &reader) {
        case .initialize:
            self = .initialize(
                try ClusterConstants(from: &reader), try ClusterSettings(from: &reader),
                store: try StoreID(from: &reader), try NodeProfile(from: &reader))
        case .register: self = .register(try Registration(from: &reader))
        case .confirm: self = .confirm(try NodeLife(from: &reader))
        case .nodeDown:
            self = .nodeDown(
                try NodeID(from: &reader), try Incarnation(from: &reader), try DownEvidence(from: &reader))
        case .drain:
            self = .drain(try NodeID(from: &reader), try Incarnation(from: &reader), try reader.bool())
        case .leave: self = .leave(try NodeID(from: &reader), try Incarnation(from: &reader))
        case .changeInSync:
            self = .changeInSync(
                try PartitionID(from: &reader), try Epoch(from: &reader), try Revision(from: &reader),
                try InSyncChange(from: &reader))
        case .promote:
            self = .promote(
                try PartitionID(from: &reader), try Revision(from: &reader), to: try NodeLife(from: &reader))
        case .forcePromote:
            self = .forcePromote(
                try PartitionID(from: &reader), try Revision(from: &reader), to: try NodeLife(from: &reader),
                acceptsDataLoss: try reader.bool())
        case .addLearner:
            self = .addLearner(
                try PartitionID(from: &reader), try Revision(from: &reader), try ReplicaID(from: &reader))
        case .removeReplica:
            self = .removeReplica(
                try PartitionID(from: &reader), try Revision(from: &reader), try ReplicaID(from: &reader))
        case .setTargets:
            self = .setTargets(
                try reader.values("targets", limit: 65_536), try MapVersion(from: &reader))
        case .changeVoters:
            self = .changeVoters(try VoterChange(from: &reader), try Revision(from: &reader))
        case .changeSettings:
            self = .changeSettings(try ClusterSettings(from: &reader), try Revision(from: &reader))
        }
    }

    func encode(into writer: inout ByteWriter) {
        func write(_ tag: CommandTag, _ values: any WireValue...) {
            tag.encode(into: &writer)
            for value in values { value.encode(into: &writer) }
        }
        switch self {
        case .initialize(let constants, let settings, let store, let profile):
            write(.initialize, constants, settings, store, profile)
        case .register(let registration): write(.register, registration)
        case .confirm(let life): write(.confirm, life)
        case .nodeDown(let node, let incarnation, let evidence): write(.nodeDown, node, incarnation, evidence)
        case .drain(let node, let incarnation, let wanted):
            write(.drain, node, incarnation)
            writer.bool(wanted)
        case .leave(let node, let incarnation): write(.leave, node, incarnation)
        case .changeInSync(let partition, let epoch, let revision, let change):
            write(.changeInSync, partition, epoch, revision, change)
        case .promote(let partition, let revision, let life): write(.promote, partition, revision, life)
        case .forcePromote(let partition, let revision, let life, let acceptsDataLoss):
            write(.forcePromote, partition, revision, life)
            writer.bool(acceptsDataLoss)
        case .addLearner(let partition, let revision, let replica):
            write(.addLearner, partition, revision, replica)
        case .removeReplica(let partition, let revision, let replica):
            write(.removeReplica, partition, revision, replica)
        case .setTargets(let assignments, let version):
            write(.setTargets)
            writer.values(assignments)
            version.encode(into: &writer)
        case .changeVoters(let change, let revision): write(.changeVoters, change, revision)
        case .changeSettings(let settings, let revision): write(.changeSettings, settings, revision)
        }
    }
}

extension DownEvidence: WireValue {}

extension Registration: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        cluster = try ClusterID(from: &reader)
        node = try reader.optional { reader throws(WireError) in try NodeID(from: &reader) }
        store = try StoreID(from: &reader)
        lastIncarnation = try Incarnation(from: &reader)
        profile = try NodeProfile(from: &reader)
        formats = try FormatVersions(from: &reader)
    }

    func encode(into writer: inout ByteWriter) {
        cluster.encode(into: &writer)
        writer.optional(node) { $1.encode(into: &$0) }
        store.encode(into: &writer)
        lastIncarnation.encode(into: &writer)
        profile.encode(into: &writer)
        formats.encode(into: &writer)
    }
}

extension InSyncChange: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        switch try reader.byte() {
        case 1: self = .drop(try ReplicaID(from: &reader))
        case 2: self = .add(try NodeLife(from: &reader))
        case let tag: throw .unknown(what: "change of the in-sync set", value: UInt64(tag))
        }
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .drop(let replica):
            writer.byte(1)
            replica.encode(into: &writer)
        case .add(let life):
            writer.byte(2)
            life.encode(into: &writer)
        }
    }
}

extension TargetAssignment: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        self.init(
            partition: try PartitionID(from: &reader),
            nodes: try reader.values("targets", limit: ClusterSettings.replicationFactorMax))
    }

    func encode(into writer: inout ByteWriter) {
        partition.encode(into: &writer)
        writer.values(nodes)
    }
}

extension VoterChange: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        let tag = try reader.byte()
        let replica = try ReplicaID(from: &reader)
        switch tag {
        case 1: self = .addLearner(replica)
        case 2: self = .promote(replica)
        case 3: self = .remove(replica)
        default: throw .unknown(what: "change of voters", value: UInt64(tag))
        }
    }

    func encode(into writer: inout ByteWriter) {
        let (tag, replica): (UInt8, ReplicaID) =
            switch self {
            case .addLearner(let replica): (1, replica)
            case .promote(let replica): (2, replica)
            case .remove(let replica): (3, replica)
            }
        writer.byte(tag)
        replica.encode(into: &writer)
    }
}
