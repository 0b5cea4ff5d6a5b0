import Identifiers

/// What happens to the mesh.
public enum MeshInput: Hashable, Sendable {
    /// Keep a connection to the node on each of the lanes, trying the addresses in turn.
    case connect(NodeID, [MeshAddress], lanes: Set<MeshLane>)
    /// Close the connections to the node and do not dial it again.
    case disconnect(NodeID)
    /// Dial the address once to learn who is there.
    case introduce(MeshAddress)
    /// The control plane has news about a node.
    case learn(NodeID, PeerDirectory.Record)
    /// These are the nodes of the cluster; who was one and is not any more is not let in.
    case members([NodeID])
    /// This process has got its incarnation: every connection is made anew in it.
    case become(Incarnation)
    /// Stop or go on reading from a peer.
    case pauseReading(NodeID, MeshLane, Bool)
    /// The TCP connection of a dial is there.
    case connected(LinkID)
    /// Bytes can be exchanged; without TLS there is no certificate.
    case secured(LinkID, CertificateIdentity?)
    /// The socket has taken bytes that `fill` had handed out.
    case wrote(LinkID, Int)
    /// The connection is gone; nil: the peer closed it.
    case ended(LinkID, failure: String?)
    /// The connection is gone because TLS does not accept the other side, or the other side this one.
    case notSecured(LinkID, String)
    /// It is `nextDeadline`, or later.
    case tick
    /// Say farewell to everybody.
    case stop
}

/// All connections of one node to the others, and every decision about them.
///
/// A value without I/O: the driver opens sockets, moves bytes and wakes it at `nextDeadline`. Time comes in
/// as a `Duration` since any fixed moment.
public struct MeshCore: Sendable {
    struct Failure {
        var link: Link
        var reason: CloseReason
    }

    public private(set) var identity: NodeIdentity
    let catalog: FrameCatalog
    let settings: MeshSettings
    var directory = PeerDirectory()
    var links = LinkTable()
    /// The established connections.
    var table: [LinkKey: LinkID] = [:]
    var targets: [NodeID: Target] = [:]
    var handshakes = 0
    var effects: [MeshEffect] = []
    /// Links that ended since the last event; their next attempts are not scheduled yet.
    var failures: [Failure] = []
    var mayDial = false
    private(set) var isStopping = false
    private var saidStopped = false
    private var isDeadlinePast = false
    /// When `tick` has something to do, or earlier.
    public internal(set) var nextDeadline: Duration?

    public init(_ identity: NodeIdentity, catalog: FrameCatalog, settings: MeshSettings = MeshSettings()) {
        self.identity = identity
        self.catalog = catalog
        self.settings = settings
    }

    public var linkCount: Int { links.count }

    public mutating func handle(
        _ input: MeshInput, now: Duration, random: inout some RandomNumberGenerator
    ) -> [MeshEffect] {
        switch input {
        case .connect(let node, let addresses, let lanes): keep(node, addresses, lanes, now)
        case .disconnect(let node): drop(node, now)
        case .introduce(let address): if !isStopping { dial(address, .control, expected: nil, now) }
        case .learn(let node, let record):
            directory.learn(node, record)
            closeOutdated(node, now)
        case .members(let nodes):
            directory.learn(members: nodes)
            closeRemoved(now)
        case .become(let incarnation): become(incarnation, now)
        case .pauseReading(let node, let lane, let isPaused): pauseReading(node, lane, isPaused, now)
        case .connected(let id):
            guard links[id]?.phase == .dialling else { break }
            links[id]?.phase = .greeting
            links[id]?.deadlines.enter(.handshaking, now: now)
            wake(at: links[id]?.deadlines.next)
        case .secured(let id, let certificate): greet(id, certificate, now)
        case .wrote(let id, let bytes): wrote(id, bytes, now)
        case .ended(let id, let failure): ended(id, failure.map { .transport($0) })
        case .notSecured(let id, let sentence): ended(id, .security(sentence))
        case .tick: tick(now)
        case .stop: stop(now)
        }
        return settle(now, &random)
    }

    /// Makes the link of a connection that was accepted; its next event is `secured`.
    /// - Returns: nil if there are too many already: close it at once.
    public mutating func accept(from address: String, now: Duration) -> LinkID? {
        guard !isStopping, links.count < settings.linksMax, handshakes < settings.handshakesMax else {
            return nil
        }
        return add(Link(.accepted(from: address), .greeting, settings, now: now))
    }

    mutating func add(_ link: Link) -> LinkID {
        if !link.isDialler { handshakes += 1 }
        wake(at: link.deadlines.next)
        return links.insert(link)
    }

    mutating func wake(at moment: Duration?) {
        guard let moment else { return }
        nextDeadline = nextDeadline.map { min($0, moment) } ?? moment
    }

    private mutating func tick(_ now: Duration) {
        guard let due = nextDeadline, due <= now else { return }
        for id in links.ids {
            switch links[id]?.deadlines.check(now: now) {
            case .ping: push(Frame(.ping), on: id, now)
            case .close(let reason): leave(id, reason, saying: nil, now)
            case .wait, nil: break
            }
        }
        mayDial = true
        isDeadlinePast = true
    }

    private mutating func findNextDeadline() {
        isDeadlinePast = false
        nextDeadline = links.reduce(nil) { earliest, link in
            earliest.map { min($0, link.deadlines.next) } ?? link.deadlines.next
        }
        for target in targets.values { wake(at: target.nextDial) }
    }

    private mutating func stop(_ now: Duration) {
        isStopping = true
        targets = [:]
        for id in links.ids { leave(id, .requested, saying: .stopping, now) }
    }

    /// Handshakes under way have told the incarnation before; those that did not begin will tell the new one.
    private mutating func become(_ incarnation: Incarnation, _ now: Duration) {
        guard incarnation != identity.incarnation else { return }
        identity.incarnation = incarnation
        for id in links.ids where links[id]?.handshake != nil {
            leave(id, .requested, saying: .nextLife, now)
        }
    }

    /// The end of every event: schedules what failed, dials what is due, and hands out the effects.
    mutating func settle(_ now: Duration, _ random: inout some RandomNumberGenerator) -> [MeshEffect] {
        if !failures.isEmpty { scheduleFailed(now, &random) }
        if mayDial { dialDue(now) }
        if isDeadlinePast { findNextDeadline() }
        if isStopping, !saidStopped, links.count == 0 {
            saidStopped = true
            effects.append(.report(.stopped))
        }
        defer { effects = [] }
        return effects
    }
}
