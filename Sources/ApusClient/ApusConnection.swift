import ClientProtocol
import Identifiers
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// One connection to a node, for any number of actors and callers: untyped requests and events.
///
/// A lost connection is made again with growing, jittered pauses. What was under way is then asked again
/// under its first sequence, so that the node recognises what it has executed already (A13, A63), and
/// subscriptions are renewed.
public final class ApusConnection: Sendable {
    struct State {
        var core: ConnectionCore
        var channel: (any Channel)?
        /// Masked frames that the event loop will write at its next turn.
        var output = ByteBuffer()
        var isFlushScheduled = false
        var isSweepScheduled = false
        var observers: [UInt64: AsyncStream<ConnectionStatus>.Continuation] = [:]
        var nextObserver: UInt64 = 0
        var masks: SystemRandomNumberGenerator = .init()
        var maskWord: UInt64 = 0
        var heardSinceHeartbeat = true
        var scratch: [UInt8] = []
    }

    let state: Mutex<State>
    let loop: any EventLoop
    let configuration: ClientConfiguration
    private let host: String
    private let port: Int
    private let logger: Logger

    /// Prepares a connection; the first request or `connect()` makes it.
    /// - Parameters:
    ///   - session: the scope of the request sequences; a new random one unless a former session is to go on.
    ///   - group: the threads to run on.
    public init(
        host: String, port: Int, configuration: ClientConfiguration = .init(), session: SessionID? = nil,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "apus.client")
    ) {
        self.host = host
        self.port = port
        self.configuration = configuration
        self.logger = logger
        loop = group.next()
        var generator = SystemRandomNumberGenerator()
        let session = session ?? SessionID.random(using: &generator)
        state = Mutex(State(core: ConnectionCore(session: session)))
    }

    public var session: SessionID { state.withLock { $0.core.session } }
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
        let isFirst = state.withLock { state in
            guard state.core.status == .idle else { return false }
            state.core.connecting()
            state.tellObservers()
            return true
        }
        if isFirst { openSocket() }
    }

    /// Ends the connection. What waits for a reply fails with `closed`; subscriptions end.
    public func close() async {
        let (remains, observers, channel) = state.withLock { state in
            let remains = state.core.close()
            state.tellObservers()
            defer { state.observers = [:] }
            return (remains, Array(state.observers.values), state.channel)
        }
        for observer in observers { observer.finish() }
        for request in remains.requests { request.reply(.failure(.closed)) }
        for subscription in remains.subscriptions { subscription.fail(.closed) }
        guard let channel else { return }
        var goodbye = ByteBuffer()
        MaskedFrames.append(opcode: 8, [0x03, 0xE8], mask: .random(in: .min ... .max), to: &goodbye)
        try? await channel.writeAndFlush(goodbye).get()
        try? await channel.close().get()
    }

    // MARK: Connecting

    private func openSocket() {
        let upgrader = ClientUpgrader(owner: self, frameBytesMax: 16 << 20)
        let channels = NIOLoopBoundBox.makeBoxSendingValue(0, eventLoop: loop)
        let request = NIOLoopBoundBox<UpgradeRequestHandler?>.makeEmptyBox(
            valueType: UpgradeRequestHandler.self, eventLoop: loop)
        ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { [host, self] channel in
                channel.eventLoop.makeCompletedFuture {
                    channels.value += 1
                    let handler = UpgradeRequestHandler(host: host, owner: self)
                    request.value = handler
                    try channel.pipeline.syncOperations.addHTTPClientHandlers(
                        leftOverBytesStrategy: .forwardBytes,
                        withClientUpgrade: (
                            upgraders: [upgrader],
                            completionHandler: { context in
                                request.value?.upgraded()
                                if let handler = request.value {
                                    context.pipeline.syncOperations.removeHandler(handler, promise: nil)
                                }
                                request.value = nil
                            }
                        ))
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .connect(host: host, port: port)
            .whenFailure { [self] error in
                logger.debug("cannot connect", metadata: ["error": "\(error)"])
                // A channel tells of its end by itself; a name that nobody knows at the moment makes none.
                loop.execute { if channels.value == 0 { self.socketClosed() } }
            }
    }

    private func scheduleReconnection() {
        let attempts = state.withLock { $0.core.failedAttempts }
        let backoff = Backoff(minimum: configuration.backoffMin, maximum: configuration.backoffMax)
        let pause = backoff.pause(attempts: attempts, chance: Double.random(in: 0...1))
        loop.scheduleTask(in: TimeAmount(pause)) { [weak self] in
            guard let self else { return }
            let goesOn = state.withLock { state in
                guard state.core.status == .disconnected else { return false }
                state.core.connecting()
                state.tellObservers()
                return true
            }
            if goesOn { openSocket() }
        }
    }

    // MARK: Output

    /// Queues a frame; the event loop is woken once for all that gather until it runs.
    func send(_ frame: ClientFrame, _ state: inout State) -> Bool {
        state.append(frame)
        guard !state.isFlushScheduled else { return false }
        state.isFlushScheduled = true
        return true
    }

    func flush() {
        let (channel, buffer, sweeps) = state.withLock { state in
            state.isFlushScheduled = false
            let buffer = state.output
            state.output = ByteBuffer()
            let sweeps = !state.isSweepScheduled && !state.core.pending.isEmpty
            if sweeps { state.isSweepScheduled = true }
            return (state.channel, buffer, sweeps)
        }
        if sweeps { scheduleSweep() }
        guard let channel, buffer.readableBytes > 0 else { return }
        channel.writeAndFlush(buffer, promise: nil)
    }

    var now: Duration { .nanoseconds(Int64(clamping: loop.now.uptimeNanoseconds)) }

    /// Deadlines are looked at ten times a second while something waits, instead of a timer per call.
    private func scheduleSweep() {
        loop.scheduleTask(in: .milliseconds(100)) { [weak self] in
            guard let self else { return }
            let now = self.now
            let (overdue, isEmpty) = state.withLock { ($0.core.overdue(at: now), $0.core.pending.isEmpty) }
            for id in overdue { giveUp(id, .timedOut) }
            state.withLock { $0.isSweepScheduled = !isEmpty }
            if !isEmpty { scheduleSweep() }
        }
    }

    /// Ends a request without its reply, and tells the node that nobody waits any more.
    func giveUp(_ id: UInt64, _ error: ClientError) {
        let (pending, wakes) = state.withLock { state in
            let pending = state.core.finish(id)
            guard pending != nil, state.core.status == .connected else { return (pending, false) }
            return (pending, send(.cancel(id: id), &state))
        }
        if wakes { loop.execute { self.flush() } }
        pending?.reply(.failure(error))
    }

    private func scheduleHeartbeat(_ channel: any Channel) {
        loop.scheduleTask(in: TimeAmount(configuration.heartbeat)) { [weak self] in
            guard let self, channel.isActive else { return }
            let isAlive = state.withLock { state in
                defer { state.heardSinceHeartbeat = false }
                if state.heardSinceHeartbeat { state.append(.ping(id: 0)) }
                return state.heardSinceHeartbeat
            }
            guard isAlive else { return channel.close(promise: nil) }
            flush()
            scheduleHeartbeat(channel)
        }
    }
}

extension ApusConnection: SocketOwner {
    func socketOpened(_ channel: any Channel) {
        let isWanted = state.withLock { state in
            guard state.core.status == .connecting else { return false }
            state.channel = channel
            state.output = ByteBuffer()
            state.heardSinceHeartbeat = true
            state.append(.hello(version: ClientWire.version, session: state.core.session))
            return true
        }
        guard isWanted else { return channel.close(promise: nil) }
        flush()
        scheduleHeartbeat(channel)
    }

    func socketReceived(_ frames: [ServerFrame]) {
        var calls: [() -> Void] = []
        var wakes = false
        state.withLock { state in
            state.heardSinceHeartbeat = true
            for frame in frames {
                if case .welcome = frame {
                    for again in state.core.welcomed(now: now) { wakes = send(again, &state) || wakes }
                    state.tellObservers()
                } else if case .error(let id, let error) = frame, state.core.postpone(id, error) {
                    askAgain(id)
                } else if let call = Self.effect(of: frame, &state.core) {
                    calls.append(call)
                }
            }
        }
        if wakes { flush() }
        for call in calls { call() }
    }

    /// Repeats a request in a moment: its actor is on its way to another node, or this node into its cluster.
    private func askAgain(_ id: UInt64) {
        loop.scheduleTask(in: TimeAmount(configuration.repeatPause)) { [weak self] in
            guard let self else { return }
            let wakes = state.withLock { state in
                guard let frame = state.core.again(id, now: now) else { return false }
                return send(frame, &state)
            }
            if wakes { flush() }
        }
    }

    /// What a frame means to whoever waits for it, to be called outside of the lock.
    private static func effect(of frame: ServerFrame, _ core: inout ConnectionCore) -> (() -> Void)? {
        switch frame {
        case .reply(let id, let reply):
            guard let pending = core.finish(id) else { return nil }
            return { pending.reply(.success(reply)) }
        case .error(let id, let error):
            // Subscriptions are renewed at the next connection.
            if error.group == "node", error.code == "stopping" { return nil }
            if let pending = core.finish(id) { return { pending.reply(.failure(.actor(error))) } }
            guard let subscription = core.subscriptionFailed(id) else { return nil }
            return { subscription.fail(.actor(error)) }
        case .event(let id, let name, let payload):
            guard let subscription = core.subscriptions[id] else { return nil }
            let delivery = EventDelivery(actor: subscription.actor, event: name, payload: payload)
            return { subscription.deliver(delivery) }
        case .welcome, .subscribed, .pong: return nil
        }
    }

    func socketClosed() {
        let reconnects = state.withLock { state in
            state.channel = nil
            state.output = ByteBuffer()
            guard state.core.status != .closed else { return false }
            state.core.disconnected()
            state.tellObservers()
            return true
        }
        if reconnects { scheduleReconnection() }
    }
}

extension ApusConnection.State {
    mutating func append(_ frame: ClientFrame) {
        scratch.removeAll(keepingCapacity: scratch.capacity <= 64 << 10)
        frame.encode(into: &scratch)
        // One draw of the system's generator serves two frames.
        if maskWord == 0 { maskWord = masks.next() }
        MaskedFrames.append(opcode: 1, scratch, mask: UInt32(truncatingIfNeeded: maskWord), to: &output)
        maskWord >>= 32
    }

    func tellObservers() {
        for observer in observers.values { observer.yield(core.status) }
    }
}
