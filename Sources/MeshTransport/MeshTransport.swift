import CLibUV
import Identifiers
import MeshProtocol
import Synchronization
import TimeAndChance

/// The connections of one node, on the thread of one event loop: carries out what `MeshCore` decides.
///
/// An actor of the loop: others on the same loop call it by `assumeIsolated`, without a hop. It keeps itself
/// alive until `close`.
public actor MeshTransport {
    /// Called on the loop's thread, in order.
    public typealias Handler = @Sendable (isolated MeshTransport, MeshEvent) -> Void

    public nonisolated let loop: EventLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// Bytes given to sockets since the start, TLS included.
    public nonisolated var bytesWritten: UInt64 { writtenCount.load(ordering: .relaxed) }
    nonisolated let writtenCount = Atomic<UInt64>(0)

    private let handler: Handler
    private var core: MeshCore
    private var random: SplitMix64
    private var context: TLSContext?
    private let source: SocketAddress?
    private var connections: [LinkID: Connection] = [:]
    private var listener: TCPListener?
    private let buffers = SharedBuffers()
    /// Links with bytes to write at the end of this round.
    private var unflushed: [LinkID] = []
    private var waiting: [MeshEffect] = []
    private var isPerforming = false
    private var deadlineTimer: LoopTimer?
    private var armedFor: Duration?
    private var timers: [MeshTimer: LoopTimer] = [:]
    private var lastTimer = MeshTimer(rawValue: 0)
    /// Sockets that libuv has not let go of.
    private(set) var openHandles = 0
    private var isClosing = false
    private var isClosed = false
    private var closeWaiters: [CheckedContinuation<Void, Never>] = []

    public init(
        _ configuration: MeshConfiguration, on loop: EventLoop, handler: @escaping Handler
    ) throws(MeshTransportError) {
        self.loop = loop
        self.handler = handler
        core = MeshCore(
            configuration.identity, catalog: configuration.catalog, settings: configuration.settings)
        random = SplitMix64(seed: configuration.seed)
        source = try configuration.dialFrom.map { host throws(MeshTransportError) in
            guard let address = SocketAddress(numeric: MeshAddress(host: host, port: 0)) else {
                throw .dialFrom(host)
            }
            return address
        }
        switch configuration.security {
        case .plainTCP: context = nil
        case .mutualTLS(let credentials): context = try Self.context(credentials, of: configuration.identity)
        }
    }

    private static func context(
        _ credentials: NodeCredentials, of identity: NodeIdentity
    ) throws(MeshTransportError) -> TLSContext {
        let own = CertificateIdentity(cluster: identity.cluster, node: identity.node)
        guard credentials.identity == own else { throw .otherIdentity(credentials.identity) }
        do { return try TLSContext(credentials) } catch { throw .credentials(error) }
    }

    // MARK: What a node asks for

    /// Accepts connections.
    /// - Parameter address: numeric; port 0 lets the system choose.
    /// - Returns: the address with the port that is used.
    public func listen(_ address: MeshAddress) throws(MeshTransportError) -> MeshAddress {
        guard !isClosing else { throw .closed }
        guard listener == nil else { throw .listen(address, reason: "it listens already") }
        guard let numeric = SocketAddress(numeric: address) else {
            throw .listen(address, reason: "a numeric address is needed")
        }
        openHandles += 1
        do {
            let listener = try TCPListener(numeric, on: loop.thread, for: self)
            self.listener = listener
            return listener.address ?? address
        } catch {
            openHandles -= 1
            throw .listen(address, reason: "\(error)")
        }
    }

    /// Keeps a connection to the node on each of the lanes, trying the addresses in turn.
    public func connect(_ node: NodeID, at addresses: [MeshAddress], lanes: Set<MeshLane>) {
        handle(.connect(node, addresses, lanes: lanes))
    }

    /// Closes the connections to the node and dials it no more.
    public func disconnect(_ node: NodeID) { handle(.disconnect(node)) }

    /// Dials an address once, to learn which node is there.
    public func introduce(_ address: MeshAddress) { handle(.introduce(address)) }

    /// Tells what the control plane knows about a node.
    public func learn(_ node: NodeID, _ record: PeerDirectory.Record) { handle(.learn(node, record)) }

    /// Tells which nodes there are; who was one of them before and is missing is turned away.
    public func learn(members: [NodeID]) { handle(.members(members)) }

    /// The control plane has issued this process's incarnation: makes all connections anew, so that every
    /// peer knows which life it talks to (R8).
    public func become(_ incarnation: Incarnation) { handle(.become(incarnation)) }

    /// Stops or resumes reading from a peer, which holds it back. A peer that is not read for longer than its
    /// deadline for silence gives the connection up.
    public func pauseReading(_ node: NodeID, on lane: MeshLane, _ isPaused: Bool) {
        handle(.pauseReading(node, lane, isPaused))
    }

    /// Hands over a frame, to be written with others at the end of the round.
    @discardableResult
    public func send(_ frame: Frame, to node: NodeID, on lane: MeshLane) -> SendOutcome {
        let (outcome, effects) = core.send(frame, to: node, on: lane)
        perform(effects)
        return outcome
    }

    /// The peer at the other end, if there is a connection.
    public func peer(_ node: NodeID, on lane: MeshLane) -> MeshPeer? { core.peer(node, on: lane) }

    /// Bytes that wait for a peer.
    public func pendingBytes(to node: NodeID, on lane: MeshLane) -> Int {
        core.pendingBytes(to: node, on: lane)
    }

    /// Uses other credentials for connections from now on; those that exist stay.
    public func renew(_ credentials: NodeCredentials) throws(MeshTransportError) {
        context = try Self.context(credentials, of: core.identity)
    }

    /// Says farewell to all peers, closes everything, and returns when libuv has let go of every socket: at
    /// the latest after the deadline for farewells.
    public func close() async {
        if isClosed { return }
        await withCheckedContinuation { continuation in
            closeWaiters.append(continuation)
            guard !isClosing else { return }
            isClosing = true
            listener?.close()
            listener = nil
            for timer in timers.values { timer.close() }
            timers = [:]
            handle(.stop)
            closeIfDone()
        }
    }

    // MARK: Timers

    /// Runs `body` on the loop after a while, and then again and again if there is a period. Ends with
    /// `close`.
    @discardableResult
    public func schedule(
        after delay: Duration, every period: Duration? = nil,
        _ body: @escaping @Sendable (isolated MeshTransport) -> Void
    ) -> MeshTimer? {
        guard !isClosing else { return nil }
        lastTimer.rawValue += 1
        let id = lastTimer
        let timer = LoopTimer(on: loop.thread) { [self] in
            assumeIsolated { transport in
                if period == nil { transport.cancel(id) }
                body(transport)
            }
        }
        timers[id] = timer
        timer.start(after: delay, every: period)
        return id
    }

    /// Ends a timer; one that has ended is no matter.
    public func cancel(_ timer: MeshTimer) { timers.removeValue(forKey: timer)?.close() }

    // MARK: Carrying out

    func handle(_ input: MeshInput) {
        perform(core.handle(input, now: EventLoop.now, random: &random))
        arm()
    }

    /// Effects of one event come before those of the events that they cause.
    private func perform(_ effects: [MeshEffect]) {
        if effects.isEmpty { return }
        guard !isPerforming else { return waiting.append(contentsOf: effects) }
        isPerforming = true
        for effect in effects { perform(effect) }
        while !waiting.isEmpty {
            let next = waiting
            waiting = []
            for effect in next { perform(effect) }
        }
        isPerforming = false
    }

    private func perform(_ effect: MeshEffect) {
        switch effect {
        case .report(let event):
            handler(self, event)
            if event == .stopped { closeIfDone() }
        case .flush(let id): list(id)
        case .dial(let id, let address):
            switch make(isDialler: true) {
            case .success(let connection):
                connection.id = id
                connections[id] = connection
                connection.dial(address, from: source)
            case .failure(let error): handle(.ended(id, failure: "\(error)"))
            }
        case .finish(let id): connections[id]?.finish()
        case .abort(let id): connections.removeValue(forKey: id)?.close()
        case .read(let id, let isPaused): connections[id]?.read(!isPaused)
        }
    }

    private func make(isDialler: Bool) -> Result<Connection, CertificateError> {
        do throws(CertificateError) {
            let connection = try Connection(
                of: self, context: context, isDialler: isDialler, buffers: buffers)
            openHandles += 1
            return .success(connection)
        } catch { return .failure(error) }
    }

    /// Writes at the end of the round, with everything else that comes until then.
    private func list(_ id: LinkID) {
        guard let connection = connections[id], !connection.isListed else { return }
        connection.isListed = true
        unflushed.append(id)
        guard unflushed.count == 1 else { return }
        loop.thread.atEndOfRound { [self] in assumeIsolated { $0.flush() } }
    }

    private func flush() {
        let ids = unflushed
        unflushed = []
        for id in ids {
            connections[id]?.isListed = false
            flush(id)
        }
        arm()
    }

    private func flush(_ id: LinkID) {
        let size = context == nil ? buffers.outgoing.count : SharedBuffers.encryptedAtOnce
        let space = UnsafeMutableRawBufferPointer(rebasing: buffers.outgoing[..<size])
        while let connection = connections[id], connection.canWrite {
            let now = EventLoop.now
            let count = core.fill(space, for: id, now: now)
            guard count > 0 else { return }
            guard connection.write(UnsafeRawBufferPointer(rebasing: space[..<count])) else { return }
            perform(core.handle(.wrote(id, count), now: now, random: &random))
        }
    }

    /// Sets the one timer to the core's next deadline.
    private func arm() {
        guard core.nextDeadline != armedFor else { return }
        armedFor = core.nextDeadline
        guard let deadline = armedFor else { return }
        let timer =
            deadlineTimer
            ?? LoopTimer(on: loop.thread) { [self] in
                assumeIsolated { transport in
                    // libuv's time is a little behind; an early tick finds nothing due, and the timer is set
                    // again.
                    transport.armedFor = nil
                    transport.handle(.tick)
                }
            }
        deadlineTimer = timer
        timer.start(after: max(.zero, deadline - EventLoop.now))
    }

    private func closeIfDone() {
        guard isClosing, !isClosed, core.linkCount == 0, openHandles == 0 else { return }
        isClosed = true
        deadlineTimer?.close()
        deadlineTimer = nil
        for waiter in closeWaiters { waiter.resume() }
        closeWaiters = []
    }

    // MARK: What the sockets say

    func received(_ id: LinkID, _ bytes: UnsafeRawBufferPointer) {
        perform(core.received(bytes, on: id, now: EventLoop.now, random: &random))
        arm()
    }

    func ended(_ id: LinkID, _ failure: String?) {
        connections[id] = nil
        handle(.ended(id, failure: failure))
    }

    func notSecured(_ id: LinkID, _ sentence: String) {
        connections[id] = nil
        handle(.notSecured(id, sentence))
    }

    func wrote(_ id: LinkID, _ bytes: Int) {
        handle(.wrote(id, bytes))
        list(id)
    }

    func arrived(on stream: UnsafeMutablePointer<uv_stream_t>) {
        guard case .success(let connection) = make(isDialler: false) else { return }
        guard connection.accept(from: stream),
            let id = core.accept(from: connection.peerAddress, now: EventLoop.now)
        else { return connection.close() }
        connection.id = id
        connections[id] = connection
        connection.begin()
        arm()
    }

    func oneHandleLess() {
        openHandles -= 1
        closeIfDone()
    }
}

/// Names a timer of a transport.
public struct MeshTimer: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}
