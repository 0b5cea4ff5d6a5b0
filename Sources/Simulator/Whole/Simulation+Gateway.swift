import ActorHost
import ClientProtocol
import ClientRouting
import ControlCore
import Identifiers
import PlacementCore
import SessionCore

/// A client's end of one of its connections.
struct ClientEnd: Hashable, Comparable {
    var client: Int
    var link: LinkID
    static func < (a: Self, b: Self) -> Bool { (a.client, a.link) < (b.client, b.link) }
}

/// What a process has for clients: the real `ClientSession` of each connection, and the real `RouteBook`.
struct SimulatedGateway {
    struct Question {
        var end: ClientEnd
        var id: UInt64
        var after: UInt64?
        var until: UInt64
    }

    var sessions: [ClientEnd: ClientSession] = [:]
    var book = RouteBook()
    /// Clients that wait for news of the map.
    var questions: [Question] = []
}

/// The door of a node, as `ClientGateway` and `ClusterService` have it, on a network without encoding.
extension Simulation {
    func clientAddress(_ machine: Int) -> String { "c\(machine):1" }

    func knock(_ client: Int, _ link: LinkID, _ index: Int) {
        let answer = now + chance(100...700)
        guard let process = machines[index].process else {
            // Nobody answers at all, where nobody refuses.
            guard settings.extremes.refusesConnections else { return }
            return events.plan(.clientLinked(client, link, isOpen: false), at: answer)
        }
        let end = ClientEnd(client: client, link: link)
        process.gateway.sessions[end] = ClientSession(limits: SessionLimits(), node: "m\(index)")
        events.plan(.clientLinked(client, link, isOpen: true), at: answer)
    }

    func said(
        _ frame: ClientFrame, _ link: LinkID, _ line: SimulatedNetwork.Line, _ process: SimulatedProcess
    ) {
        let end = ClientEnd(client: line.from - machines.count, link: link)
        guard let directive = process.gateway.sessions[end]?.received(frame) else {
            // Of a connection to an earlier process of the machine.
            return events.plan(.clientLinked(end.client, link, isOpen: false), at: now + chance(100...700))
        }
        switch directive {
        case .nothing, .subscribe, .unsubscribe: break
        case .send(let answer): tell(answer, end, line.to)
        case .submit(let id, let request): submit(request, id, end, line.to, process)
        case .abandon(let token): abandon(token, process)
        case .map(let id, let after, let waitMillis):
            process.gateway.questions.append(
                SimulatedGateway.Question(
                    end: end, id: id, after: after, until: now + waitMillis * 1_000))
            tellClients(line.to, process)
        case .close(let reason): checker.fail("client \(end.client) is no client: \(reason)")
        }
    }

    private func tell(_ frame: ServerFrame, _ end: ClientEnd, _ index: Int) {
        note("m\(index) says to client \(end.client): \(frame)")
        send(.heard(end.link, frame), from: index, to: machines.count + end.client, isControl: false)
    }

    private func submit(
        _ request: ActorRequest, _ id: UInt64, _ end: ClientEnd, _ index: Int, _ process: SimulatedProcess
    ) {
        guard let node = process.node else {
            return reply(.failure(.startingInCluster), to: id, of: end, index, process)
        }
        if let redirection = redirection(of: request, index, process) {
            return reply(.failure(redirection), to: id, of: end, index, process)
        }
        let name = take(request, .client(end, id: id), index, process, node)
        process.gateway.sessions[end]?.submitted(id: id, token: RequestToken(rawValue: name))
    }

    /// As `ClusterService` decides it.
    private func redirection(
        of request: ActorRequest, _ index: Int, _ process: SimulatedProcess
    ) -> ActorError? {
        guard let whole, var epoch = request.assumedEpoch else { return nil }
        let partition = whole.ring.partition(of: request.target)
        guard process.client.map?[partition]?.owner?.node != Self.node(index) else { return nil }
        if settings.without?.followsAnything ?? false { epoch = Epoch(rawValue: 0) }
        return process.gateway.book.redirection(of: partition, from: epoch, at: Self.node(index)).map {
            ActorError.redirect(to: $0.entry, at: $0.address)
        }
    }

    func reply(
        _ result: Result<ActorReply, ActorError>, to id: UInt64, of end: ClientEnd, _ index: Int,
        _ process: SimulatedProcess
    ) {
        guard process.gateway.sessions[end]?.replied(id: id) ?? false else { return }
        switch result {
        case .success(let reply): tell(.reply(id: id, reply), end, index)
        case .failure(let error): tell(.error(id: id, error), end, index)
        }
    }

    private func abandon(_ token: RequestToken, _ process: SimulatedProcess) {
        guard let node = process.node, let ask = node.asks.removeValue(forKey: token.rawValue) else { return }
        if case .host(let token) = ask.place { node.host.abandon(token) }
    }

    /// The client has ended the connection.
    func leave(_ end: ClientEnd, _ index: Int) {
        guard let process = machines[index].process,
            let remains = process.gateway.sessions[end]?.end()
        else { return }
        process.gateway.sessions[end] = nil
        process.gateway.questions.removeAll { $0.end == end }
        for token in remains.requests.sorted(by: { $0.rawValue < $1.rawValue }) { abandon(token, process) }
        wakeHost(index)
    }

    // MARK: The map

    func publishRoutes(_ index: Int, _ process: SimulatedProcess) {
        guard whole != nil, let map = process.client.map else { return }
        process.gateway.book.publish(map)
        tellClients(index, process)
    }

    /// Answers those who wait for news that there are, or have waited for long enough.
    func tellClients(_ index: Int, _ process: SimulatedProcess) {
        guard !process.gateway.questions.isEmpty else { return }
        let all = process.gateway.questions
        let book = process.gateway.book
        process.gateway.questions = all.filter { !book.hasNews(after: $0.after) && $0.until > now }
        for question in all where book.hasNews(after: question.after) || question.until <= now {
            guard process.gateway.sessions[question.end]?.toldMap(id: question.id) ?? false else { continue }
            if let map = book.routes(after: question.after, teller: Self.node(index)) {
                tell(.reply(id: question.id, .document(map.encoded())), question.end, index)
            } else {
                tell(.error(id: question.id, .startingInCluster), question.end, index)
            }
        }
    }
}
