import ByteCoding
import ConsensusCore
import ControlCore
import Identifiers
import Testing

@testable import PlacementCore

@Suite("Requests and replies of the control plane as bytes")
struct ControlMessageCodingTests {
    private static let store = StoreID(high: 0x0102, low: 0x0304)
    private static let storeBytes: [UInt8] = [2, 1, 0, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0]
    private static let node = NodeID(rawValue: 5)
    private static let member = ReplicaID(node: node, store: store)
    private static let memberBytes: [UInt8] = [5] + storeBytes
    private static let life = NodeLife(node: node, incarnation: Incarnation(rawValue: 300), store: store)
    private static let lifeBytes: [UInt8] = [5, 0xAC, 2] + storeBytes

    /// What is sent once is read for ever: a change of these bytes needs a new version.
    private static let requests: [(body: ControlRequest.Body, bytes: [UInt8])] = [
        (.commands([]), [1, 0]),
        (
            .commands([.confirm(life), .leave(node, life.incarnation)]),
            [1, 2, 3] + lifeBytes + [6, 5, 0xAC, 2]
        ),
        (.map(after: MapVersion(rawValue: 300)), [2, 0xAC, 2]),
        (.voters(.addLearner(member)), [3, 1] + memberBytes),
        (.voters(.promote(member)), [3, 2] + memberBytes),
        (.voters(.remove(member)), [3, 3] + memberBytes),
        (.heartbeat(Heartbeat(life: life)), [4] + lifeBytes + [0, 0, 0, 0]),
        (
            .heartbeat(
                Heartbeat(
                    life: life, condition: .init(health: 7, isLeaving: true),
                    complaints: [.init(node: NodeID(rawValue: 9), incarnation: life.incarnation)],
                    silences: [.init(node: node, incarnation: Incarnation(rawValue: 1), ticks: 300)])),
            [4] + lifeBytes + [7, 1, 1, 9, 0xAC, 2, 1, 5, 1, 0xAC, 2]
        ),
    ]

    private static let refusals: [(Refusal, [UInt8])] = [
        (.notInitialized, [1]), (.alreadyInitialized, [2]),
        (.otherCluster(ClusterID(high: 0x0102, low: 0x0304)), [3] + storeBytes), (.oldProgram, [4]),
        (.invalid, [5]), (.full, [6]), (.unknownNode, [7]), (.unknownPartition, [8]), (.notUp, [9]),
        (.staleLife(life), [10] + lifeBytes), (.staleEpoch(Epoch(rawValue: 300)), [11, 0xAC, 2]),
        (.staleRevision(Revision(rawValue: 7)), [12, 7]),
        (.staleVersion(MapVersion(rawValue: 8)), [13, 8]),
        (.rolledBack(held: Incarnation(rawValue: 9)), [14, 9]), (.unknownStore, [15]),
        (.storeOfAnotherNode(node), [16, 5]), (.noOwner, [17]), (.notInSync, [18]), (.notLearner, [19]),
        (.alreadyReplica, [20]), (.isOwner, [21]), (.isInSync, [22]), (.notOffline, [23]),
        (.dataLossNotAccepted, [24]), (.holdsReplicas, [25]), (.isVoter, [26]), (.lastVoter, [27]),
        (.notVoter, [28]),
    ]

    private static let raftRefusals: [(Raft.Refusal, [UInt8])] = [
        (.notLeader(leader: nil), [1, 0]), (.notLeader(leader: member), [1, 1] + memberBytes),
        (.commandTooLong, [2]), (.tooMuchUncommitted, [3]), (.tooManyReads, [4]),
        (.leadershipInTransfer, [5]), (.termNotCommitted, [6]), (.changeInFlight, [7]), (.notAMember, [8]),
        (.notAVoter, [9]), (.notALearner, [10]), (.learnerBehind, [11]), (.nodeIsAMember, [12]),
        (.tooManyMembers, [13]), (.isLeader, [14]), (.quorumSilent, [15]),
    ]

    private static let left = MapUpdate.delta(
        MapDelta(from: MapVersion(rawValue: 3), to: MapVersion(rawValue: 4), changes: [.left(node)]))

    private static let replies: [(body: ControlReply.Body, bytes: [UInt8])] =
        [
            (.outcomes([], version: MapVersion(rawValue: 300)), [1, 0, 0xAC, 2]),
            (
                .outcomes([.accepted, .registered(life)], version: MapVersion(rawValue: 1)),
                [1, 2, 1, 2] + lifeBytes + [1]
            ),
            (.map([]), [2, 0]),
            (.map([left]), [2, 1, 7, 1, 1, 3, 4, 1, 4, 5]),
            (.votersChanged, [3]), (.notLeader(nil), [4, 0]), (.notLeader(node), [4, 1, 5]),
            (.unavailable(nil), [5, 0]),
        ]
        + refusals.map {
            (.outcomes([.refused($0)], version: MapVersion(rawValue: 2)), [1, 1, 3] + $1 + [2])
        }
        + raftRefusals.map { (.unavailable($0), [5, 1] + $1) }

    @Test func `A request has these bytes`() throws {
        for (body, bytes) in Self.requests {
            let request = ControlRequest(id: 300, body: body)
            #expect(request.encoded() == [1, 0xAC, 2] + bytes)
            #expect(try ControlRequest.decode(request.encoded()) == request)
        }
    }

    @Test func `A reply has these bytes`() throws {
        for (body, bytes) in Self.replies {
            let reply = ControlReply(id: 300, body: body)
            #expect(reply.encoded() == [1, 0xAC, 2] + bytes)
            #expect(try ControlReply.decode(reply.encoded()) == reply)
        }
    }

    @Test func `A message that is cut short or too long is refused`() {
        for (body, _) in Self.requests {
            let bytes = ControlRequest(id: 300, body: body).encoded()
            for count in bytes.indices {
                #expect(throws: WireError.truncated) { try ControlRequest.decode(Array(bytes[..<count])) }
            }
            #expect(throws: WireError.trailing(count: 1)) { try ControlRequest.decode(bytes + [0]) }
        }
        for (body, _) in Self.replies {
            let bytes = ControlReply(id: 300, body: body).encoded()
            for count in bytes.indices {
                #expect(throws: WireError.truncated) { try ControlReply.decode(Array(bytes[..<count])) }
            }
            #expect(throws: WireError.trailing(count: 1)) { try ControlReply.decode(bytes + [0]) }
        }
    }

    @Test func `Other versions and kinds are named, and counts are bounded`() {
        #expect(throws: WireError.version(what: "control request", found: 2, newest: 1)) {
            try ControlRequest.decode([2, 1, 2, 1])
        }
        #expect(throws: WireError.version(what: "control reply", found: 0, newest: 1)) {
            try ControlReply.decode([0, 1, 3])
        }
        #expect(throws: WireError.unknown(what: "control request", value: 5)) {
            try ControlRequest.decode([1, 1, 5])
        }
        #expect(throws: WireError.unknown(what: "control reply", value: 6)) {
            try ControlReply.decode([1, 1, 6])
        }
        #expect(throws: WireError.unknown(what: "outcome", value: 4)) {
            try ControlReply.decode([1, 1, 1, 1, 4])
        }
        #expect(throws: WireError.unknown(what: "refusal", value: 16)) {
            try ControlReply.decode([1, 1, 5, 1, 16])
        }
        let tooMany = UInt64(ClusterEntry.commandsMax) + 1
        #expect(throws: WireError.tooLong(what: "commands", count: tooMany, limit: tooMany - 1)) {
            try ControlRequest.decode([1, 1, 1, 0x81, 0x80, 0x08])
        }
        #expect(throws: WireError.tooLong(what: "outcomes", count: tooMany, limit: tooMany - 1)) {
            try ControlReply.decode([1, 1, 1, 0x81, 0x80, 0x08])
        }
        #expect(throws: WireError.tooLong(what: "map updates", count: 65_537, limit: 65_536)) {
            try ControlReply.decode([1, 1, 2, 0x81, 0x80, 0x04])
        }
    }
}
