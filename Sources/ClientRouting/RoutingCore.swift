import ClientProtocol
import Identifiers
import TimeAndChance

/// The decisions of a client: which nodes it is connected to, where each request goes, and what is said again
/// after something has failed. A value without I/O.
///
/// A request goes to the owner of its actor if there is a connection, and else to any node, which passes it
/// on; so no request waits for a connection to the owner, and a client that cannot reach the owners'
/// addresses is served all the same. It is under way at one node at a time, and keeps its sequence wherever
/// it goes (A13).
package struct RoutingCore {
    package struct Settings {
        /// Connections at a time.
        package var connectionsMax = 64
        /// How long a connection to an owner stays without work.
        package var idle: Duration = .seconds(60)
        package var connectTimeout: Duration = .seconds(10)
        /// While nothing is connected, another node is tried after that long.
        package var stagger: Duration = .milliseconds(500)
        /// A silent connection is pinged after this long, and given up after as long again.
        package var heartbeat: Duration = .seconds(30)
        /// The same while requests wait there, if there is another node to go to.
        package var probe: Duration = .seconds(2)
        /// Between attempts at one address.
        package var backoff = Backoff(minimum: .milliseconds(250), maximum: .seconds(30))
        /// Before a request is said again that nobody could take.
        package var patience = Backoff(minimum: .milliseconds(50), maximum: .seconds(1))
        /// How often a request is sent on to another owner before it is put off.
        package var redirectsMax = 4
        /// How long a node may keep back its answer to a question for the map.
        package var mapWait: Duration = .seconds(25)
        /// Between two questions that brought nothing new, and after one that failed.
        package var mapPause: Duration = .seconds(1)

        package init() {}
    }

    package enum Effect {
        case connect(LinkID, NodeAddress)
        case send(LinkID, ClientFrame)
        /// It is not heard any more, whatever it says.
        case close(LinkID)
        case answer(RequestLedger.Reply, Result<ActorReply, ClientError>)
        case deliver(RequestLedger.Subscription, EventDelivery)
        case fail(RequestLedger.Subscription, ClientError)
        case status(ConnectionStatus)
        /// For the log.
        case note(String)
    }

    /// What is known of an address.
    struct Place {
        var attempts = 0
        /// Nobody connects before.
        var retryAt: Duration = .zero
        var link: LinkID?
    }

    package let settings: Settings
    /// In the order in which this client tries them.
    let seeds: [NodeAddress]
    package var ledger: RequestLedger
    package private(set) var status = ConnectionStatus.idle
    package var table: RouteTable?
    var links: [LinkID: Link] = [:]
    var places: [NodeAddress: Place] = [:]
    /// The connection to each node, if it may get requests.
    var linkOfNode: [NodeID: LinkID] = [:]
    /// Requests and subscriptions that no node has, until there is one.
    var waiting: Set<UInt64> = []
    /// Those that are put off, and until when.
    var delayed: [UInt64: Duration] = [:]
    private var nextLink: UInt64 = 1
    /// A60; switched off by a simulation only, to show what it is for.
    package var comparesEpochs = true
    /// Chance, from a seed.
    var random: SplitMix64

    /// - Parameter seeds: at least one.
    package init(session: SessionID, seeds: [NodeAddress], settings: Settings = Settings(), seed: UInt64) {
        ledger = RequestLedger(session: session)
        self.settings = settings
        random = SplitMix64(seed: seed)
        // Many clients are given the same list; not all of them should take its first node.
        var unique: [NodeAddress] = []
        for seed in seeds where !unique.contains(seed) { unique.append(seed) }
        self.seeds = unique.shuffled(using: &random)
    }

    var isActive: Bool { status != .idle && status != .closed }

    /// Whether there is any node to go to besides one.
    var hasChoice: Bool { seeds.count > 1 || (table?.addresses.count ?? 0) > 1 }

    // MARK: Beginning and end

    package mutating func connect(now: Duration, _ effects: inout [Effect]) {
        guard status == .idle else { return }
        status = .connecting
        effects.append(.status(.connecting))
        seek(now, &effects)
    }

    package mutating func close(_ effects: inout [Effect]) {
        guard status != .closed else { return }
        status = .closed
        effects.append(.status(.closed))
        for id in ledger.pending.keys.sorted() {
            if let request = ledger.finish(id) { effects.append(.answer(request.reply, .failure(.closed))) }
        }
        for subscription in ledger.subscriptions.values { effects.append(.fail(subscription, .closed)) }
        ledger.subscriptions = [:]
        for link in links.keys.sorted() { effects.append(.close(link)) }
        links = [:]
        linkOfNode = [:]
        waiting = []
        delayed = [:]
    }

    /// What observers see: connected as long as any node can take requests.
    mutating func updateStatus(_ now: Duration, _ effects: inout [Effect]) {
        guard isActive else { return }
        let new: ConnectionStatus =
            if links.values.contains(where: { $0.phase == .open && $0.isTrusted }) {
                .connected
            } else if links.values.contains(where: { $0.phase != .leaving }) {
                .connecting
            } else {
                .disconnected
            }
        guard new != status else { return }
        status = new
        effects.append(.status(new))
    }

    // MARK: Connections

    /// All addresses, in the order in which they are tried.
    private var addresses: [NodeAddress] {
        var all = seeds
        for node in (table?.addresses ?? [:]).sorted(by: { $0.key < $1.key }) where !all.contains(node.value)
        {
            all.append(node.value)
        }
        return all
    }

    /// When the newest connection was begun of those that are not trusted yet; nil if there are none.
    private var youngestAttempt: Duration? {
        links.values.lazy.filter { !$0.isTrusted && $0.phase != .leaving }.map(\.since).max()
    }

    /// Makes sure that a node is on its way while none is there: the one that failed least, at once; another
    /// one soon after, because a machine that is gone does not say so.
    mutating func seek(_ now: Duration, _ effects: inout [Effect]) {
        guard isActive, !links.values.contains(where: { $0.isUsable(at: now) }) else { return }
        if let youngestAttempt, now - youngestAttempt < settings.stagger { return }
        let free = addresses.filter { places[$0]?.link == nil && (places[$0]?.retryAt ?? .zero) <= now }
        let best = free.enumerated().min { one, other in
            (places[one.element]?.attempts ?? 0, one.offset)
                < (places[other.element]?.attempts ?? 0, other.offset)
        }
        if let best { open(best.element, now, &effects) }
    }

    /// When `seek` may find somebody next.
    func nextSeek(after now: Duration) -> Duration? {
        guard !links.values.contains(where: { $0.isUsable(at: now) }) else { return nil }
        let free = addresses.filter { places[$0]?.link == nil }
        guard let first = free.map({ places[$0]?.retryAt ?? .zero }).min(),
            links.count < settings.connectionsMax
        else { return nil }
        return max(first, youngestAttempt.map { $0 + settings.stagger } ?? .zero)
    }

    /// Connects to an owner, if that can be.
    mutating func reach(_ node: NodeID, _ now: Duration, _ effects: inout [Effect]) {
        guard let address = table?.addresses[node], places[address]?.link == nil,
            (places[address]?.retryAt ?? .zero) <= now
        else { return }
        open(address, now, &effects)
    }

    private mutating func open(_ address: NodeAddress, _ now: Duration, _ effects: inout [Effect]) {
        guard links.count < settings.connectionsMax else { return }
        let link = LinkID(rawValue: nextLink)
        nextLink += 1
        links[link] = Link(address, at: now)
        places[address, default: Place()].link = link
        effects.append(.connect(link, address))
        updateStatus(now, &effects)
    }

    /// The socket is open.
    /// - Returns: false if it is not wanted any more.
    package mutating func opened(_ link: LinkID, now: Duration, _ effects: inout [Effect]) -> Bool {
        guard links[link]?.phase == .connecting else { return false }
        links[link]?.phase = .greeting
        links[link]?.heardAt = now
        effects.append(.send(link, .hello(version: ClientWire.version, session: ledger.session)))
        return true
    }

    /// The connection is gone, or could not be made: what was under way there goes to another node, at once
    /// if there is one.
    package mutating func closed(_ link: LinkID, now: Duration, _ effects: inout [Effect]) {
        guard let place = links[link]?.address else { return }
        places[place, default: Place()].attempts += 1
        let attempts = places[place]?.attempts ?? 1
        let pause = settings.backoff.pause(attempts: attempts, chance: .random(in: 0...1, using: &random))
        places[place]?.retryAt = now + pause
        forget(link, now, &effects)
    }

    /// Ends a connection from this side.
    mutating func drop(_ link: LinkID, retryAt: Duration?, _ now: Duration, _ effects: inout [Effect]) {
        guard let address = links[link]?.address else { return }
        effects.append(.close(link))
        if let retryAt { places[address]?.retryAt = retryAt }
        forget(link, now, &effects)
    }

    private mutating func forget(_ link: LinkID, _ now: Duration, _ effects: inout [Effect]) {
        guard let gone = links.removeValue(forKey: link) else { return }
        places[gone.address]?.link = nil
        if let node = gone.node, linkOfNode[node] == link { linkOfNode[node] = nil }
        // A place that is no seed and not in the map is not tried any more.
        if !addresses.contains(gone.address) { places[gone.address] = nil }
        let orphans = gone.isIdle ? [] : ledger.at(link)
        for id in orphans {
            ledger.pending[id]?.link = nil
            ledger.subscriptions[id]?.link = nil
            place(id, now, &effects)
        }
        ask(now, &effects)
        seek(now, &effects)
        updateStatus(now, &effects)
    }
}
