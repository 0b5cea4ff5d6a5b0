import Identifiers
import MembershipCore
import MeshProtocol
import MeshTransport
import PlacementCore
import Testing

@testable import ClusterHost

@Suite("What members of a cluster think of each other", .serialized)
struct GossipTests {
    /// A tenth of the usual times.
    private static let quick = {
        var settings = SwimSettings()
        settings.tick = .milliseconds(20)
        settings.probePeriod = .milliseconds(100)
        settings.directTimeout = .milliseconds(30)
        settings.gossipPeriod = .milliseconds(20)
        return settings
    }()

    private static func start(_ number: Int, in lab: ClusterLab) async throws -> ClusterMember {
        try await lab.start(number, gossip: quick) { store, _ in RecordingHost(store) }
    }

    /// Waits until the process has its life, and gives that.
    private static func life(of member: ClusterMember) async throws -> NodeLife {
        try await within("a life") {
            while true {
                if let life = await member.control.life { return life }
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    /// Waits until a member thinks so of another one.
    private static func await(
        _ state: MemberState, of number: Int, at member: ClusterMember,
        where isMatch: @escaping @Sendable (Opinion) -> Bool = { _ in true }
    ) async throws -> Opinion {
        try await within("node \(number) to seem \(state)") {
            while true {
                let opinion = await member.gossip.opinions()[ClusterLab.node(number)]
                if let opinion, opinion.state == state, isMatch(opinion) { return opinion }
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    @Test("A process that ends without a word becomes unreachable for the others, and its next one alive")
    func silenceAndReturn() async throws {
        let lab = try ClusterLab()
        var members: [ClusterMember] = []
        for number in 1...3 { members.append(try await Self.start(number, in: lab)) }
        var lives: [NodeLife] = []
        for member in members { lives.append(try await Self.life(of: member)) }
        for (index, member) in members.enumerated() {
            for number in 1...3 where number != index + 1 {
                let incarnation = lives[number - 1].incarnation
                let opinion = try await Self.await(.alive, of: number, at: member) {
                    $0.incarnation == incarnation
                }
                #expect(opinion.isListed)
            }
            #expect(await member.gossip.opinions().count == 2)
        }
        await members[2].abandon()
        for member in members[...1] {
            let opinion = try await Self.await(.unreachable, of: 3, at: member)
            #expect(!opinion.accusers.isEmpty && opinion.incarnation == lives[2].incarnation)
            // Gossip suggests, and changes nothing.
            #expect(await member.control.currentMap()?[ClusterLab.node(3)]?.isUp == true)
        }
        members[2] = try await Self.start(3, in: lab)
        let next = try await Self.life(of: members[2])
        for member in members[...1] {
            let opinion = try await Self.await(.alive, of: 3, at: member)
            #expect(opinion.incarnation == next.incarnation && next.incarnation > lives[2].incarnation)
        }
        // One that ends in order says so itself.
        await members[2].stop()
        for member in members[...1] { _ = try await Self.await(.left, of: 3, at: member) }
        for member in members[...1] { await member.stop() }
    }

    @Test("What a member says of its work and its map reaches the others")
    func facts() async throws {
        let lab = try ClusterLab(members: 2)
        let members = [try await Self.start(1, in: lab), try await Self.start(2, in: lab)]
        members[1].gossip.loop.post { members[1].gossip.assumeIsolated { $0.backlog = 7 } }
        let opinion = try await Self.await(.alive, of: 2, at: members[0]) {
            $0.meta.backlog == 7 && $0.meta.mapVersion > 0
        }
        #expect(opinion.age >= .zero)
        for member in members { await member.stop() }
    }
}
