import Identifiers
import MeshProtocol
import Testing
import TimeAndChance

@testable import MeshTransport

@Suite("Who is kept out of the mesh, and what both sides are told", .timeLimit(.minutes(2)))
struct RefusalTests {
    /// Dials, and returns why it failed, as the dialler and the acceptor see it.
    private func failures(_ dialler: LabNode, _ acceptor: LabNode) async -> (CloseReason, CloseReason) {
        await dialler.connect(to: acceptor)
        let reasons = (await dialler.failure(), await acceptor.failure())
        await dialler.transport.close()
        await acceptor.transport.close()
        return reasons
    }

    private func expect(
        _ reasons: (CloseReason, CloseReason), dialler: String, acceptor: String,
        at location: SourceLocation = #_sourceLocation
    ) {
        #expect("\(reasons.0)".contains(dialler), sourceLocation: location)
        #expect("\(reasons.1)".contains(acceptor), sourceLocation: location)
    }

    @Test("A70: a certificate of another authority")
    func wrongAuthority() async throws {
        let lab = try Lab()
        let other = try ClusterAuthority(cluster: Lab.cluster, at: Lab.time)
        let stranger = try other.credentials(for: NodeID(rawValue: 1), at: Lab.time)
        let reasons = await failures(
            try await lab.node(1, credentials: stranger), try await lab.node(2))
        // The dialler judges first, and tells the acceptor by an alert.
        expect(
            reasons, dialler: "was not issued by this cluster's authority",
            acceptor: "does not believe the authority of this node's certificate")
    }

    @Test("A70: only the acceptor objects to the dialler's authority")
    func wrongAuthorityOfDialler() async throws {
        let lab = try Lab()
        let other = try ClusterAuthority(cluster: Lab.cluster, at: Lab.time)
        let key = try PrivateKey()
        let issued = try other.issue(to: NodeID(rawValue: 1), for: CertificateRequest(for: key), at: Lab.time)
        let stranger = try NodeCredentials(
            key: key, certificate: issued, authorities: [lab.authority.certificate])
        let reasons = await failures(
            try await lab.node(1, credentials: stranger), try await lab.node(2))
        expect(
            reasons, dialler: "does not believe the authority of this node's certificate",
            acceptor: "was not issued by this cluster's authority")
    }

    @Test("A70: an expired certificate, of either side")
    func expired() async throws {
        let lab = try Lab()
        let old = Timestamp(rawValue: Lab.time.rawValue - 100_000_000_000)
        func expired(_ node: UInt64) throws -> NodeCredentials {
            try lab.authority.credentials(for: NodeID(rawValue: node), at: old, validFor: .seconds(60))
        }
        var reasons = await failures(
            try await lab.node(1, credentials: expired(1)), try await lab.node(2))
        expect(
            reasons, dialler: "says that this node's certificate has expired: renew it",
            acceptor: "the peer's certificate has expired: renew it there")
        reasons = await failures(try await lab.node(1), try await lab.node(2, credentials: expired(2)))
        expect(
            reasons, dialler: "the peer's certificate has expired: renew it there",
            acceptor: "says that this node's certificate has expired: renew it")
    }

    @Test("A70: after a renewal the node is welcome again")
    func renewal() async throws {
        let lab = try Lab()
        let old = Timestamp(rawValue: Lab.time.rawValue - 100_000_000_000)
        let expired = try lab.authority.credentials(for: NodeID(rawValue: 1), at: old, validFor: .seconds(60))
        let node = try await lab.node(1, credentials: expired, settings: Lab.quick)
        let other = try await lab.node(2)
        await node.connect(to: other)
        _ = await node.failure()
        try await node.transport.renew(lab.credentials(1))
        await node.isConnected(to: other)
        // Renewing must not turn a node into another.
        await #expect(throws: MeshTransportError.self) { try await node.transport.renew(lab.credentials(3)) }
        await node.transport.close()
        await other.transport.close()
    }

    @Test("A70: a copied key file: the certificate names another node")
    func copiedCertificate() async throws {
        let lab = try Lab()
        await #expect(throws: MeshTransportError.self) {
            _ = try await lab.node(1, credentials: lab.credentials(3))
        }
        // A program that does not check itself is found out by its peer.
        let other = try await lab.node(2)
        let socket = try TLSClient(try lab.credentials(3), port: other.address.port)
        try await blocking { try socket.greet(as: Lab.identity(1)) }
        let reason = await other.failure()
        #expect("\(reason)".contains("claims to be node 1, its certificate was issued to node 3"))
        await other.transport.close()
    }

    @Test("Another cluster under the same authority")
    func wrongCluster() async throws {
        let lab = try Lab()
        var identity = Lab.identity(1)
        identity.cluster = ClusterID(high: 5, low: 5)
        let reasons = await failures(
            try await lab.node(1, identity: identity, plain: true), try await lab.node(2, plain: true))
        expect(
            reasons, dialler: "the peer closed: this node belongs to cluster",
            acceptor: "correct the peer's seeds")
    }

    @Test(
        "Another version, other constants, a copied store: the same sentence on both sides"
    )
    func otherIdentities() async throws {
        let lab = try Lab()
        var version = Lab.identity(1)
        version.versions = ProtocolVersions(oldest: 2, newest: 2)
        var constants = Lab.identity(1)
        constants.constants.partitionCount = 64
        for (identity, part) in [(version, "upgrade the older program"), (constants, "64 there")] {
            let reasons = await failures(
                try await lab.node(1, identity: identity), try await lab.node(2))
            expect(reasons, dialler: part, acceptor: part)
        }
        let acceptor = try await lab.node(2)
        let record = PeerDirectory.Record(store: StoreID(high: 7, low: 7), incarnation: .init(rawValue: 1))
        await acceptor.transport.learn(NodeID(rawValue: 1), record)
        let part = "its identity was copied or its disk replaced"
        expect(await failures(try await lab.node(1), acceptor), dialler: part, acceptor: part)
    }

    @Test("A node that dials itself, and a copy of it")
    func oneself() async throws {
        let lab = try Lab()
        let node = try await lab.node(1)
        await node.transport.introduce(node.address)
        #expect("\(await node.failure())".contains("has connected to itself"))
        let copy = try await lab.node(1, identity: Lab.identity(1, incarnation: 2))
        await copy.transport.introduce(node.address)
        #expect("\(await copy.failure())".contains("two processes run with copies of one data directory"))
        await node.transport.close()
        await copy.transport.close()
    }

    @Test("A71: half a frame and then silence ends by the deadline; half a handshake too")
    func silence() async throws {
        var settings = MeshSettings()
        settings.deadlines.idle = .milliseconds(50)
        settings.deadlines.pong = .milliseconds(50)
        let lab = try Lab()
        for half in [0, 5, 12, 100] {
            let node = try await lab.node(1, plain: true, settings: settings)
            let socket = try await blocking {
                let socket = try RawSocket(port: node.address.port)
                try socket.greet(as: Lab.identity(2))
                let frame = Frame(Lab.kind, [UInt8](repeating: 1, count: 500))
                socket.write(Array(frame.encoded(on: .data)[..<half]))
                return socket
            }
            #expect(await node.failure() == .noPong)
            withExtendedLifetime(socket) {}
            await node.transport.close()
        }
        settings.deadlines.handshake = .milliseconds(100)
        for plain in [true, false] {
            let node = try await lab.node(1, plain: plain, settings: settings)
            let socket = try await blocking {
                let socket = try RawSocket(port: node.address.port)
                socket.write([0x16])
                return socket
            }
            #expect(await node.failure() == .handshakeTimedOut)
            withExtendedLifetime(socket) {}
            await node.transport.close()
        }
    }

    @Test("A71: garbage closes that connection only, before and after the handshake, with and without TLS")
    func garbage() async throws {
        let lab = try Lab()
        for plain in [true, false] {
            let node = try await lab.node(1, plain: plain)
            let friend = try await lab.node(2, plain: plain)
            await friend.connect(to: node)
            await node.isConnected(to: friend)
            for seed in 0..<20 {
                try await blocking {
                    var random = SplitMix64(seed: UInt64(seed))
                    let socket = try RawSocket(port: node.address.port)
                    socket.write((0..<500).map { _ in UInt8.random(in: 0...255, using: &random) })
                    // Until the node closes.
                    while !socket.read().isEmpty {}
                }
            }
            await node.log.wait(20) { if case .rejected = $0 { true } else { false } }
            #expect(await node.transport.send(Frame(Lab.kind), to: friend.id, on: .data) == .queued)
            _ = await friend.payloads(from: node, count: 1)
            await node.transport.close()
            await friend.transport.close()
        }
        let node = try await lab.node(1, plain: true)
        try await blocking {
            let socket = try RawSocket(port: node.address.port)
            try socket.greet(as: Lab.identity(2))
            socket.write([UInt8](repeating: 0xEE, count: 64))
            while !socket.read().isEmpty {}
        }
        let reason = await node.failure()
        #expect("\(reason)".contains("the peer broke the protocol"))
        await node.transport.close()
    }

    @Test("An alert reaches a peer that is still sending")
    func alertBeforeReset() async throws {
        let lab = try Lab()
        let node = try await lab.node(1)
        let answer = try await blocking {
            let socket = try RawSocket(port: node.address.port)
            // A server's hello, which no client may send, and far more than is read with it.
            let nonsense: [UInt8] = [0x16, 3, 1, 0, 5, 2, 0, 0, 1, 0]
            socket.write(nonsense + [UInt8](repeating: 0, count: 4 << 20))
            return socket.read()
        }
        // A fatal alert: unexpected message (RFC 8446, section 6).
        #expect(answer.first == 0x15 && answer.suffix(2) == [2, 10])
        await node.transport.close()
    }

    @Test("A peer without TLS is told apart", arguments: [true, false])
    func noTLS(diallerIsPlain: Bool) async throws {
        let lab = try Lab()
        let dialler = try await lab.node(1, plain: diallerIsPlain)
        let acceptor = try await lab.node(2, plain: !diallerIsPlain)
        let reasons = await failures(dialler, acceptor)
        if diallerIsPlain {
            #expect("\(reasons.1)".contains("the peer does not speak TLS"))
        } else {
            #expect("\(reasons.1)".contains("the peer broke the protocol"))
        }
    }
}
