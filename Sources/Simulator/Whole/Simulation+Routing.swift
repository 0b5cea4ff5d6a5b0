import ClientProtocol
import ClientRouting
import Identifiers
import TimeAndChance

/// Clients of whole nodes decide with the real `RoutingCore`; its sockets and its clock are played here, and
/// what it does is watched (A60, A63).
extension Simulation {
    func caller(_ index: Int) -> WholeCaller {
        // Half of the clients are told of one node only, and learn of the others from it.
        let seeds = machines.indices.map { ($0 + index) % machines.count }
            .prefix(index.isMultiple(of: 2) ? 1 : machines.count)
            .compactMap { NodeAddress(clientAddress($0)) }
        var routing = RoutingCore.Settings()
        // Some look at the map seldom, and hear from nodes that are no owners any more who is.
        if index % 3 == 2 { (routing.mapWait, routing.mapPause) = (.zero, .seconds(10)) }
        var router = RoutingCore(
            session: SessionID(high: 77, low: UInt64(index)), seeds: seeds, settings: routing,
            seed: settings.seed ^ UInt64(index) << 40)
        router.comparesEpochs = !(settings.without?.followsAnything ?? false)
        return WholeCaller(index: index, router: router)
    }

    /// Lets the client decide, and does what it wants.
    func decide(
        _ client: Int, _ body: (inout RoutingCore, Duration, inout [RoutingCore.Effect]) -> Void
    ) {
        let elapsed = Duration.microseconds(Int64(now))
        var effects: [RoutingCore.Effect] = []
        whole?.callers[client].decide { body(&$0, elapsed, &effects) }
        for effect in effects { perform(effect, client) }
        planTick(client, after: elapsed)
        for answer in whole?.callers[client].answers.take() ?? [] { told(client, answer) }
    }

    private func perform(_ effect: RoutingCore.Effect, _ client: Int) {
        switch effect {
        case .connect(let link, let address):
            guard let machine = Int(address.host.dropFirst()), machines.indices.contains(machine) else {
                return checker.fail("client \(client) connects to \(address), where nobody is")
            }
            whole?.callers[client].links[link] = machine
            events.plan(.clientConnects(client, link, machine: machine), at: now + chance(100...700))
        case .send(let link, let frame):
            guard let machine = whole?.callers[client].links[link] else { return }
            note("client \(client) says to m\(machine): \(frame)")
            if case .request(_, let request) = frame { watchSending(request, client, to: machine) }
            send(.said(link, frame), from: machines.count + client, to: machine, isControl: false)
        case .close(let link):
            guard let machine = whole?.callers[client].links.removeValue(forKey: link) else { return }
            leave(ClientEnd(client: client, link: link), machine)
        case .answer(let reply, let result): reply(result)
        case .note(let text): checker.fail("client \(client): \(text)")
        case .deliver, .fail, .status: break
        }
    }

    private func planTick(_ client: Int, after elapsed: Duration) {
        guard let caller = whole?.callers[client], let next = caller.router.nextTick(after: elapsed) else {
            return
        }
        let at = UInt64(clamping: next.wholeMicroseconds)
        guard caller.tickAt.map({ at < $0 }) ?? true else { return }
        whole?.callers[client].tickAt = at
        events.plan(.clientTick(client), at: max(now + 1, at))
    }

    func tickClient(_ client: Int) {
        guard let due = whole?.callers[client].tickAt, due <= now else { return }
        whole?.callers[client].tickAt = nil
        decide(client) { core, elapsed, effects in core.tick(elapsed, &effects) }
        if let call = whole?.callers[client].call, let deadline = call.deadline,
            now > deadline + Self.tardinessMicros
        {
            checker.fail("A63: client \(client) waits for \(call.target) although its time is over")
        }
    }

    /// Deadlines are looked at ten times a second.
    static let tardinessMicros: UInt64 = 110_000

    // MARK: Connections

    func linked(_ client: Int, _ link: LinkID, isOpen: Bool) {
        guard let machine = whole?.callers[client].links[link] else { return }
        guard isOpen else {
            whole?.callers[client].links[link] = nil
            return decide(client) { core, elapsed, effects in core.closed(link, now: elapsed, &effects) }
        }
        var isWanted = false
        decide(client) { core, elapsed, effects in
            isWanted = core.opened(link, now: elapsed, &effects)
        }
        guard !isWanted else { return }
        whole?.callers[client].links[link] = nil
        leave(ClientEnd(client: client, link: link), machine)
    }

    /// The machine's process has ended: its system says so to clients, or the machine is gone, too.
    func hangUp(_ index: Int) {
        guard let whole, settings.extremes.refusesConnections else { return }
        for caller in whole.callers {
            for link in caller.links.filter({ $0.value == index }).keys.sorted() {
                events.plan(.clientLinked(caller.index, link, isOpen: false), at: now + chance(100...700))
            }
        }
    }

    func heard(_ frame: ServerFrame, _ link: LinkID, _ client: Int) {
        guard whole?.callers[client].links[link] != nil else { return }
        if case .error(_, let error) = frame, error.redirection != nil {
            whole?.callers[client].call?.redirectedAt = now
        }
        let before = entries(client)
        decide(client) { core, elapsed, effects in core.received(frame, from: link, now: elapsed, &effects) }
        for (old, new) in zip(before, entries(client)) where old.isNewer(than: new) {
            checker.fail("A60: client \(client) goes back from \(old) to \(new)")
        }
    }

    /// What the client knows of each partition; nothing before it has a map.
    private func entries(_ client: Int) -> [RoutingMap.Entry] {
        guard let table = whole?.callers[client].router.table else { return [] }
        return (0..<settings.partitions).map { table[PartitionID($0)] }
    }

    /// A60: nobody is sent around: a redirect leads to something newer, or the request waits.
    private func watchSending(_ request: RequestFrame, _ client: Int, to machine: Int) {
        guard let whole, var call = whole.callers[client].call else { return }
        if call.redirectedAt == now {
            report.redirects += 1
            call.hops += 1
            note("client \(client) is sent on to m\(machine)")
        } else {
            call.hops = 0
        }
        call.redirectedAt = nil
        if call.hops > whole.callers[client].router.settings.redirectsMax {
            checker.fail("A60: client \(client) is sent around for \(request.target)")
        }
        self.whole?.callers[client].call = call
    }
}

extension WholeCaller {
    /// Without a copy of the core.
    mutating func decide(_ body: (inout RoutingCore) -> Void) { body(&router) }
}
