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
        let ask = RoutedAsk(
            asker: line.from, id: id, request: request, until: now + Self.patienceMicros)
        let name = node.nextAsk
        node.nextAsk += 1
        node.asks[name] = ask
        route(name, line.to, process, node)
    }

    private func route(_ name: UInt64, _ index: Int, _ process: SimulatedProcess, _ node: WholeNode) {
        guard let whole, let ask = node.asks[name] else { return }
        let owner = process.client.map?[whole.ring.partition(of: ask.request.target)]?.owner?.node
        // What another node hands on is for this one.
        if owner == Self.node(index) || ask.asker < machines.count {
            node.asks[name]?.place = .host
            let replies = node.replies
            node.host.submit(ask.request) { replies.add(.ask(name, $0)) }
        } else if let owner {
            node.asks[name]?.place = .machine(Self.machine(owner))
            send(.ask(id: name, ask.request), from: index, to: Self.machine(owner), isControl: false)
        } else {
            node.asks[name]?.place = .nowhere
        }
    }

    /// Who waits for an owner tries again; who has waited for too long is told so.
    func retryAsks(_ index: Int, _ process: SimulatedProcess) {
        guard let node = process.node else { return }
        for (name, ask) in node.asks.sorted(by: { $0.key < $1.key }) where ask.place == .nowhere {
            if ask.until > now {
                route(name, index, process, node)
            } else {
                finish(name, .failure(.moved), index, node)
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
        if case .failure(let error) = result, error.group == "node", ask.asker >= machines.count {
            // Elsewhere, or moved: it is recognised if it was performed, so it may be asked again (A13).
            node.asks[name]?.place = .nowhere
            return
        }
        finish(name, result, index, node)
    }

    private func finish(
        _ name: UInt64, _ result: Result<ActorReply, ActorError>, _ index: Int, _ node: WholeNode
    ) {
        guard let ask = node.asks.removeValue(forKey: name) else { return }
        send(.told(id: ask.id, result), from: index, to: ask.asker, isControl: false)
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
