import ClientProtocol
import ClientRouting
import Identifiers
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// A client's way to one node or to a cluster, for any number of actors and callers: untyped requests and
/// events.
///
/// It is connected to any of its nodes first, learns from it where actors live, and then sends each request
/// to the node that owns its actor, over a connection of its own; a node whose address cannot be reached from
/// here is served through another one. A lost connection is replaced by another node's at once, and made
/// again with growing, jittered pauses. What was under way is then asked again under its first sequence, so
/// that it is recognised wherever it was executed already (A13, A63), and subscriptions are renewed.
///
/// Requests that are under way at the same time have no order among each other.
public final class ApusConnection: Sendable {
    struct State {
        var core: RoutingCore
        var sockets: [LinkID: Socket] = [:]
        var isFlushScheduled = false
        var timer: Scheduled<Void>?
        var timerAt: Duration?
        var observers: [UInt64: AsyncStream<ConnectionStatus>.Continuation] = [:]
        var nextObserver: UInt64 = 0
        var masks: SystemRandomNumberGenerator = .init()
        var maskWord: UInt64 = 0
        var scratch: [UInt8] = []
    }

    /// An open connection.
    struct Socket {
        let channel: any Channel
        /// Masked frames that the event loop will write at its next turn.
        var output = ByteBuffer()
    }

    let state: Mutex<State>
    let loop: any EventLoop
    let configuration: ClientConfiguration
    private let logger: Logger

    /// Prepares a connection to one node, and to the others of its cluster by way of it; the first request or
    /// `connect()` makes it.
    /// - Parameters:
    ///   - session: the scope of the request sequences; a new random one unless a former session is to go on.
    ///   - group: the threads to run on.
    public convenience init(
        host: String, port: Int, configuration: ClientConfiguration = .init(), session: SessionID? = nil,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "apus.client")
    ) {
        self.init(
            seeds: [NodeAddress(host: host, port: port)], configuration: configuration, session: session,
            group: group, logger: logger)
    }

    /// Prepares a connection to a cluster; the first request or `connect()` makes it.
    /// - Parameters:
    ///   - nodes: `http://HOST:PORT` of some of its nodes, of which one has to be there; the others are
    ///     learned from it.
    ///   - session: the scope of the request sequences; a new random one unless a former session is to go on.
    ///   - group: the threads to run on.
    /// - Throws: `ClientConfigurationError` for an address that is none, and for no address at all.
    public convenience init(
        nodes: [String], configuration: ClientConfiguration = .init(), session: SessionID? = nil,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "apus.client")
    ) throws(ClientConfigurationError) {
        var seeds: [NodeAddress] = []
        for node in nodes {
            guard let address = NodeAddress(node) else {
                throw ClientConfigurationError(
                    description: "\"\(node)\" is no address; needed is http://HOST:PORT")
            }
            seeds.append(address)
        }
        guard !seeds.isEmpty else {
            throw ClientConfigurationError(description: "at least one node is needed: http://HOST:PORT")
        }
        self.init(
            seeds: seeds, configuration: configuration, session: session, group: group, logger: logger)
    }

    init(
        seeds: [NodeAddress], configuration: ClientConfiguration, session: SessionID?,
        group: any EventLoopGroup, logger: Logger
    ) {
        self.configuration = configuration
        self.logger = logger
        loop = group.next()
        var generator = SystemRandomNumberGenerator()
        let core = RoutingCore(
            session: session ?? SessionID.random(using: &generator), seeds: seeds,
            settings: RoutingCore.Settings(configuration), seed: generator.next())
        state = Mutex(State(core: core))
    }

    public var session: SessionID { state.withLock { $0.core.ledger.session } }
    public var status: ConnectionStatus { state.withLock { $0.core.status } }

    /// The status now and each later one; ends after `closed`.
    public var statuses: AsyncStream<ConnectionStatus> {
        AsyncStream(bufferingPolicy: .bufferingNewest(16)) { continuation in
            let id = state.withLock { state in
                continuation.yield(state.core.status)
                guard state.core.status != .closed else { return UInt64.max }
                state.nextObserver += 1
                state.observers[state.nextObserver] = continuation
                return state.nextObserver
            }
            if id == .max { return continuation.finish() }
            continuation.onTermination = { [weak self] _ in
                self?.state.withLock { $0.observers[id] = nil }
            }
        }
    }

    /// Begins to connect, and keeps at it until `close`.
    public func connect() {
        guard status == .idle else { return }
        decide { core, now, effects in core.connect(now: now, &effects) }
    }

    /// Ends all connections. What waits for a reply fails with `closed`; subscriptions end.
    public func close() async {
        let channels = state.withLock { $0.sockets.values.map(\.channel) }
        decide { core, _, effects in core.close(&effects) }
        let observers = state.withLock { state in
            defer { state.observers = [:] }
            return Array(state.observers.values)
        }
        for observer in observers { observer.finish() }
        for channel in channels { try? await channel.closeFuture.get() }
    }

    var now: Duration { .nanoseconds(Int64(clamping: loop.now.uptimeNanoseconds)) }

    // MARK: Deciding and doing

    /// Lets the core decide, and does what it says: frames gather until the event loop runs, the rest is done
    /// at once and outside of the lock.
    /// - Parameter isOnLoop: frames are written at once, too.
    @discardableResult
    func decide<Value: Sendable>(
        isOnLoop: Bool = false,
        _ body: (inout RoutingCore, Duration, inout [RoutingCore.Effect]) -> Value
    ) -> Value {
        let now = now
        let (value, rest, wakes) = state.withLock { state in
            var effects: [RoutingCore.Effect] = []
            let value = body(&state.core, now, &effects)
            let rest = state.gather(effects)
            let wakes = !state.isFlushScheduled && !isOnLoop
            if wakes { state.isFlushScheduled = true }
            return (value, rest, wakes)
        }
        if wakes { loop.execute { self.flush() } }
        if isOnLoop { flush() }
        for action in rest { perform(action) }
        return value
    }

    private func perform(_ action: Action) {
        switch action {
        case .connect(let link, let address): openSocket(link, address)
        case .close(let channel): Self.farewell(channel)
        case .call(let call): call()
        case .note(let text): logger.warning("\(text)")
        }
    }

    private static func farewell(_ channel: any Channel) {
        var goodbye = ByteBuffer()
        MaskedFrames.append(opcode: 8, [0x03, 0xE8], mask: .random(in: .min ... .max), to: &goodbye)
        channel.writeAndFlush(goodbye, promise: nil)
        channel.close(promise: nil)
    }

    /// Writes what has gathered, and sets the clock. On the loop.
    private func flush() {
        let now = now
        let (writes, next) = state.withLock { state in
            state.isFlushScheduled = false
            var writes: [(any Channel, ByteBuffer)] = []
            for (link, socket) in state.sockets where socket.output.readableBytes > 0 {
                writes.append((socket.channel, socket.output))
                state.sockets[link]?.output = ByteBuffer()
            }
            return (writes, state.core.nextTick(after: now))
        }
        for (channel, buffer) in writes { channel.writeAndFlush(buffer, promise: nil) }
        schedule(next)
    }

    /// Sets the clock for the core's next tick; one that rings earlier stays.
    private func schedule(_ next: Duration?) {
        let isLate = state.withLock { state in
            guard let next else { return false }
            return state.timerAt.map { next < $0 } ?? true
        }
        guard let next, isLate else { return }
        let timer = loop.scheduleTask(in: TimeAmount(max(.zero, next - now))) { [weak self] () -> Void in
            self?.ticked()
        }
        state.withLock { state in
            state.timer?.cancel()
            state.timer = timer
            state.timerAt = next
        }
    }

    private func ticked() {
        state.withLock { state in
            state.timer = nil
            state.timerAt = nil
        }
        decide(isOnLoop: true) { core, now, effects in core.tick(now, &effects) }
    }

    private func openSocket(_ link: LinkID, _ address: NodeAddress) {
        let owner = LinkSocket(connection: self, link: link)
        ConnectionSocket.connect(address, on: loop, within: configuration.connectTimeout, owner: owner)
            .whenFailure { [logger] error in
                logger.debug("cannot connect to \(address)", metadata: ["error": "\(error)"])
                owner.socketClosed()
            }
    }
}

extension RoutingCore.Settings {
    init(_ configuration: ClientConfiguration) {
        self.init()
        connectionsMax = max(1, configuration.connectionsMax)
        idle = configuration.idle
        connectTimeout = configuration.connectTimeout
        heartbeat = configuration.heartbeat
        probe = configuration.probe
        backoff = Backoff(minimum: configuration.backoffMin, maximum: configuration.backoffMax)
    }
}

/// One of the connections.
private final class LinkSocket: SocketOwner {
    private let connection: ApusConnection
    private let link: LinkID

    init(connection: ApusConnection, link: LinkID) {
        self.connection = connection
        self.link = link
    }

    func socketOpened(_ channel: any Channel) {
        connection.state.withLock { $0.sockets[link] = ApusConnection.Socket(channel: channel) }
        let isWanted = connection.decide(isOnLoop: true) { [link] core, now, effects in
            core.opened(link, now: now, &effects)
        }
        guard !isWanted else { return }
        connection.state.withLock { $0.sockets[link] = nil }
        channel.close(promise: nil)
    }

    func socketReceived(_ frames: [ServerFrame]) {
        connection.decide(isOnLoop: true) { [link] core, now, effects in
            for frame in frames { core.received(frame, from: link, now: now, &effects) }
        }
    }

    func socketClosed() {
        connection.state.withLock { $0.sockets[link] = nil }
        connection.decide(isOnLoop: true) { [link] core, now, effects in
            core.closed(link, now: now, &effects)
        }
    }
}

extension ApusConnection {
    /// What is done outside of the lock.
    enum Action {
        case connect(LinkID, NodeAddress)
        case close(any Channel)
        case call(() -> Void)
        case note(String)
    }
}

extension ApusConnection.State {
    /// Puts frames where the event loop finds them.
    /// - Returns: the rest.
    mutating func gather(_ effects: [RoutingCore.Effect]) -> [ApusConnection.Action] {
        var rest: [ApusConnection.Action] = []
        for effect in effects {
            switch effect {
            case .send(let link, let frame): append(frame, to: link)
            case .connect(let link, let address): rest.append(.connect(link, address))
            case .close(let link):
                if let socket = sockets.removeValue(forKey: link) { rest.append(.close(socket.channel)) }
            case .answer(let reply, let result): rest.append(.call { reply(result) })
            case .deliver(let subscription, let delivery):
                rest.append(.call { subscription.deliver(delivery) })
            case .fail(let subscription, let error): rest.append(.call { subscription.fail(error) })
            case .status(let status): for observer in observers.values { observer.yield(status) }
            case .note(let text): rest.append(.note(text))
            }
        }
        return rest
    }

    private mutating func append(_ frame: ClientFrame, to link: LinkID) {
        scratch.removeAll(keepingCapacity: scratch.capacity <= 64 << 10)
        frame.encode(into: &scratch)
        // One draw of the system's generator serves two frames.
        if maskWord == 0 { maskWord = masks.next() }
        let mask = UInt32(truncatingIfNeeded: maskWord)
        maskWord >>= 32
        guard let place = sockets.index(forKey: link) else { return }
        MaskedFrames.append(opcode: 1, scratch, mask: mask, to: &sockets.values[place].output)
    }
}
