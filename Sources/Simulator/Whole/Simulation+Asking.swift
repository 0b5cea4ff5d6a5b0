import ActorHost
import ClientProtocol
import ControlCore
import Identifiers
import MailboxCore
import PlacementCore

/// Requests of clients on their way to the owner of their actor, as `ClusterService` takes them: any node
/// takes any request, and hands it on over one hop.
extension Simulation {
    /// As `ClusterService.Limits.patience`.
    private static let patienceMicros: UInt64 = 10_000_000

    func ask(
        _ id: UInt64, _ request: ActorRequest, _ line: SimulatedNetwork.Line, _ process: SimulatedProcess
    ) {
        guard let node = process.node else {
            return send(
                .told(id: id, .failure(.notOwner)), from: line.to, to: line.from, isControl: false)
        }
        _ = take(request, .machine(line.from, id: id), line.to, process, node)
    }

    /// - Returns: the node's name for the request.
    func take(
        _ request: ActorRequest, _ asker: RoutedAsk.Asker, _ index: Int, _ process: SimulatedProcess,
        _ node: WholeNode
    ) -> UInt64 {
        let left = request.timeLeftMillis.map { $0 * 1_000 }
        let name = node.nextAsk
        node.nextAsk += 1
        node.asks[name] = RoutedAsk(
            asker: asker, request: request, until: now + min(Self.patienceMicros, left ?? .max),
            deadline: left.map { now + $0 })
        route(name, index, process, node)
        return name
    }

    private func route(_ name: UInt64, _ index: Int, _ process: SimulatedProcess, _ node: WholeNode) {
        guard let whole, let ask = node.asks[name] else { return }
        let owner = process.client.map?[whole.ring.partition(of: ask.request.target)]?.owner?.node
        // What another node hands on is for this one.
        if owner == Self.node(index) || !ask.asker.isClient {
            let replies = node.replies
            let token = node.host.submit(ask.rest(at: now)) { replies.add(.ask(name, $0)) }
            node.asks[name]?.place = .host(token)
        } else if let owner {
            node.asks[name]?.place = .machine(Self.machine(owner))
            send(.ask(id: name, ask.rest(at: now)), from: index, to: Self.machine(owner), isControl: false)
        } else {
            node.asks[name]?.place = .nowhere
        }
    }

    /// Nobody is where a request was handed on to: as the mesh, which has no connection, says so in the end.
    func comesBack(_ name: UInt64, _ index: Int) {
        guard let node = machines[index].process?.node, case .machine = node.asks[name]?.place else { return }
        node.asks[name]?.place = .nowhere
    }

    /// Who waits for an owner tries again; who has waited for too long is told so.
    func retryAsks(_ index: Int, _ process: SimulatedProcess) {
        guard let node = process.node else { return }
        for (name, ask) in node.asks.sorted(by: { $0.key < $1.key }) where ask.place == .nowhere {
            if ask.until > now {
                route(name, index, process, node)
            } else {
                finish(name, .failure(ask.surrender(at: now)), index, process, node)
            }
        }
    }

    func takeReplies(_ index: Int, _ process: SimulatedProcess, _ node: WholeNode) {
        for answer in node.replies.take() {
            switch answer {
            case .handedOver(let partition, let epoch):
                take(process.client.handle(.readyToHandOver(partition, epoch)), at: index)
            case .ask(let name, let result):
                checkReply(result, to: node.asks[name]?.request, at: index)
                answered(name, result, index, process)
            case .mail(let id, let result, let machine):
                send(
                    .mail(id: id, result.encoded(), isAnswer: true), from: index, to: machine,
                    isControl: false)
            }
        }
    }

    func answered(
        _ name: UInt64, _ result: Result<ActorReply, ActorError>, _ index: Int, _ process: SimulatedProcess
    ) {
        guard let node = process.node, let ask = node.asks[name] else { return }
        if case .failure(let error) = result, error.group == "node", ask.asker.isClient {
            // Elsewhere, or moved: it is recognised if it was performed, so it may be asked again (A13).
            node.asks[name]?.place = .nowhere
            return
        }
        finish(name, result, index, process, node)
    }

    private func finish(
        _ name: UInt64, _ result: Result<ActorReply, ActorError>, _ index: Int, _ process: SimulatedProcess,
        _ node: WholeNode
    ) {
        guard let ask = node.asks.removeValue(forKey: name) else { return }
        switch ask.asker {
        case .machine(let asker, let id):
            send(.told(id: id, result), from: index, to: asker, isControl: false)
        case .client(let end, let id): reply(result, to: id, of: end, index, process)
        }
    }

    /// I7, I17: what a client is told is committed.
    private func checkReply(
        _ result: Result<ActorReply, ActorError>, to request: ActorRequest?, at index: Int
    ) {
        guard case .success(let reply) = result, let request, let id = request.identityInActor else { return }
        if case .action(let name, _) = request.operation, name == "look" { return }
        guard let fact = whole?.committed.replies[id.encoded] else {
            return checker.fail("I17: m\(index) tells \(reply) of \(request.target), which is not committed")
        }
        checker.acknowledge(fact.partition, fact.position, fact.hash)
    }
}
