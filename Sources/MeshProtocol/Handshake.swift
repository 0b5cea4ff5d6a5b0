import ByteCoding
import Identifiers

/// The first frames of a connection. The dialler says hello; the acceptor answers with its own hello and
/// `accept`; the dialler's `accept` completes it. At any point either side may refuse with a farewell
/// instead.
///
///     dialler:   awaitingHello ── hello ──> awaitingAccept ── accept ──> done
///     acceptor:  awaitingHello ── hello ──> awaitingAccept ── accept ──> done
///
/// The acceptor says nothing before it has heard a hello, and counts the connection only after the dialler's
/// accept, so a dialler can drop an attempt without the other side ever reporting it.
public struct Handshake: Sendable {
    public enum Role: Hashable, Sendable {
        /// - Parameter expected: the node that should answer; nil for a seed of which only the address is
        ///   known.
        case dialler(MeshLane, expected: NodeID?)
        case acceptor
    }

    public enum Outcome: Hashable, Sendable {
        /// Send these and wait for more.
        case send([Frame])
        /// Send these; the connection is established.
        case established([Frame], MeshPeer)
        /// Send its farewell and close.
        case refuse(Refusal)
        /// The peer refused.
        case refused(Refusal)
    }

    private enum State: Hashable, Sendable {
        case awaitingHello
        case awaitingAccept(MeshPeer)
        case done
    }

    private let local: NodeIdentity
    private let role: Role
    private let certificate: CertificateIdentity?
    /// R16; switched off by a test only, to show what it is for.
    package var comparesConstants = true
    /// Switched off by a simulation only, to show that it would notice.
    package var comparesClusters = true
    private var state = State.awaitingHello

    /// - Parameter certificate: whom the peer's certificate names; nil on a connection without TLS.
    public init(_ local: NodeIdentity, as role: Role, certificate: CertificateIdentity?) {
        self.local = local
        self.role = role
        self.certificate = certificate
    }

    /// Who the peer says it is, once it has said so.
    public private(set) var peer: MeshPeer?

    /// What to send before anything was received.
    public var opening: [Frame] {
        guard case .dialler(let lane, _) = role else { return [] }
        return [Frame(.hello, Hello(local, lane: lane).payload)]
    }

    /// - Parameters:
    ///   - directory: what is known about other nodes.
    ///   - isDuplicate: whether a better connection to this peer and lane exists.
    public mutating func received(
        _ frame: Frame, directory: PeerDirectory, isDuplicate: (MeshPeer) -> Bool
    ) -> Outcome {
        if frame.kind == .farewell { return farewell(frame) }
        switch state {
        case .awaitingHello:
            guard frame.kind == .hello else {
                return .refuse(.malformed("the first frame must be hello, not kind \(frame.kind.rawValue)"))
            }
            return hello(frame, directory, isDuplicate)
        case .awaitingAccept(let peer):
            guard frame.kind == .accept else {
                return .refuse(.malformed("accept must follow hello, not kind \(frame.kind.rawValue)"))
            }
            return accept(frame, peer, directory, isDuplicate)
        case .done: return .refuse(.malformed("the handshake is over"))
        }
    }

    private mutating func hello(
        _ frame: Frame, _ directory: PeerDirectory, _ isDuplicate: (MeshPeer) -> Bool
    ) -> Outcome {
        let hello: Hello
        do { hello = try Hello(decoding: frame.payload) } catch {
            return .refuse(.malformed("hello cannot be read: \(error)"))
        }
        let theirs = hello.identity
        if let refusal = objection(to: theirs, directory) { return .refuse(refusal) }
        guard let version = local.versions.common(with: theirs.versions) else {
            return .refuse(.otherVersion(local.versions, peer: theirs.versions))
        }
        let peer = MeshPeer(
            node: theirs.node, incarnation: theirs.incarnation, store: theirs.store, lane: hello.lane,
            version: version, process: theirs.process)
        self.peer = peer
        switch role {
        case .dialler(let lane, let expected):
            guard hello.lane == lane else { return .refuse(.malformed("the answer is for another lane")) }
            if let expected, expected != peer.node {
                return .refuse(.unexpectedNode(expected, found: peer.node))
            }
            state = .awaitingAccept(peer)
            return .send([])
        case .acceptor:
            if isDuplicate(peer) { return .refuse(.duplicate) }
            state = .awaitingAccept(peer)
            return .send([Frame(.hello, Hello(local, lane: hello.lane).payload), Self.accept(version)])
        }
    }

    private mutating func accept(
        _ frame: Frame, _ peer: MeshPeer, _ directory: PeerDirectory, _ isDuplicate: (MeshPeer) -> Bool
    ) -> Outcome {
        var reader = ByteReader(frame.payload)
        guard let version = try? reader.fixed(UInt32.self), version == peer.version else {
            return .refuse(.malformed("the two sides do not agree on a version"))
        }
        // While this handshake went on, another connection may have brought news about the peer.
        if let refusal = staleness(peer.node, peer.store, peer.incarnation, directory) {
            return .refuse(refusal)
        }
        if isDuplicate(peer) { return .refuse(.duplicate) }
        state = .done
        if case .dialler = role { return .established([Self.accept(version)], peer) }
        return .established([], peer)
    }

    private func farewell(_ frame: Frame) -> Outcome {
        do { return .refused(try Refusal(decoding: frame.payload)) } catch {
            return .refused(.malformed("the peer's farewell cannot be read: \(error)"))
        }
    }

    private static func accept(_ version: UInt32) -> Frame {
        var writer = ByteWriter(capacity: 4)
        writer.fixed(version)
        return Frame(.accept, writer.bytes)
    }

    // MARK: Judging a hello

    /// The first reason that makes the peer unacceptable. The cluster comes first: nothing else can be
    /// compared between two clusters.
    private func objection(to theirs: NodeIdentity, _ directory: PeerDirectory) -> Refusal? {
        guard theirs.cluster == local.cluster || !comparesClusters else {
            return .wrongCluster(local.cluster, peer: theirs.cluster)
        }
        if let certificate {
            guard certificate.cluster == local.cluster else {
                return .wrongCluster(local.cluster, peer: certificate.cluster)
            }
            guard certificate.node == theirs.node else {
                return .otherCertificate(certificate, claimed: theirs.node)
            }
        }
        guard local.versions.common(with: theirs.versions) != nil else {
            return .otherVersion(local.versions, peer: theirs.versions)
        }
        guard theirs.constants == local.constants || !comparesConstants else {
            return .otherConstants(local.constants, peer: theirs.constants)
        }
        if theirs.node == local.node {
            let isSelf = theirs.store == local.store && theirs.incarnation == local.incarnation
            return isSelf ? .oneself(local.node) : .copiedIdentity(local.node)
        }
        return staleness(theirs.node, theirs.store, theirs.incarnation, directory)
    }

    private func staleness(
        _ node: NodeID, _ store: StoreID, _ incarnation: Incarnation, _ directory: PeerDirectory
    ) -> Refusal? {
        guard !directory.hasLeft(node) else { return .removed(node) }
        guard let known = directory[node] else { return nil }
        guard known.store == store else { return .otherStore(node, registered: known.store, peer: store) }
        guard known.incarnation <= incarnation else {
            return .oldIncarnation(node, known: known.incarnation, peer: incarnation)
        }
        return nil
    }
}
