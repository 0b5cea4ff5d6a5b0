import Identifiers

/// Names an established connection: one for each peer and lane.
struct LinkKey: Hashable, Comparable, Sendable {
    var node: NodeID
    var lane: MeshLane
    static func < (a: Self, b: Self) -> Bool { (a.node, a.lane) < (b.node, b.lane) }
}

/// The state of one connection.
struct Link: Sendable {
    enum Origin: Hashable, Sendable {
        /// - Parameter expected: nil for an introduction.
        case dialled(MeshAddress, MeshLane, expected: NodeID?)
        case accepted(from: String)
    }

    enum Phase: Hashable, Sendable {
        /// No TCP connection yet.
        case dialling
        /// TLS and hello.
        case greeting
        case open(MeshPeer)
        /// A farewell is on its way out; what comes in is ignored.
        case leaving
    }

    let origin: Origin
    var phase: Phase
    var deadlines: LinkDeadlines
    var decoder: FrameDecoder
    var queue: OutgoingQueue
    /// From the moment TLS is done.
    var handshake: Handshake?
    var openedAt: Duration?
    /// Set when another process comes with the same node's identity.
    var doubt: Doubt?

    /// Whether the process at the other end is still there, since another one claims to be its node.
    enum Doubt: Hashable, Sendable {
        case asked
        case answered(at: Duration)
    }

    init(_ origin: Origin, _ phase: Phase, _ settings: MeshSettings, now: Duration) {
        self.origin = origin
        self.phase = phase
        deadlines = LinkDeadlines(
            settings.deadlines, phase == .dialling ? .connecting : .handshaking, now: now)
        decoder = FrameDecoder(payloadBytesMax: settings.handshakeFrameBytesMax)
        queue = OutgoingQueue(limits: settings.controlQueue, lane: .control)
    }

    var isDialler: Bool {
        if case .dialled = origin { true } else { false }
    }

    var peer: MeshPeer? {
        if case .open(let peer) = phase { peer } else { nil }
    }

    /// The target that this dial serves.
    var target: LinkKey? {
        guard case .dialled(_, let lane, let expected?) = origin else { return nil }
        return LinkKey(node: expected, lane: lane)
    }

    var role: Handshake.Role {
        switch origin {
        case .dialled(_, let lane, let expected): .dialler(lane, expected: expected)
        case .accepted: .acceptor
        }
    }

    mutating func open(_ peer: MeshPeer, _ settings: MeshSettings, now: Duration) {
        phase = .open(peer)
        openedAt = now
        deadlines.enter(.open, now: now)
        decoder.payloadBytesMax = Frame.payloadBytesMax
        decoder.lane = peer.lane
        queue.become(peer.lane, limits: settings.queue(of: peer.lane))
    }
}
