import ByteCoding
import Identifiers
import Testing
import TimeAndChance

@testable import PlacementCore

@Suite("Records of the control plane")
struct CodingTests {
    private static let store: [UInt8] = [0xAA, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
    private static let cluster: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
    private static let profileBytes: [UInt8] = [1, 0x6D, 1, 0x63, 1, 0x7A, 3]
    private static let life = NodeLife(
        node: NodeID(rawValue: 5), incarnation: Incarnation(rawValue: 300), store: ControlPlane.store(2))
    private static let lifeBytes: [UInt8] = [5, 0xAC, 0x02] + store
    private static let profile = ControlPlane.profile(zone: "z", weight: 3)

    /// Read for ever: a change of these bytes needs a new version.
    static let golden: [(command: Command, bytes: [UInt8])] = [
        (
            .initialize(
                ClusterConstants(
                    cluster: ControlPlane.cluster, ring: HashRing(partitionCount: 256, seed: (3, 4))!,
                    formats: FormatVersions(journal: 1, map: 2)),
                ClusterSettings(replicationFactor: 3, inSyncMin: 2, voterTarget: 5),
                store: ControlPlane.store(2), profile),
            [1] + cluster + [0x80, 0x02, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 2, 5]
                + store + profileBytes
        ),
        (
            .register(
                Registration(
                    cluster: ControlPlane.cluster, node: NodeID(rawValue: 7), store: ControlPlane.store(2),
                    lastIncarnation: Incarnation(rawValue: 9), profile: profile,
                    formats: FormatVersions(journal: 1, map: 2))),
            [2] + cluster + [1, 7] + store + [9] + profileBytes + [1, 2]
        ),
        (.confirm(life), [3] + lifeBytes),
        (.nodeDown(life.node, life.incarnation, .silent), [4, 5, 0xAC, 0x02, 2]),
        (.drain(life.node, life.incarnation, true), [5, 5, 0xAC, 0x02, 1]),
        (.leave(life.node, life.incarnation), [6, 5, 0xAC, 0x02]),
        (
            .changeInSync(
                PartitionID(200), Epoch(rawValue: 3), Revision(rawValue: 4), .drop(life.replica)),
            [7, 0xC8, 0x01, 3, 4, 1, 5] + store
        ),
        (
            .changeInSync(PartitionID(1), Epoch(rawValue: 3), Revision(rawValue: 4), .add(life)),
            [7, 1, 3, 4, 2] + lifeBytes
        ),
        (
            .promote(PartitionID(1), Revision(rawValue: 4), to: life), [8, 1, 4] + lifeBytes
        ),
        (
            .forcePromote(PartitionID(1), Revision(rawValue: 4), to: life, acceptsDataLoss: true),
            [9, 1, 4] + lifeBytes + [1]
        ),
        (.addLearner(PartitionID(1), Revision(rawValue: 4), life.replica), [10, 1, 4, 5] + store),
        (.removeReplica(PartitionID(1), Revision(rawValue: 4), life.replica), [11, 1, 4, 5] + store),
        (
            .setTargets([.init(partition: PartitionID(1), nodes: [life.node])], MapVersion(rawValue: 8)),
            [12, 1, 1, 1, 5, 8]
        ),
        (.changeVoters(.addLearner(life.replica), Revision(rawValue: 4)), [13, 1, 5] + store + [4]),
        (.changeVoters(.promote(life.replica), Revision(rawValue: 4)), [13, 2, 5] + store + [4]),
        (.changeVoters(.remove(life.replica), Revision(rawValue: 4)), [13, 3, 5] + store + [4]),
        (
            .changeSettings(ClusterSettings(), Revision(rawValue: 4)), [14, 2, 1, 3, 4]
        ),
    ]

    @Test("Golden bytes of every command")
    func commands() throws {
        for (command, bytes) in Self.golden {
            let entry = ClusterEntry(time: Timestamp(rawValue: 300), commands: [command])
            #expect(entry.encoded() == [1, 0xAC, 0x02, 1] + bytes, "\(command)")
            #expect(try ClusterEntry.decode(entry.encoded()) == entry)
        }
        let all = ClusterEntry(time: .distantFuture, commands: Self.golden.map(\.command))
        #expect(try ClusterEntry.decode(all.encoded()) == all)
    }

    /// One partition, owned; one node that drains, with a former disk; one event.
    private static func state() -> ClusterState {
        var plane = ControlPlane()
        plane.run(ControlPlane.initialization(partitions: 1, settings: ClusterSettings(replicationFactor: 1)))
        plane.run(.confirm(plane.life(1)))
        plane.promote(0, to: 1)
        plane.run(
            .setTargets([.init(partition: PartitionID(0), nodes: [NodeID(rawValue: 1)])], plane.map.version))
        return plane.state
    }

    private static let firstStore: [UInt8] = [0xAA, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    private static let replicaBytes: [UInt8] = [1] + firstStore
    private static let partitionBytes: [UInt8] =
        [1, 2, 1, 1, 1] + firstStore + [1] + replicaBytes + [0, 1, 1, 0]
    private static let mapBytes: [UInt8] =
        [4] + cluster + [1, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1]  // version, constants
        + [1, 1, 3, 0]  // settings
        + [0, 1] + replicaBytes + [0]  // voters
        + [1, 1, 1, 0x6D, 1, 0x63, 0, 1] + firstStore + [1, 0, 1, 2, 0, 0xD0, 0x0F]  // one node
        + [1] + partitionBytes

    @Test("Golden bytes of a snapshot of consensus")
    func snapshot() throws {
        let state = Self.state()
        #expect(state.encoded() == [1, 4, 1, 1, 1, 0xE8, 0x07, 1, 1] + Self.mapBytes)
        #expect(try ClusterState.decode(state.encoded()) == state)
        #expect(try ClusterState.decode(ClusterState().encoded()) == ClusterState())
        #expect(ClusterState().encoded() == [1, 0, 0, 0, 0])
        var careless = state
        careless.disabled = .noGoingBack
        #expect(careless.encoded() == state.encoded())
    }

    @Test("Golden bytes of updates of the map, and of the map for clients")
    func updates() throws {
        let map = try #require(Self.state().map)
        let snapshot = MapUpdate.snapshot(map)
        #expect(snapshot.encoded() == [1, 2] + Self.mapBytes)
        let delta = MapUpdate.delta(
            MapDelta(
                from: MapVersion(rawValue: 3), to: MapVersion(rawValue: 4),
                changes: [
                    .settings(map.settings, Revision(rawValue: 6)), .voters(map.voters), .node(map.nodes[0]),
                    .left(NodeID(rawValue: 9)), .partition(PartitionID(0), map.partitions[0]),
                ]))
        let nodeBytes: [UInt8] =
            [1, 1, 0x6D, 1, 0x63, 0, 1] + Self.firstStore + [1, 0, 1, 2, 0, 0xD0, 0x0F]
        let changes: [[UInt8]] = [
            [1, 1, 1, 3, 6], [2, 0, 1] + Self.replicaBytes + [0], [3] + nodeBytes, [4, 9],
            [5, 0] + Self.partitionBytes,
        ]
        #expect(delta.encoded() == [1, 1, 3, 4, 5] + changes.flatMap { $0 })
        for update in [snapshot, delta] { #expect(try MapUpdate.decode(update.encoded()) == update) }
    }

    @Test("Golden bytes of what the audit remembers")
    func audit() throws {
        let events: [(AuditEntry.Event, [UInt8])] = [
            (.initialized, [1]), (.registered(Self.life), [2] + Self.lifeBytes),
            (.diskReplaced(Self.life, former: ControlPlane.store(2)), [3] + Self.lifeBytes + Self.store),
            (.down(Self.life, .operator), [4] + Self.lifeBytes + [4]),
            (.draining(Self.life.node, true), [5, 5, 1]), (.left(Self.life), [6] + Self.lifeBytes),
            (
                .dataLossAccepted(PartitionID(1), Self.life, generation: 2),
                [7, 1] + Self.lifeBytes + [2]
            ),
            (.settings(ClusterSettings()), [8, 2, 1, 3]),
            (.voters(.remove(Self.life.replica)), [9, 3, 5] + Self.store),
        ]
        for (event, bytes) in events {
            var writer = ByteWriter()
            AuditEntry(index: 7, time: Timestamp(rawValue: 8), event: event).encode(into: &writer)
            #expect(writer.bytes == [7, 8] + bytes)
            var reader = ByteReader(writer.bytes)
            #expect(try AuditEntry(from: &reader).event == event && reader.isAtEnd)
        }
    }

    @Test("Damaged bytes lead to typed errors")
    func errors() {
        #expect(throws: WireError.truncated) { try ClusterEntry.decode([]) }
        #expect(throws: WireError.version(what: "cluster entry", found: 2, newest: 1)) {
            try ClusterEntry.decode([2, 0, 0])
        }
        #expect(throws: WireError.unknown(what: "CommandTag", value: 15)) {
            try ClusterEntry.decode([1, 0, 1, 15])
        }
        #expect(throws: WireError.trailing(count: 1)) { try ClusterEntry.decode([1, 0, 0, 0]) }
        #expect(throws: WireError.unknown(what: "DownEvidence", value: 9)) {
            try ClusterEntry.decode([1, 0, 1, 4, 5, 1, 9])
        }
        #expect(throws: WireError.tooLong(what: "commands", count: 1 << 20, limit: 1 << 17)) {
            try ClusterEntry.decode([1, 0, 0x80, 0x80, 0x40])
        }
        #expect(throws: WireError.integerOverflow) {
            try ClusterEntry.decode([1, 0, 1, 6, 1, 0x80, 0x80, 0x80, 0x80, 0x10])
        }
        #expect(throws: WireError.invalid("a map update does not lead forward")) {
            try MapUpdate.decode([1, 1, 4, 4, 0])
        }
        #expect(throws: WireError.unknown(what: "map update", value: 3)) { try MapUpdate.decode([1, 3]) }
        let state = Self.state().encoded()
        for count in state.indices {
            #expect(throws: WireError.self) { try ClusterState.decode(Array(state[..<count])) }
        }
    }

    @Test("I4, R11: a snapshot that no commands could have made is refused")
    func brokenSnapshots() throws {
        func refusal(_ change: (inout ClusterMap) -> Void) -> String? {
            var state = Self.state()
            change(&state.map!)
            do {
                _ = try ClusterState.decode(state.encoded())
                return nil
            } catch { return "\(error)" }
        }
        #expect(refusal { _ in } == nil)
        let stranger = ReplicaID(node: NodeID(rawValue: 1), store: ControlPlane.store(9))
        let table: [(String, (inout ClusterMap) -> Void)] = [
            ("partition 0: nobody is in sync", { $0.partitions[0].inSync = [] }),
            (
                "partition 0: a member of the in-sync set on an unknown disk",
                { $0.partitions[0].inSync = [stranger] }
            ),
            (
                "partition 0: the owner's life is over (R5, R11, I19)",
                { $0.partitions[0].owner?.incarnation.rawValue += 1 }
            ),
            ("partition 0: the owner's life is over (R5, R11, I19)", { $0.nodes[0].liveness = .down }),
            ("partition 0: an owner without an epoch", { $0.partitions[0].epoch.rawValue = 0 }),
            ("partition 0: absurd counters", { $0.partitions[0].revision.rawValue = .max }),
            ("partition 0: a node has two copies", { $0.partitions[0].learners = [stranger] }),
            (
                "partition 0: the targets are not distinct nodes of the cluster",
                { $0.partitions[0].targets = [NodeID(rawValue: 9)] }
            ),
            ("the nodes are not in ascending order", { $0.nodes.append($0.nodes[0]) }),
            ("0 partitions instead of 1", { $0.partitions = [] }),
            ("a voter is also a learner, or there is no voter", { $0.voters.voters = [] }),
            (
                "the settings \(ClusterSettings(replicationFactor: 0)) are not valid",
                { $0.settings = ClusterSettings(replicationFactor: 0) }
            ),
        ]
        for (sentence, change) in table { #expect(refusal(change) == sentence) }
        #expect(refusal { $0.partitions += $0.partitions } == "partitions is 2 long, the limit is 1")
        #expect(refusal { $0.version = MapVersion(rawValue: 99) }?.contains("contradict") == true)
    }

    @Test("Handovers are read for ever")
    func handovers() throws {
        let handover = Handover(
            partition: PartitionID(200), epoch: Epoch(rawValue: 3), revision: Revision(rawValue: 9),
            successor: Self.life)
        let bytes: [UInt8] = [1, 1, 0xC8, 0x01, 3, 9] + Self.lifeBytes
        #expect(Handover.encode([handover]) == bytes)
        #expect(try Handover.decode(bytes) == [handover])
        #expect(throws: WireError.self) { try Handover.decode([2] + bytes.dropFirst()) }
    }
}
