import ActorHost
import Foundation
import Identifiers
import PartitionStore
import PlacementCore
import Testing

@testable import ClusterHost

@Suite("Members of a cluster, with a host that only writes", .serialized)
struct ReplicationTests {
    struct Running {
        let member: ClusterMember
        let host: RecordingHost
    }

    private func start(_ number: Int, in lab: ClusterLab) async throws -> Running {
        var host: RecordingHost?
        let member = try await lab.start(number) { store in
            let made = RecordingHost(store)
            host = made
            return made
        }
        return Running(member: member, host: try #require(host))
    }

    private func settled(_ map: ClusterMap, _ count: Int) -> Bool {
        map.nodes.count(where: \.isUp) == count
            && map.partitions.allSatisfy { $0.owner != nil && $0.inSync.count == 2 && $0.learners.isEmpty }
    }

    @Test("Three nodes found a cluster, and every partition has an owner and a follower in sync")
    func founding() async throws {
        let lab = try ClusterLab()
        var running: [Running] = []
        for number in 1...3 { running.append(try await start(number, in: lab)) }
        for node in running {
            let member = node.member
            _ = try await within("registration") { await member.ready() }
        }
        let first = running[0].member
        let map = try await within("copies") {
            await first.control.maps.first { map in
                map.nodes.count(where: \.isUp) == 3
                    && map.partitions.allSatisfy { $0.owner != nil && $0.inSync.count == 2 }
                    && map.voters.voters.count == 3
            }
        }
        for (number, partition) in map.partitions.enumerated() {
            let owner = try #require(partition.owner)
            let host = running[Int(owner.node.rawValue) - 1].host
            let id = PartitionID(number)
            try await within("serving") { await host.serves(id) }
            let address = try ActorAddress(kind: ActorKind("note"), key: ActorKey(["n\(number)"]))
            let outcome = try await within("commit") { await host.write(address, [1, 2], to: id) }
            guard case .committed = outcome else {
                Issue.record("partition \(number) has committed nothing: \(outcome)")
                continue
            }
        }
        for node in running { await node.member.stop() }
    }
}
