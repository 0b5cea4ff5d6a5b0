import ByteCoding
import Identifiers

extension Outcome: WireValue {
    init(from reader: inout ByteReader) throws(WireError) {
        switch try reader.byte() {
        case 1: self = .accepted
        case 2: self = .registered(try NodeLife(from: &reader))
        case 3: self = .refused(try Refusal(from: &reader))
        case let tag: throw .unknown(what: "outcome", value: UInt64(tag))
        }
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .accepted: writer.byte(1)
        case .registered(let life):
            writer.byte(2)
            life.encode(into: &writer)
        case .refused(let refusal):
            writer.byte(3)
            refusal.encode(into: &writer)
        }
    }
}

extension Refusal: WireValue {
    /// The first byte of a refusal; a number is never used again.
    private enum Tag: UInt8, WireValue {
        case notInitialized = 1
        case alreadyInitialized, otherCluster, oldProgram, invalid, full
        case unknownNode, unknownPartition, notUp, staleLife, staleEpoch, staleRevision, staleVersion
        case rolledBack, unknownStore, storeOfAnotherNode
        case noOwner, notInSync, notLearner, alreadyReplica, isOwner, isInSync, notOffline
        case dataLossNotAccepted, holdsReplicas, isVoter, lastVoter, notVoter
    }

    init(from reader: inout ByteReader) throws(WireError) {
        switch try Tag(from: &reader) {
        case .notInitialized: self = .notInitialized
        case .alreadyInitialized: self = .alreadyInitialized
        case .otherCluster: self = .otherCluster(try ClusterID(from: &reader))
        case .oldProgram: self = .oldProgram
        case .invalid: self = .invalid
        case .full: self = .full
        case .unknownNode: self = .unknownNode
        case .unknownPartition: self = .unknownPartition
        case .notUp: self = .notUp
        case .staleLife: self = .staleLife(try NodeLife(from: &reader))
        case .staleEpoch: self = .staleEpoch(try Epoch(from: &reader))
        case .staleRevision: self = .staleRevision(try Revision(from: &reader))
        case .staleVersion: self = .staleVersion(try MapVersion(from: &reader))
        case .rolledBack: self = .rolledBack(held: try Incarnation(from: &reader))
        case .unknownStore: self = .unknownStore
        case .storeOfAnotherNode: self = .storeOfAnotherNode(try NodeID(from: &reader))
        case .noOwner: self = .noOwner
        case .notInSync: self = .notInSync
        case .notLearner: self = .notLearner
        case .alreadyReplica: self = .alreadyReplica
        case .isOwner: self = .isOwner
        case .isInSync: self = .isInSync
        case .notOffline: self = .notOffline
        case .dataLossNotAccepted: self = .dataLossNotAccepted
        case .holdsReplicas: self = .holdsReplicas
        case .isVoter: self = .isVoter
        case .lastVoter: self = .lastVoter
        case .notVoter: self = .notVoter
        }
    }

    func encode(into writer: inout ByteWriter) {
        let (tag, value): (Tag, (any WireValue)?) =
            switch self {
            case .notInitialized: (.notInitialized, nil)
            case .alreadyInitialized: (.alreadyInitialized, nil)
            case .otherCluster(let cluster): (.otherCluster, cluster)
            case .oldProgram: (.oldProgram, nil)
            case .invalid: (.invalid, nil)
            case .full: (.full, nil)
            case .unknownNode: (.unknownNode, nil)
            case .unknownPartition: (.unknownPartition, nil)
            case .notUp: (.notUp, nil)
            case .staleLife(let life): (.staleLife, life)
            case .staleEpoch(let epoch): (.staleEpoch, epoch)
            case .staleRevision(let revision): (.staleRevision, revision)
            case .staleVersion(let version): (.staleVersion, version)
            case .rolledBack(let held): (.rolledBack, held)
            case .unknownStore: (.unknownStore, nil)
            case .storeOfAnotherNode(let node): (.storeOfAnotherNode, node)
            case .noOwner: (.noOwner, nil)
            case .notInSync: (.notInSync, nil)
            case .notLearner: (.notLearner, nil)
            case .alreadyReplica: (.alreadyReplica, nil)
            case .isOwner: (.isOwner, nil)
            case .isInSync: (.isInSync, nil)
            case .notOffline: (.notOffline, nil)
            case .dataLossNotAccepted: (.dataLossNotAccepted, nil)
            case .holdsReplicas: (.holdsReplicas, nil)
            case .isVoter: (.isVoter, nil)
            case .lastVoter: (.lastVoter, nil)
            case .notVoter: (.notVoter, nil)
            }
        tag.encode(into: &writer)
        value?.encode(into: &writer)
    }
}

/// For the messages that carry commands and what became of them; the message carries the version.
extension ByteWriter {
    package mutating func commands(_ commands: [Command]) { values(commands) }
    package mutating func outcomes(_ outcomes: [Outcome]) { values(outcomes) }
}

extension ByteReader {
    package mutating func commands() throws(WireError) -> [Command] {
        try values("commands", limit: ClusterEntry.commandsMax)
    }

    package mutating func outcomes() throws(WireError) -> [Outcome] {
        try values("outcomes", limit: ClusterEntry.commandsMax)
    }
}
