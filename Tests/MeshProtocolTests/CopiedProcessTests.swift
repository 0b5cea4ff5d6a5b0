import Identifiers
import Testing

@testable import MeshProtocol

/// D30: while the process of a node answers, another process with a copy of its directory is turned away.
@Suite("Two processes with one node's identity") struct CopiedProcessTests {
    /// Node 1 is connected to node 2; core 2 is another process of node 1, and nobody has heard of it.
    private static func mesh(incarnation: UInt32 = 5) -> VirtualMesh {
        var (first, second) = (HandshakeTests.identity(1), HandshakeTests.identity(1))
        (first.process, second.process) = (11, 12)
        second.incarnation = Incarnation(rawValue: incarnation)
        var mesh = VirtualMesh([first, HandshakeTests.identity(2), second])
        mesh.connect(0, to: 1)
        mesh.run()
        return mesh
    }

    private static func refusals(_ mesh: VirtualMesh) -> [Refusal] {
        mesh.events[2].compactMap { event in
            if case .dialFailed(_, _, _, .refusedByPeer(let refusal), _) = event { refusal } else { nil }
        }
    }

    private static func isConnected(_ mesh: VirtualMesh, _ node: Int) -> Bool { mesh.wire(node, 1) != nil }

    @Test(
        "The first one is asked, answers, and stays; the second is told what to do",
        arguments: [UInt32(5), 6], MeshLane.allCases)
    func answering(incarnation: UInt32, lane: MeshLane) throws {
        var mesh = Self.mesh(incarnation: incarnation)
        mesh.connect(2, to: 1, lanes: [lane])
        mesh.run()
        #expect(Self.refusals(mesh).map(\.code) == [.occupied])
        #expect(Self.refusals(mesh)[0].needsOperator == false)
        mesh.advance(by: .seconds(60))
        let last = try #require(Self.refusals(mesh).dropFirst().first)
        #expect(last.code == .runsElsewhere && last.needsOperator)
        #expect(last.sentence.contains("start the peer with an empty directory"))
        #expect(!Self.isConnected(mesh, 2) && Self.isConnected(mesh, 0))
        #expect(mesh.wire(2, 1, lane) == nil)
        // Its own connections go on, and it may lose them and come back.
        _ = mesh.send([7], from: 0, to: 1)
        mesh.run()
        #expect(mesh.payloads(at: 1) == [[7]])
        if let wire = mesh.wire(0, 1) { mesh.cut(wire) }
        mesh.handle(.disconnect(mesh.id(1)), at: 2)
        mesh.advance(by: .seconds(30))
        #expect(Self.isConnected(mesh, 0))
    }

    @Test("Who was called by the other side is judged alike")
    func dialled() {
        var mesh = Self.mesh()
        mesh.handle(.introduce(VirtualMesh.address(2)), at: 1)
        mesh.run()
        #expect(mesh.cores[1].linkCount == 1 && Self.isConnected(mesh, 0))
        let rejected = mesh.events[2].compactMap { event in
            if case .rejected(_, .refusedByPeer(let refusal)) = event { refusal.code } else { nil }
        }
        #expect(rejected == [.occupied])
    }

    @Test("A process that does not answer is gone, and the next one is let in after the deadline")
    func silent() {
        var mesh = Self.mesh()
        // Its machine has lost its power: nobody hears of that.
        if let wire = mesh.wire(0, 1) { mesh.wires[wire]?.isSilent = true }
        mesh.handle(.disconnect(mesh.id(1)), at: 0)
        mesh.connect(2, to: 1)
        mesh.advance(by: .seconds(2))
        let wasEarly = Self.isConnected(mesh, 2)
        #expect(!wasEarly)
        mesh.advance(by: .seconds(20))
        let isConnected = Self.isConnected(mesh, 2)
        #expect(isConnected)
        #expect(Set(Self.refusals(mesh).map(\.code)) == [.occupied])
    }

    @Test("A process that ended is followed at once, and one that does not say who it is like before")
    func ended() {
        var mesh = Self.mesh()
        if let wire = mesh.wire(0, 1) { mesh.cut(wire) }
        mesh.handle(.disconnect(mesh.id(1)), at: 0)
        mesh.connect(2, to: 1)
        mesh.run()
        #expect(Self.isConnected(mesh, 2) && Self.refusals(mesh).isEmpty)

        let second = HandshakeTests.identity(1)
        var older = VirtualMesh([HandshakeTests.identity(1), HandshakeTests.identity(2), second])
        older.connect(0, to: 1)
        older.run()
        older.connect(2, to: 1)
        older.run()
        #expect(Self.isConnected(older, 2))
    }
}
