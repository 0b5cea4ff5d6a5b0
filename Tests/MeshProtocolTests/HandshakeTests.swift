import Identifiers
import Testing

@testable import MeshProtocol

@Suite("Handshake: only the right node of the right cluster becomes a peer")
struct HandshakeTests {
    static let cluster = ClusterID(high: 1, low: 2)
    static let constants = MapConstants(partitionCount: 256, seedDigest: 7)

    static func identity(_ node: UInt64, incarnation: UInt32 = 5) -> NodeIdentity {
        NodeIdentity(
            cluster: cluster, node: NodeID(rawValue: node), incarnation: Incarnation(rawValue: incarnation),
            store: StoreID(high: 9, low: node), constants: constants)
    }

    static let dialler = identity(1)
    static let acceptor = identity(2)

    /// How a handshake between the two ended, seen from both ends.
    struct Result: Equatable {
        var dialler: Handshake.Outcome?
        var acceptor: Handshake.Outcome?
        var refusal: Refusal? {
            for case .refuse(let refusal)? in [acceptor, dialler] { return refusal }
            return nil
        }
        /// What the refused side is told.
        var toldPeer: Refusal? {
            for case .refused(let refusal)? in [dialler, acceptor] { return refusal }
            return nil
        }
    }

    static func run(
        _ dialler: NodeIdentity = dialler, _ acceptor: NodeIdentity = acceptor, expected: NodeID? = nil,
        diallerKnows: PeerDirectory = .init(), acceptorKnows: PeerDirectory = .init(),
        diallersCertificate: CertificateIdentity? = nil, acceptorsCertificate: CertificateIdentity? = nil,
        isDuplicate: Bool = false, comparesConstants: Bool = true
    ) -> Result {
        var left = Handshake(
            dialler, as: .dialler(.data, expected: expected), certificate: acceptorsCertificate)
        var right = Handshake(acceptor, as: .acceptor, certificate: diallersCertificate)
        (left.comparesConstants, right.comparesConstants) = (comparesConstants, comparesConstants)
        var result = Result()
        var toRight = left.opening
        var toLeft = right.opening
        while !toRight.isEmpty || !toLeft.isEmpty {
            for frame in toRight {
                let outcome = right.received(frame, directory: acceptorKnows) { _ in isDuplicate }
                toLeft += frames(of: outcome)
                result.acceptor = outcome
            }
            toRight = []
            for frame in toLeft {
                let outcome = left.received(frame, directory: diallerKnows) { _ in false }
                toRight += frames(of: outcome)
                result.dialler = outcome
                if case .refuse = outcome { break }
            }
            toLeft = []
            if case .refused = result.acceptor { break }
            if case .refused = result.dialler { break }
            // Whoever has refused listens no more; the other reads the farewell.
            if case .refuse(let refusal) = result.dialler {
                result.acceptor = right.received(refusal.frame, directory: acceptorKnows) { _ in false }
                break
            }
        }
        return result
    }

    static func frames(of outcome: Handshake.Outcome) -> [Frame] {
        switch outcome {
        case .send(let frames), .established(let frames, _): frames
        case .refuse(let refusal): [refusal.frame]
        case .refused: []
        }
    }

    @Test("Both sides know node, incarnation, store, lane and version of the other")
    func established() {
        let result = Self.run(expected: NodeID(rawValue: 2))
        guard case .established(_, let right)? = result.dialler,
            case .established([], let left)? = result.acceptor
        else {
            Issue.record("\(result)")
            return
        }
        let two = Self.acceptor
        #expect(
            right
                == MeshPeer(
                    node: two.node, incarnation: two.incarnation, store: two.store, lane: .data, version: 1))
        #expect(left.node == Self.dialler.node && left.store == Self.dialler.store && left.lane == .data)
    }

    @Test("Golden bytes of hello, whose layout is fixed for ever; what follows is skipped")
    func golden() throws {
        let hello = Hello(Self.dialler, lane: .bulk)
        let expected: [UInt8] =
            [1, 0, 0, 0, 1, 0, 0, 0] + [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
            + [1, 0, 0, 0, 0, 0, 0, 0] + [5, 0, 0, 0] + [9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
            + [0, 1, 0, 0] + [7, 0, 0, 0, 0, 0, 0, 0] + [2]
        #expect(hello.payload == expected)
        #expect(try Hello(decoding: expected + [1, 2, 3]) == hello)
        var identity = Self.dialler
        identity.process = 0x0807_0605_0403_0201
        let named = Hello(identity, lane: .bulk)
        #expect(named.payload == expected + [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(try Hello(decoding: named.payload + [9]) == named)
        for count in expected.indices {
            #expect(throws: (any Error).self) { try Hello(decoding: Array(expected[..<count])) }
        }
    }

    @Test("The newest version that both speak is spoken")
    func versions() {
        func versions(_ oldest: UInt32, _ newest: UInt32) -> ProtocolVersions {
            ProtocolVersions(oldest: oldest, newest: newest)
        }
        #expect(versions(1, 3).common(with: versions(2, 9)) == 3)
        #expect(versions(2, 9).common(with: versions(1, 3)) == 3)
        #expect(versions(1, 1).common(with: versions(2, 9)) == nil)
        var newer = Self.dialler
        newer.versions = versions(1, 4)
        guard case .established(_, let peer)? = Self.run(newer).dialler else {
            Issue.record("not established")
            return
        }
        #expect(peer.version == 1)
    }

    @Test("Another cluster") func wrongCluster() {
        var other = Self.dialler
        other.cluster = ClusterID(high: 3, low: 4)
        expect(Self.run(other), .wrongCluster, "correct the peer's seeds")
    }

    @Test("Another protocol version") func otherVersion() {
        var other = Self.dialler
        other.versions = ProtocolVersions(oldest: 2, newest: 3)
        expect(
            Self.run(other), .otherVersion, "speaks mesh protocol 1 to 1, the peer 2 to 3: upgrade the older")
    }

    @Test("R16: other constants of the map") func otherConstants() {
        var other = Self.dialler
        other.constants.partitionCount = 64
        expect(Self.run(other), .otherConstants, "(256 partitions here, 64 there)")
        other = Self.dialler
        other.constants.seedDigest = 8
        expect(Self.run(other), .otherConstants, "(the hash seeds differ)")
        let rings = [(1, 2), (1, 3), (2, 2)].compactMap { seed in
            HashRing(partitionCount: 256, seed: (UInt64(seed.0), UInt64(seed.1)))
        }
        #expect(Set(rings.map { MapConstants($0) }).count == 3)
    }

    /// What the simulator shows as two counters of one actor (`simulate --without R16`).
    @Test("R16 switched off: two nodes become peers that put the same actors into different partitions")
    func otherConstantsUnnoticed() throws {
        let rings = try [UInt64(2), 3].map { try #require(HashRing(partitionCount: 256, seed: (1, $0))) }
        var identities = [Self.dialler, Self.acceptor]
        for index in 0..<2 { identities[index].constants = MapConstants(rings[index]) }
        expect(Self.run(identities[0], identities[1]), .otherConstants, "(the hash seeds differ)")
        let result = Self.run(identities[0], identities[1], comparesConstants: false)
        guard case .established? = result.dialler, case .established? = result.acceptor else {
            Issue.record("\(result)")
            return
        }
        let actors = try (0..<100).map {
            try ActorAddress(kind: ActorKind("cart"), key: ActorKey(["a\($0)"]))
        }
        let misplaced = actors.filter { rings[0].partition(of: $0) != rings[1].partition(of: $0) }
        #expect(misplaced.count > 90, "two owners, and two lives of nearly every actor (D28)")
    }

    @Test("R12: a node that presents another store than it is registered with") func copiedDirectory() {
        var known = PeerDirectory()
        known.learn(
            Self.dialler.node, .init(store: StoreID(high: 4, low: 4), incarnation: .init(rawValue: 1)))
        expect(Self.run(acceptorKnows: known), .otherStore, "its identity was copied or its disk replaced")
        // The dialler judges the acceptor by the same rules.
        known = PeerDirectory()
        known.learn(
            Self.acceptor.node, .init(store: StoreID(high: 4, low: 4), incarnation: .init(rawValue: 1)))
        expect(Self.run(diallerKnows: known), .otherStore, "start it with an empty data directory")
    }

    @Test("R15: an incarnation older than the known one") func oldIncarnation() {
        var known = PeerDirectory()
        known.learn(Self.dialler.node, .init(store: Self.dialler.store, incarnation: .init(rawValue: 6)))
        expect(
            Self.run(acceptorKnows: known), .oldIncarnation,
            "node 1 has started 6 times, the peer is its start 5")
        // Old news does not bring the old incarnation back.
        known.learn(Self.dialler.node, .init(store: Self.dialler.store, incarnation: .init(rawValue: 5)))
        expect(Self.run(acceptorKnows: known), .oldIncarnation, "its disk was set back")
        known = PeerDirectory()
        known.learn(Self.dialler.node, .init(store: Self.dialler.store, incarnation: .init(rawValue: 5)))
        #expect(Self.run(acceptorKnows: known).refusal == nil)
    }

    @Test("A node that was removed is kept out, whatever its certificate; one that joins is let in")
    func removed() {
        var known = PeerDirectory()
        known.learn(members: [NodeID(rawValue: 2), NodeID(rawValue: 3)])
        let certificate = CertificateIdentity(cluster: Self.cluster, node: Self.dialler.node)
        expect(
            Self.run(acceptorKnows: known, diallersCertificate: certificate), .removed,
            "start it with an empty directory")
        // It is not dialled into either.
        known.learn(members: [NodeID(rawValue: 1), NodeID(rawValue: 3)])
        expect(Self.run(diallerKnows: known), .removed, "node 2 was removed")
        #expect(Self.run(Self.identity(4), acceptorKnows: known).refusal == nil)
        known.learn(members: (1...3).map { NodeID(rawValue: $0) })
        #expect(Self.run(acceptorKnows: known).refusal == nil)
    }

    @Test("Talking to oneself") func oneself() {
        expect(Self.run(Self.dialler, Self.dialler), .oneself, "remove its own address from its peers")
    }

    @Test("D30: another process with this node's identity") func copiedIdentity() {
        var copy = Self.acceptor
        copy.incarnation.rawValue += 1
        expect(Self.run(copy), .copiedIdentity, "two processes run with copies of one data directory")
        copy = Self.acceptor
        copy.store = StoreID(high: 1, low: 1)
        expect(Self.run(copy), .copiedIdentity, "also claims to be node 2")
    }

    @Test("The certificate names another node than hello, or another cluster") func certificate() {
        func certificate(_ node: UInt64, _ cluster: ClusterID = Self.cluster) -> CertificateIdentity {
            CertificateIdentity(cluster: cluster, node: NodeID(rawValue: node))
        }
        #expect(
            Self.run(diallersCertificate: certificate(1), acceptorsCertificate: certificate(2)).refusal == nil
        )
        expect(
            Self.run(diallersCertificate: certificate(3)), .otherCertificate,
            "claims to be node 1, its certificate was issued to node 3")
        expect(Self.run(acceptorsCertificate: certificate(3)), .otherCertificate, "claims to be node 2")
        let foreign = certificate(1, ClusterID(high: 8, low: 8))
        expect(Self.run(diallersCertificate: foreign), .wrongCluster, "correct the peer's seeds")
    }

    @Test("Another node answers than was dialled") func unexpectedNode() {
        expect(
            Self.run(expected: NodeID(rawValue: 3)), .unexpectedNode,
            "node 3 was expected at this address, node 2 answers")
    }

    @Test("A second connection of the same lane") func duplicate() {
        let result = Self.run(isDuplicate: true)
        #expect(result.refusal == .duplicate && result.toldPeer == .duplicate)
        #expect(!Refusal.duplicate.needsOperator)
    }

    private func expect(
        _ result: Result, _ code: Refusal.Code, _ part: String, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(result.refusal?.code == code, sourceLocation: location)
        #expect(
            result.refusal?.sentence.contains(part) == true, "\(result.refusal?.sentence ?? "none")",
            sourceLocation: location)
        #expect(result.refusal?.needsOperator == true, sourceLocation: location)
        // Who is refused reads the same sentence.
        #expect(result.toldPeer == result.refusal, sourceLocation: location)
        #expect(result.refusal.map { $0.sentence.utf8.count <= Refusal.sentenceBytesMax } == true)
    }

    @Test("Frames in the wrong order are refused")
    func order() {
        let none = PeerDirectory()
        for kind in [FrameKind.accept, .ping, .pong, FrameKind(rawValue: 20)] {
            var acceptor = Handshake(Self.acceptor, as: .acceptor, certificate: nil)
            let outcome = acceptor.received(Frame(kind), directory: none) { _ in false }
            guard case .refuse(let refusal) = outcome else {
                Issue.record("\(kind) was accepted as first frame")
                continue
            }
            #expect(refusal.code == .malformed)
        }
        var acceptor = Handshake(Self.acceptor, as: .acceptor, certificate: nil)
        let hello = Frame(.hello, Hello(Self.dialler, lane: .data).payload)
        _ = acceptor.received(hello, directory: none) { _ in false }
        for frame in [hello, Frame(.accept, [9, 0, 0, 0]), Frame(.accept)] {
            var copy = acceptor
            guard
                case .refuse(let refusal) = copy.received(frame, directory: none, isDuplicate: { _ in false })
            else {
                Issue.record("\(frame) was accepted after hello")
                continue
            }
            #expect(refusal.code == .malformed)
        }
    }

    @Test("A71: what a peer says is cut and cleaned before it reaches a log")
    func farewellText() throws {
        let evil = Refusal(.stopping, "a\n\u{1B}[31m\0b" + String(repeating: "ü", count: 400))
        let read = try Refusal(decoding: evil.frame.payload)
        #expect(read.sentence.hasPrefix("a  [31m bü"))
        #expect(read.sentence.utf8.count <= Refusal.sentenceBytesMax)
        let unknown = Refusal(Refusal.Code(rawValue: 200), "from the future")
        #expect(try Refusal(decoding: unknown.frame.payload) == unknown)
    }
}
