import Identifiers
import TimeAndChance

/// The failure detector of one node: who seems alive, and who seems unreachable (`cluster.md` 2.2).
///
/// SWIM (Das, Gupta and Motivala, 2002) with the local health of Lifeguard (Dadgar, Phillips and Currey,
/// 2018). A value without a clock or a socket, whose randomness follows from a seed. Who is a member comes
/// from the cluster's map; gossip never changes it, nor who owns what.
///
/// Time comes in as a `Duration` since any fixed moment and does not go backwards.
public struct Swim: Sendable {
    public let settings: SwimSettings
    /// This process, as it tells of itself.
    public internal(set) var presence: Presence
    /// Everybody else.
    public internal(set) var members: [NodeID: Member] = [:]
    /// How far this node mistrusts itself: 0 to `localHealthMax`. Stretches its deadlines by one more than
    /// itself (Lifeguard, 4.1: "LHA-Probe").
    public internal(set) var localHealth = 0

    var random: SplitMix64
    var now: Duration
    var effects: [Effect] = []
    var queue = RumourQueue()
    var suspicions: [NodeID: Suspicion] = [:]
    /// The nodes of the map besides this one, ascending.
    var roster: [NodeID] = []
    /// Where rumours go.
    public internal(set) var activeView: [NodeID] = []
    /// Those of the roster that do not seem to be there, in the order in which they are looked at again.
    var gone: [NodeID] = []
    var strangers: [NodeID] = []

    // Probing
    var probes: [UInt64: Probe] = [:]
    var relays: [UInt64: Relay] = [:]
    var nextSequence: UInt64
    /// The roster in a random order, and the place of the next one to be probed.
    var round: [NodeID] = []
    var place = 0
    var nextProbe: Duration
    var nextGossip: Duration
    var nextPushPull: Duration
    /// Whether somebody has told all that it knows.
    var hasSynchronized = false
    var lastAnswer: Duration
    var failuresSinceAnswer = 0
    var isLeaving = false

    /// - Parameters:
    ///   - seed: makes the numbers of this process's probes differ from an earlier one's, too.
    public init(
        _ node: NodeID, _ incarnation: Incarnation, settings: SwimSettings = SwimSettings(), seed: UInt64,
        now: Duration
    ) {
        self.settings = settings
        self.now = now
        random = SplitMix64(seed: seed)
        presence = Presence(node: node, incarnation: incarnation, meta: NodeMeta())
        nextSequence = random.next() >> 8
        // Nodes that start together do not probe together.
        let part = Double(UInt64.random(in: 0..<1_000, using: &random)) / 1_000
        nextProbe = now + settings.probePeriod * part
        nextGossip = now
        nextPushPull = nextProbe
        lastAnswer = now
    }

    public var me: NodeID { presence.node }
    public var isLonely: Bool { presence.meta.isLonely }
    /// Nodes of the map, this one included.
    public var clusterSize: Int { roster.count + 1 }

    /// Takes what happened and says what to do about it.
    public mutating func handle(_ event: Event, now: Duration) -> [Effect] {
        advance(to: now)
        switch event {
        case .tick: tick()
        case .message(let message): receive(message)
        case .members(let listed): follow(listed)
        case .facts(let mapVersion, let health, let backlog): tell(mapVersion, health, backlog)
        case .linkChanged(let node): look(at: node)
        case .leave: leave()
        }
        defer { effects = [] }
        return effects
    }

    /// Something happens at least every tick, unless the process stands still. Then deadlines passed that
    /// nobody had a chance to meet: what waits in the sockets has not been read (D33).
    private mutating func advance(to moment: Duration) {
        let silence = moment - now
        now = max(now, moment)
        guard silence > settings.stallAfter else { return }
        // The answers are lost or will be read late; either way they say nothing about the others.
        probes = [:]
        relays = [:]
        // A period to hear the objections that came meanwhile.
        let grace = silence + settings.probePeriod
        for node in suspicions.keys {
            suspicions[node]?.start += grace
            suspicions[node]?.asked = nil
        }
        lastAnswer += grace
        nextProbe = now + settings.directTimeout
        changeLocalHealth(by: 1)
        effects.append(.stalled(silence))
    }

    private mutating func tick() {
        guard !isLeaving else { return }
        expireProbes()
        expireRelays()
        expireSuspicions()
        expireStrangers()
        noticeLoneliness()
        if now >= nextProbe, !probes.values.contains(where: { $0.purpose == .turn }) { probeNext() }
        if now >= nextGossip { gossip() }
        if now >= nextPushPull { pushPull() }
    }

    mutating func changeLocalHealth(by amount: Int) {
        localHealth = min(max(0, localHealth + amount), settings.localHealthMax)
    }

    private mutating func tell(_ mapVersion: UInt64, _ health: UInt8, _ backlog: UInt32) {
        var meta = presence.meta
        meta.mapVersion = mapVersion
        meta.health = health
        meta.backlog = backlog
        change(to: meta)
    }

    mutating func change(to meta: NodeMeta) {
        let old = presence.meta
        guard meta != old else { return }
        presence.meta = meta
        presence.meta.revision = old.revision + 1
        if meta.isNews(after: old) { queue.add(presence.rumour) }
    }

    private mutating func noticeLoneliness() {
        let isLonely =
            !roster.isEmpty && failuresSinceAnswer >= 2
            && now - lastAnswer >= settings.probePeriod * settings.lonelyPeriods
        guard isLonely != self.isLonely else { return }
        var meta = presence.meta
        meta.isLonely = isLonely
        change(to: meta)
        effects.append(.loneliness(isLonely))
    }

    private mutating func leave() {
        guard !isLeaving else { return }
        isLeaving = true
        let rumour = Rumour(
            node: me, incarnation: presence.incarnation, swimIncarnation: presence.swimIncarnation,
            content: .left)
        let message = SwimMessage(sender: presence, body: .gossip, rumours: [rumour])
        for node in pick(2 * settings.gossipFanOut, from: activeView) {
            effects.append(.send(message, to: node))
        }
    }

    // MARK: Sending

    /// Sends with as many rumours as ride on one message. Whoever is doubted is told first, so that it can
    /// object at once (Lifeguard, 4.3: "Buddy System").
    mutating func send(_ body: SwimMessage.Body, to node: NodeID, first: Rumour? = nil) {
        var rumours: [Rumour] = []
        if let member = members[node], let doubt = doubt(about: node, member) { rumours.append(doubt) }
        if let first { rumours.append(first) }
        let told = Set(rumours.map(\.node))
        rumours += queue.take(
            settings.rumoursPerMessage, transmissionsMax: transmissionsMax, besides: node
        ).filter { !told.contains($0.node) }
        effects.append(.send(SwimMessage(sender: presence, body: body, rumours: rumours), to: node))
    }

    private func doubt(about node: NodeID, _ member: Member) -> Rumour? {
        member.state == .alive || member.state == .left ? nil : rumour(about: node, member)
    }

    /// What this node thinks of another one, in words for others.
    func rumour(about node: NodeID, _ member: Member) -> Rumour {
        let content: Rumour.Content =
            switch member.state {
            case .alive: .alive(member.meta)
            case .suspect: .suspect(by: member.accusers.first ?? me)
            case .unreachable: .unreachable(by: member.accusers.first ?? me)
            case .left: .left
            }
        return Rumour(
            node: node, incarnation: member.incarnation, swimIncarnation: member.standing.swimIncarnation,
            content: content)
    }

    private var transmissionsMax: Int {
        settings.retransmitMultiplier * Int(Logarithm.decimal(clusterSize + 1).rounded(.up))
    }

    private mutating func gossip() {
        guard !queue.isEmpty else { return }
        nextGossip = now + settings.gossipPeriod
        for node in pick(settings.gossipFanOut, from: activeView) where !queue.isEmpty {
            send(.gossip, to: node)
        }
    }

    /// Tells one node everything, and asks for as much: what rumours have missed is made good by it.
    private mutating func pushPull() {
        guard let partner = pick(1, from: roster).first else {
            nextPushPull = now + settings.probePeriod
            return
        }
        let part = Double(UInt64.random(in: 0..<200, using: &random)) / 1_000
        let period = hasSynchronized ? settings.pushPullPeriod * pushPullScale : settings.probePeriod
        nextPushPull = now + period * (0.9 + part)
        effects.append(.send(SwimMessage(sender: presence, body: .pull, rumours: everything), to: partner))
    }

    private var pushPullScale: Int {
        guard clusterSize > settings.pushPullScaleNodes else { return 1 }
        let doublings = Logarithm.binary(clusterSize) - Logarithm.binary(settings.pushPullScaleNodes)
        return 1 + Int(doublings.rounded(.up))
    }

    var everything: [Rumour] {
        roster.prefix(SwimMessage.statesMax).compactMap { node in
            members[node].map { rumour(about: node, $0) }
        }
    }

    /// Some of the nodes that seem to be there, chosen at random.
    mutating func pick(_ count: Int, from nodes: [NodeID], besides: NodeID? = nil) -> [NodeID] {
        var (nodes, picked) = (nodes, [NodeID]())
        var end = nodes.count
        while picked.count < count, end > 0 {
            let index = Int.random(in: 0..<end, using: &random)
            end -= 1
            nodes.swapAt(index, end)
            let node = nodes[end]
            if node != besides, members[node]?.isThere == true { picked.append(node) }
        }
        return picked
    }
}
