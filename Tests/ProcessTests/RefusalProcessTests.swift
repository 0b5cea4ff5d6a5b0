import ClusterMembership
import Foundation
import Identifiers
import MeshProtocol
import MeshTransport
import NIOHTTP1
import PartitionStore
import PlacementCore
import Testing

extension ProcessTests {
    /// Who does not belong into a cluster is kept out of it, and told what to do (R12, R15, R16, R20, D29,
    /// D30).
    @Suite("Nodes that are refused", .serialized, .timeLimit(.minutes(10)))
    struct RefusalTests {
        private static let last = 2

        @Test("D29 D30 R15 R20: a wrong certificate, cluster or version, an old disk and a copied directory")
        func refused() async throws {
            try await ClusterFixture.with { fixture in
                try await Self.wrongCertificate(fixture)
                try await Self.wrongCluster(fixture)
                try await Self.otherVersion(fixture)
                try await Self.oldDisk(fixture)
                let (copy, count) = try await Self.copiedDirectory(fixture)
                try await Self.setBack(fixture, to: copy, count)
                // Nobody else was harmed.
                try await fixture.waitUntilWhole(HTTPClient())
            }
        }

        /// The node stops by itself, with a sentence.
        private static func expectEnd(
            _ process: ChildProcess, _ words: [String], at location: SourceLocation = #_sourceLocation
        ) async throws {
            let end = try await process.waitForEnd(within: .seconds(60))
            let text = process.output.text
            #expect(end == .exited(1), "\(text)", sourceLocation: location)
            for part in words { #expect(text.contains(part), "\(text)", sourceLocation: location) }
            if let line = text.split(separator: "\n").last(where: { $0.contains(words[0]) }) { print(line) }
        }

        private static func replace(_ path: String, with other: String) throws {
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.copyItem(atPath: other, toPath: path)
        }

        private static func wrongCertificate(_ fixture: ClusterFixture) async throws {
            try await fixture.stop(last)
            let node = fixture.all[last].data + "/cluster/node.pem"
            let kept = fixture.directory + "/node.pem"
            try FileManager.default.copyItem(atPath: node, toPath: kept)
            try replace(node, with: fixture.all[1].data + "/cluster/node.pem")
            try await expectEnd(
                try fixture.spawn(last), ["node.pem was issued to node", "back its own file"])
            try replace(node, with: kept)
        }

        /// A node that founded a cluster of its own stands where the others expect their third.
        private static func wrongCluster(_ fixture: ClusterFixture) async throws {
            let stranger = try fixture.spawn(last, data: fixture.directory + "/stranger")
            _ = try await stranger.line(containing: "listening on ", within: .seconds(60))
            try await fixture.order(HTTPClient(), fixture.all[last], "/cluster/init", "{}")
            print(
                try await stranger.line(
                    containing: "the two belong to different clusters, or the authority was replaced; join",
                    within: .seconds(60)))
            let first = try #require(fixture.all[0].process)
            print(
                try await first.line(
                    containing: "was not issued by this cluster's authority", within: .seconds(60)))
            // Founding again beside a cluster that is known is refused, too.
            let again = try await HTTPClient().send(
                .POST, "/cluster/init", "{}", port: fixture.all[last].port)
            #expect(again.text.contains("start it with an empty data directory"), "\(again.text)")
            try await stranger.terminateAtOnce()
        }

        /// A program of the future knocks, with the certificate of the third node.
        private static func otherVersion(_ fixture: ClusterFixture) async throws {
            let directory = try MemberDirectory.open(fixture.all[last].data)
            defer { directory.lock.release() }
            let membership = try #require(directory.membership)
            let identity = NodeIdentity(
                cluster: membership.cluster, node: membership.record.node,
                incarnation: Incarnation(rawValue: 1_000), store: membership.record.store,
                constants: MapConstants(membership.record.constants.ring),
                versions: ProtocolVersions(oldest: 7, newest: 9))
            let reasons = AsyncStream<CloseReason>.makeStream()
            let transport = try MeshTransport(
                MeshConfiguration(
                    identity, security: .mutualTLS(membership.credentials), catalog: try FrameCatalog([]),
                    seed: 1), on: EventLoop(name: "future")
            ) { _, event in
                if case .dialFailed(_, _, _, let reason, _) = event { reasons.continuation.yield(reason) }
            }
            await transport.introduce(
                MeshAddress(host: "127.0.0.1", port: UInt16(fixture.all[0].meshPort)))
            let reason = try #require(await reasons.stream.first { _ in true })
            print(reason)
            let words = "speaks mesh protocol 1 to 1, the peer 7 to 9: upgrade the older program"
            #expect("\(reason)".contains(words))
            #expect(reason.needsOperator)
            await transport.close()
            let first = try #require(fixture.all[0].process)
            _ = try await first.line(containing: words, within: .seconds(60))
        }

        private static func oldDisk(_ fixture: ClusterFixture) async throws {
            let data = fixture.all[last].data
            let image = fixture.directory + "/image"
            try FileManager.default.copyItem(atPath: data, toPath: image)
            try await fixture.startAgain(last)
            try await fixture.stop(last)
            try await expectEnd(
                try fixture.spawn(last, data: image),
                ["the cluster knows a later start of this node", "start this node with an empty data"])
        }

        /// A copy of a running member's directory has all that the original has, its incarnation included.
        /// The others know better: the original is connected to them and answers (D30).
        /// - Returns: the copy, and how often every counter was incremented since it was taken.
        private static func copiedDirectory(_ fixture: ClusterFixture) async throws -> (String, Int) {
            try await fixture.startAgain(last)
            try await fixture.waitUntilWhole(HTTPClient())
            try await increment(fixture, to: 1)
            let original = try #require(fixture.all[last].process)
            let copy = fixture.directory + "/copy"
            // So that no file changes while it is copied.
            original.send(SIGSTOP)
            try FileManager.default.copyItem(atPath: fixture.all[last].data, toPath: copy)
            original.send(SIGCONT)
            try await increment(fixture, to: 2)
            let again = fixture.directory + "/again"
            try FileManager.default.copyItem(atPath: copy, toPath: again)
            let ports = try ClusterFixture.freePorts(2)
            try await expectEnd(
                try fixture.spawn(last, data: again, ports: (ports[0], ports[1])),
                [
                    "this node runs already", "is a copy of a running node's",
                    "start this node with an empty data directory (--data) so that it joins anew",
                ])
            try await increment(fixture, to: 3)
            return (copy, 3)
        }

        /// All end, and one disk goes back to the copy: what a process crashed on looks the same. Its node
        /// and another one start before the third, so that it is granted what it shares with that one. It
        /// asks first, and has less (R20).
        private static func setBack(_ fixture: ClusterFixture, to copy: String, _ count: Int) async throws {
            for index in fixture.all.indices { try await fixture.kill(index) }
            try replace(fixture.all[last].data, with: copy)
            try await fixture.start(0)
            try await fixture.start(last)
            let client = HTTPClient()
            _ = try await fixture.poll(client, "/cluster", within: .seconds(60)) {
                $0.json["partitionsWithoutOwner"] as? Int == 0
            }
            try await fixture.start(1)
            try await fixture.waitUntilWhole(client)
            try await increment(fixture, to: count + 1)
            let text = try #require(fixture.all[last].process).output.text
            let line = text.split(separator: "\n").first { $0.contains("than this node and is to own it") }
            print(try #require(line))
        }

        /// Increments counters in many partitions, one after the other; each must come to that.
        private static func increment(_ fixture: ClusterFixture, to count: Int) async throws {
            let client = HTTPClient()
            for number in 0..<40 {
                let answer = try await fixture.settle(
                    client, .POST, "/actors/counter/r\(number)/actions/increment", "1",
                    key: "r\(number)-\(count)")
                #expect(answer.status == 200 && answer.text.contains("\(count)"), "\(number): \(answer.text)")
            }
        }
    }
}
