import Foundation
import FuzzTargets
import Testing
import TimeAndChance

@Suite("Every decoder withstands seeded mutations")
struct FuzzTests {
    static let mutations = 4000

    @Test(arguments: FuzzTarget.all.map(\.name))
    func mutatedInputs(name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        var random = SplitMix64(seed: name.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) })
        for input in target.corpus { #expect(target.body(input) == nil, "\(name): \(input)") }
        for _ in 0..<Self.mutations {
            let input = mutated(target.corpus, using: &random)
            if let complaint = target.body(input) { Issue.record("\(name): \(complaint), for \(input)") }
        }
    }

    /// The files that read bytes, and a target that runs their code.
    static let files = [
        "ByteCoding/ByteReader": "TurnBody",
        "ByteCoding/Records/JournalRecord": "JournalRecord",
        "ByteCoding/Records/JournalRecord+Header": "JournalRecord",
        "ReplicationCore/ReplicationFrame": "ReplicationFrame",
        "ReplicationCore/Snapshot/SnapshotHeader": "SnapshotMessage",
        "ReplicationCore/Snapshot/SnapshotMessage": "SnapshotMessage",
        "MembershipCore/SwimMessage+Coding": "GossipMessage",
        "MeshProtocol/Refusal": "MeshHandshake",
        "MeshProtocol/Handshake": "MeshHandshake",
        "MeshProtocol/Hello": "MeshHandshake",
        "MeshTransport/Certificates/JoinExchange": "JoinExchange",
        "ClusterHost/PeerCall": "PeerCall",
        "ClusterHost/PeerCall+Coding": "PeerAnswer",
        "ClusterHost/MailFrame": "MailFrame",
        "ClusterMembership/Files/MembershipFile": "MembershipFile",
        "ClusterMembership/Files/PeersFile": "PeersFile",
        "ClusterMembership/Files/TokenBook+Coding": "TokenBook",
        "ClusterMembership/Files/JoinDetails": "JoinDetails",
        "PlacementCore/AuditEntry": "ClusterState",
        "PlacementCore/WireValue": "ClusterState",
        "PlacementCore/Revision": "ClusterState",
        "PlacementCore/ClusterMap+Coding": "ClusterState",
        "PlacementCore/ClusterConstants": "ClusterState",
        "PlacementCore/MapDelta": "MapUpdate",
        "PlacementCore/Command+Coding": "ClusterEntry",
        "PlacementCore/NodeState": "ClusterState",
        "PlacementCore/ClusterState+Coding": "ClusterState",
        "PlacementCore/Handover": "Handovers",
        "PlacementCore/PartitionState": "ClusterState",
        "ConsensusCore/Raft+DiskCoding": "RaftDisk",
        "ConsensusCore/Raft+MessageCoding": "RaftMessage",
        "ConsensusStore/Seal": "ConsensusSeal",
        "ControlCore/ControlMessage+Coding": "ControlReply",
        "PlacementCore/Outcome+Coding": "ControlReply",
        "ByteCoding/Records/TurnOperation": "TurnBody",
        "ByteCoding/Records/ActorAddress+Coding": "TurnBody",
        "WorkflowCore/HistoryEntry": "HistoryEntry",
        "WorkflowCore/HistoryPath": "HistoryEntry",
        "WorkflowCore/RunRecord": "RunRecord",
        "ClientProtocol/ClientFrame": "ClientFrame",
        "ClientProtocol/RoutingMap": "RoutingMap",
        "ClientProtocol/ServerFrame": "ServerFrame",
        "MailboxCore/DeduplicationCore": "DeduplicationEntry",
        "MailboxCore/QueuedMessage": "QueuedMessage",
        "MailboxCore/RetainedEvents": "RetainedEvents",
        "MailboxCore/ActionTurn": "ActionTurn",
        "MailboxCore/Messages/ActorMessage": "ActorMessage",
        "MailboxCore/Messages/MessageBatch": "MessageBatch",
        "MailboxCore/Messages/OutboxCore": "MessageStreams",
        "MailboxCore/Messages/InboxCore": "MessageStreams",
        "MailboxCore/Messages/UndeliveredMessages": "UndeliveredMessage",
        "ActorHost/ReplyRecord": "ReplyRecord",
        "PartitionStore/Formats/BatchHeader": "BatchHeader",
        "PartitionStore/Formats/ControlEntry": "ControlEntry",
        "PartitionStore/Formats/IdentityFile": "IdentityFile",
        "PartitionStore/Formats/KeyCoding": "KeyCoding",
        "PartitionStore/Formats/Witness": "Witness",
        // They read rows and records that were proven before.
        "PartitionStore/Formats/RowEntries": "RecordRun",
        "PartitionStore/State/StateFile": "JournalRecord",
    ]

    @Test("A new decoder has a fuzz target")
    func everyDecoderHasATarget() throws {
        let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../../Sources").standardizedFileURL
        let walk = try #require(FileManager.default.enumerator(atPath: sources.path))
        var found: Set<String> = []
        // The simulator reads only what it wrote itself.
        for case let path as String in walk
        where path.hasSuffix(".swift") && !path.hasPrefix("Simulator/") {
            let text = try String(contentsOf: sources.appendingPathComponent(path), encoding: .utf8)
            let reads = ["ByteReader(", "inout ByteReader", "func decode(_ "].contains { text.contains($0) }
            if reads { found.insert(String(path.dropLast(".swift".count))) }
        }
        #expect(found.count > 10)
        for file in found { #expect(Self.files[file] != nil, "\(file).swift decodes, and is not fuzzed") }
        let names = Set(FuzzTarget.all.map(\.name))
        for (file, target) in Self.files { #expect(names.contains(target), "\(file): \(target)") }
    }

    @Test func namesAreUnique() {
        #expect(Set(FuzzTarget.all.map(\.name)).count == FuzzTarget.all.count)
        #expect(FuzzTarget.all.allSatisfy { !$0.corpus.isEmpty })
    }

    private func mutated(_ corpus: [[UInt8]], using random: inout SplitMix64) -> [UInt8] {
        var bytes = corpus.randomElement(using: &random) ?? []
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let place = Int.random(in: 0...bytes.count, using: &random)
            switch random.next() % 7 {
            case 0 where place < bytes.count: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1 where place < bytes.count: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 2 where place < bytes.count:
                bytes[place] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random)!
            case 3: bytes.removeLast(bytes.count - place)
            case 4 where place < bytes.count: bytes.remove(at: place)
            case 5: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
            default:
                let other = corpus.randomElement(using: &random) ?? []
                bytes = Array(bytes[..<place] + other[min(place, other.count)...])
            }
        }
        return bytes
    }
}
