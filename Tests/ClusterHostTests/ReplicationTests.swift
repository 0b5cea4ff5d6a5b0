import ActorHost
import Foundation
import Identifiers
import MeshProtocol
import MeshTransport
import PartitionStore
import PlacementCore
import ReplicationCore
import Synchronization
import Testing

@testable import ClusterHost

@Suite("Members of a cluster, with a host that only writes", .serialized)
struct ReplicationTests {
    /// A cluster whose every partition is where the planner wants it.
    private final class Running {
        let lab: ClusterLab
        var members: [Int: ClusterMember] = [:]
        var hosts: [Int: RecordingHost] = [:]
        /// The one that runs for longest first.
        private var started: [Int] = []

        init(_ lab: ClusterLab) { self.lab = lab }

        func start(
            _ number: Int, replication: ReplicationSettings = ClusterLab.replication,
            journalBytesMax: Int? = nil, decides: Bool = true
        ) async throws {
            started.removeAll { $0 == number }
            started.append(number)
            members[number] = try await lab.start(
                number, replication: replication, journalBytesMax: journalBytesMax, decides: decides,
                onFailure: { [lab] failure in lab.failed(number, failure) }
            ) { store, _ in
                let host = RecordingHost(store)
                hosts[number] = host
                return host
            }
        }

        func stop() async {
            for number in members.keys.sorted() { await members[number]?.stop() }
        }

        /// The first map, on the node that runs for longest, with that property: one that comes back begins
        /// with the map that it left with.
        func map(
            _ what: String, where isMatch: @escaping @Sendable (ClusterMap) -> Bool
        ) async throws -> ClusterMap {
            let oldest = started.first { members[$0] != nil }
            let board = try #require(oldest.flatMap { members[$0] }).control.maps
            return try await within(what) { await board.first(where: isMatch) }
        }

        func settled(_ count: Int) async throws -> ClusterMap {
            try await map("\(count) nodes with all copies in place") {
                ClusterLab.isSettled($0, nodes: count)
            }
        }

        /// The process ends without a word, and an operator says so.
        func lose(_ node: NodeState) async throws {
            await members.removeValue(forKey: Int(node.id.rawValue))?.abandon()
            let survivor = try #require(members.values.first)
            try await within("the operator's command") {
                while true {
                    let outcomes = try? await survivor.control.propose([
                        .nodeDown(node.id, node.incarnation, .operator)
                    ])
                    if outcomes == [.accepted] || outcomes == [.refused(.notUp)] { return }
                }
            }
        }

        /// Whether no journal has the beginning of any partition any more.
        func haveForgotten(_ map: ClusterMap) async throws -> Bool {
            for member in members.values {
                for number in map.partitions.indices {
                    let records = try await within("the journal") {
                        await withCheckedContinuation { continuation in
                            member.replicas.store.readLog(
                                of: PartitionID(number), after: .zero, bytesMax: 1
                            ) { continuation.resume(returning: $0) }
                        }
                    }
                    if records != nil { return false }
                }
            }
            return true
        }

        /// Grants a partition, as a leader that decides would.
        func promote(_ life: NodeLife, to partition: PartitionID) async throws {
            let member = try #require(members.values.first)
            try await within("the grant of partition \(partition.rawValue)") {
                while true {
                    guard let revision = await member.control.currentMap()?[partition]?.revision else {
                        continue
                    }
                    let outcomes = try? await member.control.propose([
                        .promote(partition, revision, to: life)
                    ])
                    if outcomes == [.accepted] { return }
                }
            }
        }

        func serves(_ partition: PartitionID, _ life: NodeLife, _ epoch: Epoch) async throws {
            let host = try #require(hosts[Int(life.node.rawValue)])
            try await within("partition \(partition.rawValue) is served") {
                await host.first {
                    if case .serve(partition, epoch) = $0 { true } else { false }
                }
            }
        }

        func write(_ name: String, to partition: PartitionID, at life: NodeLife) async throws -> LogPosition {
            let host = try #require(hosts[Int(life.node.rawValue)])
            let address = try ActorAddress(kind: ActorKind("note"), key: ActorKey([name]))
            let outcome = try await within("a commit") {
                await host.write(address, Array(name.utf8), to: partition)
            }
            guard case .committed(let position) = outcome else { throw ClusterLab.Failure.stopped }
            return position
        }
    }

    private func cluster(
        replication: ReplicationSettings = ClusterLab.replication, journalBytesMax: Int? = nil
    ) async throws -> Running {
        let running = Running(try ClusterLab())
        for number in 1...3 {
            try await running.start(number, replication: replication, journalBytesMax: journalBytesMax)
        }
        return running
    }

    @Test("Three nodes found a cluster; every partition gets an owner and a follower, and commits")
    func founding() async throws {
        let running = try await cluster()
        let map = try await running.settled(3)
        #expect(map.voters.voters.count == 3)
        for (number, partition) in map.partitions.enumerated() {
            let id = PartitionID(number)
            let owner = try #require(partition.owner)
            try await running.serves(id, owner, partition.epoch)
            _ = try await running.write("a", to: id, at: owner)
            let host = try #require(running.hosts[Int(owner.node.rawValue)])
            #expect(try await within("a confirmation") { await host.confirmRead(id) })
        }
        await running.stop()
    }

    @Test("R1: nothing is committed before the follower has it on its disk")
    func followerFirst() async throws {
        var settings = ClusterLab.replication
        // Nobody is dropped from the in-sync set meanwhile.
        settings.shrinkAfterMicros = 600_000_000
        let running = try await cluster(replication: settings)
        let map = try await running.settled(3)
        let partition = PartitionID(0)
        let state = try #require(map[partition])
        let owner = try #require(state.owner)
        try await running.serves(partition, owner, state.epoch)
        let before = try await running.write("before", to: partition, at: owner)

        let follower = try #require(state.inSync.first { $0.node != owner.node })
        let deaf = try #require(running.members[Int(follower.node.rawValue)])
        await deaf.transport.pauseReading(owner.node, on: .data, true)
        let host = try #require(running.hosts[Int(owner.node.rawValue)])
        let told = Mutex<RecordingHost.Outcome?>(nil)
        let address = try ActorAddress(kind: ActorKind("note"), key: ActorKey(["held"]))
        host.write(address, [1], to: partition) { outcome in told.withLock { $0 = outcome } }
        let member = try #require(running.members[Int(owner.node.rawValue)])
        try await within("the owner's own disk") {
            while await member.replicas.durable(partition) < before.next { await Task.yield() }
        }
        // What is on the owner's disk was handled on its loop before that question was.
        #expect(told.withLock { $0 } == nil)
        #expect(await member.replicas.committed(partition) == before)

        await deaf.transport.pauseReading(owner.node, on: .data, false)
        try await within("the commit") {
            while told.withLock({ $0 }) == nil { await Task.yield() }
        }
        #expect(told.withLock { $0 } == .committed(before.next))
        await running.stop()
    }

    @Test(
        "A node dies and is declared down: its follower goes on with all of it, and it comes back",
        arguments: 1...3)
    func failover(dying: Int) async throws {
        let running = try await cluster()
        let map = try await running.settled(3)
        var owned: [PartitionID] = []
        for (number, partition) in map.partitions.enumerated() {
            let id = PartitionID(number)
            let owner = try #require(partition.owner)
            try await running.serves(id, owner, partition.epoch)
            _ = try await running.write("before", to: id, at: owner)
            if owner.node == ClusterLab.node(dying) { owned.append(id) }
        }
        #expect(!owned.isEmpty, "the planner gives every node something")

        let dead = try #require(map[ClusterLab.node(dying)])
        try await running.lose(dead)
        let after = try await running.settled(2)
        for id in owned {
            let partition = try #require(after[id])
            let owner = try #require(partition.owner)
            #expect(owner.node != dead.id)
            try await running.serves(id, owner, partition.epoch)
            _ = try await running.write("after", to: id, at: owner)
        }

        try await running.start(dying)
        let again = try await running.settled(3)
        #expect(again[dead.id]?.incarnation ?? dead.incarnation > dead.incarnation)
        for (number, partition) in again.partitions.enumerated() {
            let id = PartitionID(number)
            let owner = try #require(partition.owner)
            try await running.serves(id, owner, partition.epoch)
            let end = try await running.write("again", to: id, at: owner)
            // Whoever owns or follows it has all that was ever acknowledged.
            for member in partition.inSync {
                let store = try #require(running.hosts[Int(member.node.rawValue)]).store
                try await applied(id, end, at: store)
                for name in owned.contains(id) ? ["before", "after", "again"] : ["before", "again"] {
                    let address = try ActorAddress(kind: ActorKind("note"), key: ActorKey([name]))
                    #expect(try store.actor(at: address, in: id)?.state == Array(name.utf8))
                }
            }
        }
        await running.stop()
    }

    @Test("I19: a node that lives and was declared down hears so, stops, and acknowledges nothing any more")
    func declaredDown() async throws {
        let running = try await cluster()
        let map = try await running.settled(3)
        let partition = PartitionID(0)
        let owner = try #require(map[partition]?.owner)
        try await running.serves(partition, owner, try #require(map[partition]).epoch)
        _ = try await running.write("before", to: partition, at: owner)
        let number = Int(owner.node.rawValue)
        let zombie = try #require(running.members[number])
        running.members[number] = nil
        let host = try #require(running.hosts[number])
        let survivor = try #require(running.members.values.first)
        try await within("the operator's command") {
            while true {
                let command = Command.nodeDown(owner.node, owner.incarnation, .operator)
                let outcomes = try? await survivor.control.propose([command])
                if outcomes == [.accepted] || outcomes == [.refused(.notUp)] { return }
            }
        }
        let failure = try await within("the end of the life") { [lab = running.lab] in
            await lab.failure(of: number)
        }
        guard case .refused(.staleLife) = failure else {
            Issue.record("\(failure)")
            return
        }
        let after = try await running.settled(2)
        let heir = try #require(after[partition]?.owner)
        #expect(heir.node != owner.node)
        try await running.serves(partition, heir, try #require(after[partition]).epoch)
        let position = try await running.write("after", to: partition, at: heir)
        // Everything that the old owner has said was before the new one's first record.
        let address = try ActorAddress(kind: ActorKind("note"), key: ActorKey(["late"]))
        host.write(address, [1], to: partition) { outcome in
            if case .committed = outcome { Issue.record("acknowledged by a life that is over") }
        }
        #expect(await zombie.replicas.committed(partition) < position)
        await zombie.abandon()
        await running.stop()
    }

    @Test("A follower that comes back takes part although nothing else changes in the map")
    func comesBackQuietly() async throws {
        var settings = ClusterLab.replication
        // The owner waits for it, and asks for no change.
        settings.shrinkAfterMicros = 600_000_000
        let running = Running(try ClusterLab(members: 2))
        for number in 1...2 { try await running.start(number, replication: settings) }
        let before = try await running.settled(2)
        let partition = PartitionID(0)
        // Both have all of the log, or whoever has less would hand over to the other (R20).
        let former = try #require(before[partition])
        let last = try #require(former.owner)
        try await running.serves(partition, last, former.epoch)
        _ = try await running.write("first", to: partition, at: last)
        await running.stop()
        for number in 1...2 { try await running.start(number, replication: settings, decides: false) }
        let lives = try await running.map("both lives") { map in
            before.nodes.allSatisfy { old in map[old.id].map { $0.life != old.life && $0.isUp } ?? false }
        }
        #expect(lives[partition]?.inSync.count == 2)
        let owner = try #require(lives[ClusterLab.node(1)]?.life)
        try await running.promote(owner, to: partition)
        let granted = try await running.map("the grant") { $0[partition]?.owner == owner }
        try await running.serves(partition, owner, try #require(granted[partition]).epoch)
        _ = try await running.write("before", to: partition, at: owner)

        await running.members.removeValue(forKey: 2)?.abandon()
        try await running.start(2, replication: settings, decides: false)
        _ = try await running.write("after", to: partition, at: owner)
        await running.stop()
    }

    @Test("The only voter starts again although the nodes that it remembers do not vote")
    func onlyVoter() async throws {
        let running = Running(try ClusterLab(members: 2))
        // Nobody makes the other one a voter.
        for number in 1...2 { try await running.start(number, decides: false) }
        let before = try await running.map("both nodes") { $0.nodes.count(where: \.isUp) == 2 }
        await running.stop()
        for number in 1...2 { try await running.start(number, decides: false) }
        _ = try await running.map("both lives") { map in
            before.nodes.allSatisfy { old in map[old.id].map { $0.life != old.life && $0.isUp } ?? false }
        }
        await running.stop()
    }

    @Test("D22: a node that was away for longer than the journal reaches back gets the tables themselves")
    func snapshots() async throws {
        let running = try await cluster(journalBytesMax: 64 << 10)
        let map = try await running.settled(3)
        let dead = try #require(map[ClusterLab.node(3)])
        try await running.lose(dead)
        let without = try await running.settled(2)
        let filling = [UInt8](repeating: 7, count: 20 << 10)
        for (number, partition) in without.partitions.enumerated() {
            let owner = try #require(partition.owner)
            try await running.serves(PartitionID(number), owner, partition.epoch)
        }
        // Until the journals of both others no longer have the beginning, which they let go of when their
        // tables have it on the disk.
        for round in 0... {
            for (number, partition) in without.partitions.enumerated() {
                let owner = try #require(partition.owner)
                let host = try #require(running.hosts[Int(owner.node.rawValue)])
                let address = try ActorAddress(kind: ActorKind("note"), key: ActorKey(["f\(round)"]))
                let id = PartitionID(number)
                let outcome = try await within("a commit") { await host.write(address, filling, to: id) }
                guard case .committed(let position) = outcome else { throw ClusterLab.Failure.stopped }
                try await applied(id, position, at: host.store)
            }
            if round >= 20, try await running.haveForgotten(without) { break }
            try #require(round < 2_000, "the journals keep everything")
        }
        try await running.start(3, journalBytesMax: 64 << 10)
        let again = try await running.settled(3)
        let back = try #require(running.hosts[3]).store
        var copies = 0
        for (number, partition) in again.partitions.enumerated()
        where partition.inSync.contains(ClusterLab.replica(3)) {
            let id = PartitionID(number)
            copies += 1
            let owner = try #require(partition.owner)
            try await running.serves(id, owner, partition.epoch)
            let end = try await running.write("again", to: id, at: owner)
            try await applied(id, end, at: back)
            for name in 0..<20 {
                let address = try ActorAddress(kind: ActorKind("note"), key: ActorKey(["f\(name)"]))
                #expect(try back.actor(at: address, in: id)?.state == filling)
            }
        }
        #expect(copies > 0)
        let received = await running.members[3]?.replicas.snapshots.receivedCount
        #expect(received ?? 0 > 0, "the journal reached back far enough, and nothing was shown")
        await running.stop()
    }

    @Test("Snapshots for nodes that are away keep nobody else waiting, and begin when they come")
    func absentReceivers() async throws {
        let running = try await cluster()
        let map = try await running.settled(3)
        let number = try #require(
            map.partitions.indices.first { map.partitions[$0].owner?.node == ClusterLab.node(1) })
        let snapshots = try #require(running.members[1]).replicas.snapshots
        let epoch = map.partitions[number].epoch
        // More than go at the same time.
        for other in 10..<14 {
            await snapshots.send(PartitionID(number), to: ClusterLab.replica(other), in: epoch, epochs: [])
        }
        await snapshots.send(PartitionID(number), to: ClusterLab.replica(2), in: epoch, epochs: [])
        // It needs none and says so.
        try await within("the end of the one that can be sent", limit: .seconds(15)) {
            while await snapshots.endedCount == 0 { try await Task.sleep(for: .milliseconds(10)) }
        }
        #expect(await snapshots.endedCount == 1)
        await running.stop()
    }

    private func applied(
        _ partition: PartitionID, _ end: LogPosition, at store: ReplicationDriver
    ) async throws {
        try await within("tables with everything") {
            while store.appliedPosition(of: partition) < end {
                store.requestApply([partition])
                await Task.yield()
            }
        }
    }
}
