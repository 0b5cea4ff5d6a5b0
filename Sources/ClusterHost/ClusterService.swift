import ClientProtocol
import ControlCore
import Identifiers
import Logging
import MeshTransport
import PlacementCore
import Synchronization

/// Takes every request to whoever owns the actor: to the host of this node, or over one hop to another one.
///
/// What was refused because the actor lives elsewhere was not performed, and goes on to the next owner as
/// long as the client waits. What may have been performed is repeated only if it is recognised (A13).
public final class ClusterService: ActorService {
    /// Bounds of what waits here.
    public struct Limits: Sendable {
        /// How long an owner is looked for, if the client does not say how long it waits.
        public var patience: Duration = .seconds(10)
        /// Requests that wait for an owner.
        public var waitingMax = 16_384

        public init() {}
    }

    /// How often what waits is tried again, besides after every change of the map.
    static let tick = Duration.milliseconds(50)
    private static let stripes = 16

    private let host: any ActorService
    let me: NodeID
    private let ring: HashRing
    let maps: MapBoard
    let loop: EventLoop
    let exchange: PeerExchange
    private let limits: Limits
    private let logger: Logger
    private let nextNumber = Atomic<UInt64>(1)
    /// Requests that are not answered, by number, in several parts so that threads rarely meet.
    private let tables: [CallTable]
    private let waiting = Mutex<[RoutedCall]>([])
    let subscriptions = Mutex<[SubscriptionID: RoutedSubscription]>([:])
    /// Those that are attached nowhere.
    let detached = Mutex<[RoutedSubscription]>([])
    private let isStopped = Atomic<Bool>(false)

    init(
        host: any ActorService, me: NodeID, ring: HashRing, maps: MapBoard, exchange: PeerExchange,
        limits: Limits = Limits(), logger: Logger
    ) {
        self.host = host
        self.me = me
        self.ring = ring
        self.maps = maps
        self.exchange = exchange
        loop = exchange.loop
        self.limits = limits
        self.logger = logger
        tables = (0..<Self.stripes).map { _ in CallTable() }
    }

    public var kinds: [String] { host.kinds }
    public var obstacle: ActorError? { host.obstacle }
    var local: any ActorService { host }

    /// Who owns an actor, as far as this node knows.
    enum Owner {
        case here
        case node(NodeID)
        case nobody
    }

    func owner(of actor: ActorAddress) -> Owner {
        guard let owner = maps.owner(of: ring.partition(of: actor)) else { return .nobody }
        return owner == me ? .here : .node(owner)
    }

    func takeNumber() -> UInt64 { nextNumber.add(1, ordering: .relaxed).oldValue }

    // MARK: Requests

    @discardableResult
    public func submit(
        _ request: ActorRequest, reply: @escaping @Sendable (Result<ActorReply, ActorError>) -> Void
    ) -> RequestToken {
        if let redirection = redirection(of: request) {
            reply(.failure(redirection))
            // Names no request of this service.
            return RequestToken(rawValue: .max)
        }
        let call = RoutedCall(number: takeNumber(), request, patience: limits.patience, reply: reply)
        table(call.number).calls.withLock { $0[call.number] = call }
        route(call)
        return RequestToken(rawValue: call.number)
    }

    /// A client that keeps the map and has sent the request here for the owner is told of a newer one, and
    /// goes there itself from then on (A60). What is not newer would send it in circles, and is passed on.
    private func redirection(of request: ActorRequest) -> ActorError? {
        guard let epoch = request.assumedEpoch else { return nil }
        let partition = ring.partition(of: request.target)
        guard maps.owner(of: partition) != me else { return nil }
        return maps.routeBook.withLock { $0.book.redirection(of: partition, from: epoch, at: me) }
            .map { ActorError.redirect(to: $0.entry, at: $0.address) }
    }

    public func abandon(_ token: RequestToken) {
        let call = table(token.rawValue).calls.withLock { $0.removeValue(forKey: token.rawValue) }
        guard let call else { return }
        let place = call.state.withLock { state in
            state.reply = nil
            return state.place
        }
        switch place {
        case .nowhere: break
        case .host(let token): host.abandon(token)
        case .peer(_, let id): loop.post { [exchange] in exchange.assumeIsolated { $0.abandon(id) } }
        }
    }

    private func table(_ number: UInt64) -> CallTable { tables[Int(number % UInt64(Self.stripes))] }

    private func finish(_ call: RoutedCall, _ result: Result<ActorReply, ActorError>) {
        table(call.number).calls.withLock { _ = $0.removeValue(forKey: call.number) }
        call.finish(result)
    }

    private func route(_ call: RoutedCall) {
        guard !call.isOver else { return }
        switch owner(of: call.request.target) {
        case .nobody: wait(call)
        case .here:
            let token = host.submit(call.rest) { [self] result in answered(call, result) }
            // The answer may be there already; then this place is not looked at any more.
            call.move(to: .host(token))
            if call.isOver { host.abandon(token) }
        case .node(let node): loop.post { [self] in send(call, to: node) }
        }
    }

    /// On the loop.
    private func send(_ call: RoutedCall, to node: NodeID) {
        guard !call.isOver, !isStopped.load(ordering: .relaxed) else { return surrenderIfStopped(call) }
        exchange.assumeIsolated { exchange in
            let id = exchange.call(.request(call.rest), at: node) { [self] outcome in
                call.move(to: .nowhere)
                switch outcome {
                case .answered(let result): answered(call, result)
                case .notSent: wait(call)
                case .lost: answered(call, .failure(.moved))
                }
            }
            guard let id else { return }
            call.move(to: .peer(node, id))
            if call.isOver { exchange.abandon(id) }
        }
    }

    private func answered(_ call: RoutedCall, _ result: Result<ActorReply, ActorError>) {
        guard case .failure(let error) = result else { return finish(call, result) }
        if error.isElsewhere { return wait(call) }
        if error.isMoved, call.isRepeatable {
            call.searchAgain()
            return wait(call)
        }
        finish(call, result)
    }

    // MARK: Waiting for an owner

    private func wait(_ call: RoutedCall) {
        guard !call.isOver else { return }
        call.move(to: .nowhere)
        guard call.isPatient, !isStopped.load(ordering: .relaxed) else {
            return finish(call, .failure(call.surrender))
        }
        let isFull = waiting.withLock { waiting in
            guard waiting.count < limits.waitingMax else { return true }
            waiting.append(call)
            return false
        }
        if isFull { finish(call, .failure(call.state.withLock { $0.isAmbiguous } ? .moved : .overloaded)) }
    }

    private func surrenderIfStopped(_ call: RoutedCall) {
        if isStopped.load(ordering: .relaxed) { finish(call, .failure(call.surrender)) }
    }

    /// Something has changed, or some time has passed: everybody who waits tries again. On the loop.
    func retry() {
        let ready = waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        for call in ready {
            if call.isPatient { route(call) } else { finish(call, .failure(call.surrender)) }
        }
        retrySubscriptions()
    }

    /// Answers everything that waits, and lets nothing wait any more.
    func stop() {
        isStopped.store(true, ordering: .relaxed)
        for call in waiting.withLock({ $0 }) { finish(call, .failure(call.surrender)) }
        waiting.withLock { $0 = [] }
    }
}

/// The requests of one stripe.
private final class CallTable: Sendable {
    let calls = Mutex<[UInt64: RoutedCall]>([:])
}
