import Identifiers

extension Swim {
    /// Why a node is probed.
    enum Purpose: Hashable, Sendable {
        /// It is its turn; the next one waits for the end of it.
        case turn
        /// A connection to it has changed.
        case link
        /// It is doubted, and asked once more by whoever is about to believe it, or lost, and may be back.
        /// No helpers are asked.
        case doubt
    }

    /// A question to one node whether it is there.
    struct Probe: Hashable, Sendable {
        var target: NodeID
        /// The process that is accused if nobody answers.
        var incarnation: Incarnation
        /// When others are asked.
        var directDeadline: Duration
        var deadline: Duration
        var purpose: Purpose
        var helpers: [NodeID]?
        /// Helpers that got no answer either.
        var nacks: [NodeID] = []
    }

    /// A ping for somebody else.
    struct Relay: Hashable, Sendable {
        var requester: NodeID
        var sequence: UInt64
        var target: NodeID
        var deadline: Duration
    }

    // MARK: Asking

    /// Every node is probed once in each round, in a random order, so none is forgotten for long (SWIM, 4.3).
    mutating func probeNext() {
        nextProbe = max(nextProbe + settings.probePeriod, now)
        lookAtOneGone()
        var tries = round.count
        while tries > 0 {
            if place >= round.count {
                round.shuffle(using: &random)
                place = 0
            }
            let node = round[place]
            place += 1
            tries -= 1
            guard members[node]?.isThere == true else { continue }
            return probe(node, .turn)
        }
    }

    /// Nobody else would tell those who are not there what is thought of them, and after a cut that is healed
    /// both sides would wait for ever.
    private mutating func lookAtOneGone() {
        guard let node = gone.first else { return }
        gone.removeFirst()
        gone.append(node)
        if members[node]?.state == .unreachable { probe(node, .doubt) }
    }

    /// A connection has changed. Only a probe says what that means: a process may lose its connections and
    /// live, and the other way round.
    mutating func look(at node: NodeID) {
        guard !isLeaving, let member = members[node], member.isListed, member.state != .left else { return }
        if let sequence = probes.keys.sorted().first(where: { probes[$0]?.target == node }) {
            return send(.ping(sequence), to: node)
        }
        probe(node, member.isThere ? .link : .doubt)
    }

    mutating func probe(_ node: NodeID, _ purpose: Purpose) {
        guard let member = members[node], purpose == .turn || probes.count < settings.probesMax else {
            return
        }
        let stretch = localHealth + 1
        let sequence = takeSequence()
        probes[sequence] = Probe(
            target: node, incarnation: member.incarnation,
            directDeadline: now + settings.directTimeout * stretch,
            deadline: now + settings.probePeriod * stretch, purpose: purpose)
        send(.ping(sequence), to: node)
    }

    private mutating func takeSequence() -> UInt64 {
        defer { nextSequence += 1 }
        return nextSequence
    }

    mutating func expireProbes() {
        for sequence in probes.keys.sorted() {
            guard let probe = probes[sequence] else { continue }
            if now >= probe.deadline {
                probes[sequence] = nil
                fail(probe)
            } else if now >= probe.directDeadline, probe.helpers == nil {
                askHelpers(sequence, probe)
            }
        }
    }

    private mutating func askHelpers(_ sequence: UInt64, _ probe: Probe) {
        let count = probe.purpose == .doubt ? 0 : settings.helpers
        let helpers = pick(count, from: roster, besides: probe.target)
        probes[sequence]?.helpers = helpers
        for helper in helpers { send(.pingRequest(sequence, target: probe.target), to: helper) }
    }

    private mutating func fail(_ probe: Probe) {
        guard let member = members[probe.target], member.isThere, member.incarnation == probe.incarnation
        else { return }
        if probe.purpose == .doubt {
            // Whoever objected meanwhile is not doubted for the question that was asked before.
            guard member.state == .suspect else { return }
        } else {
            failuresSinceAnswer += 1
            // Helpers that say nothing at all say something about this node.
            let helpers = probe.helpers ?? []
            changeLocalHealth(by: helpers.isEmpty ? 1 : helpers.count - probe.nacks.count)
        }
        accuse(probe.target)
    }

    // MARK: Answers

    mutating func answered(_ sequence: UInt64, by sender: NodeID) {
        if let relay = relays[sequence], relay.target == sender {
            relays[sequence] = nil
            let standing = members[sender].map { rumour(about: sender, $0) }
            return send(.ack(relay.sequence), to: relay.requester, first: standing)
        }
        guard let probe = probes[sequence],
            probe.target == sender || probe.helpers?.contains(sender) == true
        else { return }
        probes[sequence] = nil
        heardAnswer()
        changeLocalHealth(by: -1)
    }

    mutating func refused(_ sequence: UInt64, by sender: NodeID) {
        guard let probe = probes[sequence], probe.helpers?.contains(sender) == true,
            !probe.nacks.contains(sender)
        else { return }
        probes[sequence]?.nacks.append(sender)
        heardAnswer()
    }

    private mutating func heardAnswer() {
        lastAnswer = now
        failuresSinceAnswer = 0
    }

    // MARK: Helping

    mutating func help(_ requester: NodeID, _ sequence: UInt64, _ target: NodeID) {
        if target == me { return send(.ack(sequence), to: requester) }
        guard members[target] != nil, relays.count < settings.relaysMax else {
            return send(.nack(sequence), to: requester)
        }
        let own = takeSequence()
        relays[own] = Relay(
            requester: requester, sequence: sequence, target: target,
            deadline: now + settings.directTimeout)
        send(.ping(own), to: target)
    }

    mutating func expireRelays() {
        for sequence in relays.keys.sorted() {
            guard let relay = relays[sequence], now >= relay.deadline else { continue }
            relays[sequence] = nil
            send(.nack(relay.sequence), to: relay.requester)
        }
    }
}
