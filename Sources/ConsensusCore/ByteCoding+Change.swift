import ByteCoding
import Identifiers

/// For the messages that ask for a change of members and answer it; the message carries the version.
extension ByteWriter {
    package mutating func change(_ change: Raft.Change) {
        let (tag, member): (UInt8, Raft.Member) =
            switch change {
            case .addLearner(let member): (1, member)
            case .promote(let member): (2, member)
            case .remove(let member): (3, member)
            }
        byte(tag)
        self.member(member)
    }

    package mutating func refusal(_ refusal: Raft.Refusal) {
        byte(RefusalTag(refusal).rawValue)
        if case .notLeader(let leader) = refusal { optional(leader) { $0.member($1) } }
    }
}

extension ByteReader {
    package mutating func change() throws(WireError) -> Raft.Change {
        let tag = try byte()
        let member = try member()
        switch tag {
        case 1: return .addLearner(member)
        case 2: return .promote(member)
        case 3: return .remove(member)
        default: throw .unknown(what: "change of members", value: UInt64(tag))
        }
    }

    package mutating func refusal() throws(WireError) -> Raft.Refusal {
        let raw = try byte()
        guard let tag = RefusalTag(rawValue: raw) else {
            throw .unknown(what: "refusal", value: UInt64(raw))
        }
        switch tag {
        case .notLeader:
            return .notLeader(leader: try optional { reader throws(WireError) in try reader.member() })
        case .commandTooLong: return .commandTooLong
        case .tooMuchUncommitted: return .tooMuchUncommitted
        case .tooManyReads: return .tooManyReads
        case .leadershipInTransfer: return .leadershipInTransfer
        case .termNotCommitted: return .termNotCommitted
        case .changeInFlight: return .changeInFlight
        case .notAMember: return .notAMember
        case .notAVoter: return .notAVoter
        case .notALearner: return .notALearner
        case .learnerBehind: return .learnerBehind
        case .nodeIsAMember: return .nodeIsAMember
        case .tooManyMembers: return .tooManyMembers
        case .isLeader: return .isLeader
        case .quorumSilent: return .quorumSilent
        }
    }
}

/// The first byte of a refusal; a number is never used again.
private enum RefusalTag: UInt8 {
    case notLeader = 1
    case commandTooLong, tooMuchUncommitted, tooManyReads, leadershipInTransfer, termNotCommitted
    case changeInFlight, notAMember, notAVoter, notALearner, learnerBehind, nodeIsAMember, tooManyMembers
    case isLeader, quorumSilent

    init(_ refusal: Raft.Refusal) {
        self =
            switch refusal {
            case .notLeader: .notLeader
            case .commandTooLong: .commandTooLong
            case .tooMuchUncommitted: .tooMuchUncommitted
            case .tooManyReads: .tooManyReads
            case .leadershipInTransfer: .leadershipInTransfer
            case .termNotCommitted: .termNotCommitted
            case .changeInFlight: .changeInFlight
            case .notAMember: .notAMember
            case .notAVoter: .notAVoter
            case .notALearner: .notALearner
            case .learnerBehind: .learnerBehind
            case .nodeIsAMember: .nodeIsAMember
            case .tooManyMembers: .tooManyMembers
            case .isLeader: .isLeader
            case .quorumSilent: .quorumSilent
            }
    }
}
