import ActorHost
import ByteCoding
import Identifiers
import Logging
import MembershipCore
import MeshProtocol
import MeshTransport
import PlacementCore
import TimeAndChance

/// Drives the failure detector of this process on the event loop of the mesh: over the lane of the control
/// plane, whose frames are small and never wait behind a snapshot.
///
/// Members are whom the map lists, and the mesh keeps connections to all of them. Until the process has its
/// life there is nobody who could say that it is alive, so it says and answers nothing.
public actor GossipDriver {
    nonisolated let loop: EventLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let transport: MeshTransport
    private let settings: SwimSettings
    private let seed: UInt64
    private let logger: Logger
    private let clock = SystemClock()
    private var swim: Swim?
    private var timer: MeshTimer?
    private var listed: [Swim.Listed] = []
    private var mapVersion: UInt64 = 0
    private var hasEnded = false

    /// How well this node gets on with its work, from 0 to 8 (`NodeMeta.health`). The others hear of a change
    /// soon.
    public var health: UInt8 = 0
    /// Requests that wait here.
    public var backlog: UInt32 = 0

    init(_ transport: MeshTransport, settings: SwimSettings, seed: UInt64, logger: Logger) {
        self.transport = transport
        loop = transport.loop
        self.settings = settings
        self.seed = seed
        self.logger = logger
    }

    // MARK: What it knows

    /// What this node thinks of the others; empty until it has its life.
    public func opinions() -> [NodeID: Opinion] {
        swim?.opinions(now: EventLoop.now, wall: clock.reading().wall) ?? [:]
    }

    /// Whether it suspects that process.
    func doubts(_ node: NodeID, _ incarnation: Incarnation) -> Bool {
        swim?.doubts(node, incarnation) ?? false
    }

    /// Whether nobody answers this node, so that its opinions say more about itself.
    public var isLonely: Bool { swim?.isLonely ?? false }

    // MARK: What happens

    /// The process may take part from now on, by a map that may stay as it is for a long time.
    func registered(_ life: NodeLife, _ map: ClusterMap) {
        guard !hasEnded, swim == nil else { return }
        swim = Swim(life.node, life.incarnation, settings: settings, seed: seed, now: EventLoop.now)
        timer = transport.assumeIsolated { transport in
            transport.schedule(after: settings.tick, every: settings.tick) { [weak self] _ in
                self?.assumeIsolated { $0.ticked() }
            }
        }
        follow(map)
    }

    func follow(_ map: ClusterMap) {
        guard swim != nil else { return }
        mapVersion = map.version.rawValue
        // An incarnation that is issued and not yet on the node's disk is nobody's yet.
        let nodes = map.nodes.map { Swim.Listed($0.id, $0.disk.persisted, isUp: $0.isUp) }
        guard nodes != listed else { return }
        listed = nodes
        handle(.members(nodes))
    }

    func received(_ frame: Frame, from peer: MeshPeer) {
        guard swim != nil else { return }
        do throws(WireError) {
            let message = try SwimMessage.decode(frame.payload)
            // Whoever speaks for another process does not count.
            guard message.sender.node == peer.node, message.sender.incarnation == peer.incarnation else {
                return
            }
            handle(.message(message))
        } catch {
            logger.error("node \(peer.node.rawValue) sent gossip that cannot be read: \(error)")
        }
    }

    /// A connection for gossip was made, or has ended.
    func linkChanged(_ node: NodeID) { handle(.linkChanged(node)) }

    private func ticked() {
        handle(.facts(mapVersion: mapVersion, health: health, backlog: backlog))
        handle(.tick)
    }

    /// - Parameter saysFarewell: whether the others are told, or are left to find out.
    func stop(sayingFarewell saysFarewell: Bool) {
        if saysFarewell { handle(.leave) }
        hasEnded = true
        if let timer { transport.assumeIsolated { $0.cancel(timer) } }
        timer = nil
        swim = nil
    }

    // MARK: Carrying out

    private func handle(_ event: Swim.Event) {
        for effect in swim?.handle(event, now: EventLoop.now) ?? [] { perform(effect) }
    }

    private func perform(_ effect: Swim.Effect) {
        switch effect {
        case .send(let message, let node):
            let frame = Frame(ClusterFrames.gossip, message.encoded())
            // What the mesh does not take is lost like anything on the way.
            transport.assumeIsolated { _ = $0.send(frame, to: node, on: .control) }
        case .changed(let node, let standing):
            let level: Logger.Level = standing.state == .unreachable ? .warning : .info
            logger.log(level: level, "node \(node.rawValue) seems \(standing.state)")
        case .accused(let accuser):
            let name = accuser.map { "node \($0.rawValue)" } ?? "somebody"
            logger.info("\(name) found this node silent, and is told that it is not")
        case .loneliness(let isLonely):
            logger.warning(
                isLonely ? "no other node answers this one" : "other nodes answer this one again")
        case .stalled(let duration): logger.warning("this process stood still for \(duration)")
        case .succeeded(let incarnation):
            logger.warning("others know a later start of this node, number \(incarnation.rawValue)")
        }
    }
}
