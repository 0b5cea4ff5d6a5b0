import ConsensusCore
import ConsensusStore
import Foundation
import Identifiers
import MeshProtocol
import MeshTransport
import PartitionStore
import PlacementCore
import Testing

@testable import ClusterMembership

@Suite("Founding a cluster") struct FoundingTests {
    @Test("D29: a founded directory says who it is, and its node is the only voter")
    func founding() throws {
        let scratch = try Scratch()
        let path = scratch.sub("n1")
        var founding = Founding(partitions: 8)
        founding.settings.replicationFactor = 3
        let made: Membership
        do {
            let directory = try MemberDirectory.open(path)
            #expect(directory.membership == nil && !directory.isFounder)
            #expect(directory.storeConfiguration == nil)
            made = try directory.found(founding, profile: Sample.profile, at: Sample.now)
            #expect(directory.isFounder)
        }
        let directory = try MemberDirectory.open(path)
        let membership = try #require(directory.membership)
        #expect(membership.record == made.record && membership.record.origin == .founded)
        #expect(membership.record.node == NodeID(rawValue: 1))
        #expect(membership.peers.map(\.address) == [MeshAddress(host: "10.0.0.1", port: 7430)])
        #expect(membership.credentials.identity.cluster == made.cluster)
        #expect(directory.isFounder)

        let (_, persistent) = try ConsensusStore.open(
            directory: directory.consensusDirectory, replica: membership.replica)
        #expect(persistent.snapshot.configuration.voters == [membership.replica])
        let map = try #require(try ClusterState.decode(persistent.snapshot.state).map)
        #expect(map.constants == membership.constants && map.settings == founding.settings)
        #expect(map.partitions.allSatisfy { $0.inSync == [membership.replica] && $0.owner == nil })
        #expect(map.nodes.map(\.profile) == [Sample.profile])

        let store = try PartitionStore.open(
            try #require(directory.storeConfiguration), holding: directory.lock)
        #expect(store.identity.store == membership.record.store && store.identity.role == .member)
        #expect(store.identity.incarnation.rawValue == 0)
        try store.close()
    }

    @Test("A directory that is a member already is not founded again")
    func secondFounding() throws {
        let scratch = try Scratch()
        let path = scratch.sub("n1")
        let first = try MemberDirectory.open(path)
            .found(Founding(partitions: 4), profile: Sample.profile, at: Sample.now)
        let directory = try MemberDirectory.open(path)
        expectError("already") {
            _ = try directory.found(Founding(partitions: 4), profile: Sample.profile, at: Sample.now)
        }
        #expect(directory.membership?.record == first.record)
    }

    @Test("D30: a second process has no directory to found in")
    func lock() throws {
        let scratch = try Scratch()
        let first = try MemberDirectory.open(scratch.sub("n1"))
        expectError("in use by another process") { _ = try MemberDirectory.open(scratch.sub("n1")) }
        withExtendedLifetime(first) {}
    }

    @Test("What cannot be is refused before anything is written")
    func nonsense() throws {
        let scratch = try Scratch()
        let directory = try MemberDirectory.open(scratch.sub("n1"))
        var settings = Founding(partitions: 4)
        settings.settings.voterTarget = 2
        let cases: [(Founding, NodeProfile, String)] = [
            (Founding(partitions: 3), Sample.profile, "power of two"),
            (settings, Sample.profile, "voters are 1, 3 or 5"),
            (
                Founding(partitions: 4), NodeProfile(meshAddress: "nowhere", clientAddress: "x:1"),
                "--advertise"
            ),
        ]
        for (founding, profile, sentence) in cases {
            expectError(sentence) { _ = try directory.found(founding, profile: profile, at: Sample.now) }
        }
        #expect(!FileManager.default.fileExists(atPath: scratch.sub("n1/cluster/draft")))
        _ = try directory.found(Founding(partitions: 4), profile: Sample.profile, at: Sample.now)
    }

    @Test("R12: a member that lost a part of its directory is refused, and never formatted again")
    func lostParts() throws {
        let scratch = try Scratch()
        _ = try MemberDirectory.open(scratch.sub("n1"))
            .found(Founding(partitions: 4), profile: Sample.profile, at: Sample.now)
        func without(_ name: String) throws -> MemberDirectory {
            let path = try scratch.copy("n1", to: "copy")
            try FileManager.default.removeItem(atPath: path + "/" + name)
            return try MemberDirectory.open(path)
        }
        expectError("whose file cluster/member is missing") { _ = try without("cluster/member") }
        expectError("node.pem failed") { _ = try without("cluster/node.pem") }
        expectError("authority.key failed") { _ = try without("cluster/authority.key") }
        let directory = try without("identity")
        expectError("the file identity is missing") {
            _ = try PartitionStore.open(
                try #require(directory.storeConfiguration), holding: directory.lock)
        }
        let other = try without("control/control.db")
        expectError("is missing") {
            _ = try ConsensusStore.open(
                directory: other.consensusDirectory,
                replica: try #require(other.membership?.replica))
        }
        expectError("mode 644") {
            let path = try scratch.copy("n1", to: "copy")
            chmod(path + "/cluster/authority.key", 0o644)
            _ = try MemberDirectory.open(path)
        }
    }

    @Test("The data of a node alone is refused and stays as it is")
    func alone() throws {
        let scratch = try Scratch()
        let store = try PartitionStore.open(StoreConfiguration(directory: scratch.sub("n1")))
        let identity = store.identity
        try store.close()
        expectError("a node alone, which cannot become a member") {
            _ = try MemberDirectory.open(scratch.sub("n1"))
        }
        // Even if an attempt to found was interrupted here before.
        try Data("apus-draft 1\n".utf8).write(to: URL(filePath: scratch.sub("n1/cluster/draft")))
        expectError("a node alone, which cannot become a member") {
            _ = try MemberDirectory.open(scratch.sub("n1"))
        }
        let again = try PartitionStore.open(StoreConfiguration(directory: scratch.sub("n1")))
        #expect(again.identity.store == identity.store && again.identity.incarnation.rawValue == 2)
        try again.close()
    }

    @Test("Data whose identity was lost is not cleared away, even by an interrupted attempt")
    func damagedAlone() throws {
        let scratch = try Scratch()
        try PartitionStore.open(StoreConfiguration(directory: scratch.sub("n1"))).close()
        let path = scratch.sub("n1")
        try FileManager.default.removeItem(atPath: path + "/identity")
        try FileManager.default.createDirectory(
            atPath: path + "/parts/00c7", withIntermediateDirectories: true)
        for hasDraft in [false, true] {
            if hasDraft {
                try Data("apus-draft 1\n".utf8).write(to: URL(filePath: path + "/cluster/draft"))
            }
            expectError("actors' data") { _ = try MemberDirectory.open(path) }
        }
        #expect(FileManager.default.fileExists(atPath: path + "/parts/00c7"))
    }

    @Test("A founding that a crash interrupted anywhere can be done again", arguments: 0..<7)
    func crash(_ lost: Int) throws {
        let scratch = try Scratch()
        let first = try MemberDirectory.open(scratch.sub("n1"))
            .found(Founding(partitions: 4), profile: Sample.profile, at: Sample.now)
        // In the order in which they are made; the draft is there from the beginning to the end.
        let parts = [
            "control", "lanes", "parts", "identity", "cluster/authority.key", "cluster/authority.pem",
            "cluster/node.pem", "cluster/peers",
        ]
        let path = try scratch.copy("n1", to: "copy")
        for part in ["cluster/member"] + parts.suffix(lost) {
            try FileManager.default.removeItem(atPath: path + "/" + part)
        }
        let draft = "apus-draft 1\nstore \(first.record.store)\n"
        try Data(draft.utf8).write(to: URL(filePath: path + "/cluster/draft"))
        let directory = try MemberDirectory.open(path)
        #expect(directory.membership == nil)
        let second = try directory.found(
            Founding(partitions: 8), profile: Sample.profile, at: Sample.now)
        #expect(second.cluster != first.cluster && second.constants.ring.partitionCount == 8)
        let (_, state) = try ConsensusStore.open(
            directory: directory.consensusDirectory, replica: second.replica)
        #expect(try ClusterState.decode(state.snapshot.state).map?.constants == second.constants)
        try PartitionStore.open(
            try #require(directory.storeConfiguration), holding: directory.lock
        ).close()
        #expect(!FileManager.default.fileExists(atPath: path + "/cluster/draft"))
    }

    @Test("R15: a member that was used is not cleared away, whatever its draft says")
    func usedMember() throws {
        let scratch = try Scratch()
        let path = scratch.sub("n1")
        do {
            let directory = try MemberDirectory.open(path)
            _ = try directory.found(Founding(partitions: 4), profile: Sample.profile, at: Sample.now)
            let store = try PartitionStore.open(
                try #require(directory.storeConfiguration), holding: directory.lock)
            try store.recordIncarnation(Incarnation(rawValue: 2))
            try store.close()
        }
        try FileManager.default.moveItem(
            atPath: path + "/cluster/member", toPath: path + "/cluster/draft")
        expectError("whose file cluster/member is missing") { _ = try MemberDirectory.open(path) }
    }

    @Test("Where the voters are is known at the next start, and can be corrected by hand")
    func peers() throws {
        let scratch = try Scratch()
        let path = scratch.sub("n1")
        do {
            let directory = try MemberDirectory.open(path)
            let membership = try directory.found(
                Founding(partitions: 4), profile: Sample.profile, at: Sample.now)
            let control = FakeControlPlane(try Town.state(of: membership, in: directory))
            var moved = Sample.profile
            moved.meshAddress = "n1.example:9000"
            control.apply([
                .register(
                    Registration(
                        cluster: membership.cluster, node: membership.record.node,
                        store: membership.record.store, lastIncarnation: Incarnation(rawValue: 0),
                        profile: moved, formats: .ofThisProgram))
            ])
            try directory.rememberPeers(of: try #require(control.map))
        }
        #expect(
            try String(contentsOfFile: path + "/cluster/peers", encoding: .utf8)
                == "apus-peers 1\n1 n1.example:9000\n")
        let edited = "apus-peers 1\n1 [fe80::1]:7\n2 b:8\n"
        try Data(edited.utf8).write(to: URL(filePath: path + "/cluster/peers"))
        #expect(
            try MemberDirectory.open(path).membership?.peers.map { "\($0.node.rawValue) \($0.address)" }
                == ["1 [fe80::1]:7", "2 b:8"])
    }
}
